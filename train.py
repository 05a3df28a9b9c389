"""Trains a machine: python train.py base.json [key=value ...] [--replace | --resume].

On several GPUs: torchrun --nproc_per_node=4 train.py base.json
"""

import argparse
import sys
from collections.abc import Sequence

from tqdm import tqdm

import lmttm
from lmttm import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Trains a Linked Memory Token Turing Machine.")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--replace", action="store_true", help="start an existing run anew")
    again.add_argument("--resume", action="store_true", help="continue where the run stopped")
    return cli.run(_train, parser, argv)


def _train(args: argparse.Namespace) -> int:
    from lmttm.training.distributed import joined
    from lmttm.training.interrupt import Interrupted

    command = " ".join([args.config, *args.overrides])
    with joined() as team:
        config = lmttm.load_config(args.config, args.overrides)
        try:
            lmttm.train(
                config,
                replace=args.replace,
                resume=args.resume,
                report=tqdm.write,
                progress=sys.stderr.isatty(),
            )
        except Interrupted as stop:
            raise stop.with_hint(f"resume with: python train.py {command} --resume") from None
        if team.leads:
            print(f"score it: python predict.py {command}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
