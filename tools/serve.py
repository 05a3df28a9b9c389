"""Starts a page on this computer to try a model: python tools/serve.py vesselmnist3d_28."""

import argparse
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone that is not installed

import lmttm
from lmttm import cli
from lmttm.errors import InputError

HOST = "127.0.0.1"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Starts a page on this computer to try a run.", runs=True)
    parser.add_argument("--port", type=int, default=8000, help="default: 8000; 0: any free one")
    return cli.run(_serve, parser, argv)


def _serve(args: argparse.Namespace) -> int:
    try:
        import uvicorn
    except ImportError:
        raise InputError('serve.py needs uvicorn: pip install -e ".[serve]"') from None
    from lmttm.serving.answer import Answering
    from lmttm.serving.app import make_app

    answering = Answering(lmttm.open_run(args.config, args.overrides))
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, args.port))
        except (OSError, OverflowError):
            raise InputError(f"--port must be free and below 65536, got {args.port}") from None
        port = listening.getsockname()[1]
        config = uvicorn.Config(
            make_app(answering, port),
            access_log=False,  # it would hold the names of patients' files
            log_level="warning",
            server_header=False,
        )
        print(f"open http://{HOST}:{port} (Ctrl-C ends it)", flush=True)
        uvicorn.Server(config).run(sockets=[listening])
    return 0


if __name__ == "__main__":
    sys.exit(main())
