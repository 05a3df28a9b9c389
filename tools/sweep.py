"""Repeats a whole comparison: python tools/sweep.py memory_size.json [key=value ...] [--test]."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone that is not installed

import lmttm
from lmttm import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser(
        "Runs every trial of a sweep and writes its tables. base=demo.json changes its base.",
        subject="a file of config/sweeps/, such as memory_size.json, or a path",
    )
    parser.add_argument("--test", action="store_true", help="score the test split as well")
    parser.add_argument(
        "--folds",
        type=_folds,
        default=0,
        metavar="K",
        help="cross-validate each trial over K parts of training + validation split",
    )
    parser.add_argument("--ray", action="store_true", help="run the trials on a Ray cluster")
    parser.add_argument(
        "--gpus-per-trial",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="with --ray: share of a GPU for each trial, such as 0.25 (default: 0, the CPU)",
    )
    return cli.run(_sweep, parser, argv)


def _folds(text: str) -> int:
    if not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 2, got {text}")
    return int(text)


def _sweep(args: argparse.Namespace) -> int:
    if not args.ray:
        cli.refuse_beside("trials that do not run on Ray", gpus_per_trial=args.gpus_per_trial)
    found = lmttm.run_sweep(
        args.config,
        args.overrides,
        test=args.test,
        folds=args.folds,
        ray=args.ray,
        gpus_per_trial=args.gpus_per_trial,
        report=print,
        progress=True,
    )
    if found.rows:
        from lmttm.report import text

        files = text.written(found.folder, ["results.csv", "results.md", "results.png"])
        print(f"\n{found.table}\n{files}")
    for error in dict.fromkeys(found.failures.values()):
        names = [name for name, reason in found.failures.items() if reason == error]
        log = found.folder / "logs" / f"{names[0]}.log"
        number = len(names) - 1
        others = f" and {number} other{'s' * (number > 1)}" if number else ""
        print(f"trial {names[0]}{others} failed: {error} (see {log})", file=sys.stderr)
    if found.exit_code > 128:
        print("interrupted; the same command continues the sweep", file=sys.stderr)
    return found.exit_code


if __name__ == "__main__":
    sys.exit(main())
