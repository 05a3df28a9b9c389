"""Shows how a run comes to an answer: python tools/explain.py base.json --index 12."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone that is not installed

import lmttm
from lmttm import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Shows what a run attends to, and what changes its answer.", runs=True)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--index", type=int, help="a volume of a split, from 0")
    which.add_argument("--input", metavar="PATH", help="a scan of your own, as for predict.py")
    parser.add_argument("--split", choices=("train", "val", "test"), help="default: test")
    return cli.run(_explain, parser, argv)


def _explain(args: argparse.Namespace) -> int:
    if args.input:
        cli.refuse_beside("--input", split=args.split)
    run = lmttm.open_run(args.config, args.overrides)
    found = run.explain(args.input, index=args.index, split=args.split or "test")
    names = ", ".join(path.name for path in found.files)
    print(f"{found.title}\nwritten to {found.files[0].parent}: {names}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
