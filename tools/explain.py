"""Shows how a run comes to an answer: python tools/explain.py base.json --index 12."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone that is not installed

import lmttm
from lmttm import cli
from lmttm.data.unlabelled import is_table
from lmttm.storage import printable


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Shows what a run attends to, and what changes its answer.", runs=True)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--index", type=int, help="a volume of a split, from 0")
    which.add_argument(
        "--input",
        metavar="PATH",
        help="a scan of your own, or a table of cases, as for predict.py",
    )
    parser.add_argument("--split", choices=("train", "val", "test"), help="default: test")
    return cli.run(_explain, parser, argv)


def _explain(args: argparse.Namespace) -> int:
    if args.input:
        cli.refuse_beside("--input", split=args.split)
    run = lmttm.open_run(args.config, args.overrides)
    if args.input and is_table(args.input):
        found = run.explain_table(args.input)
    else:
        found = iter([run.explain(args.input, index=args.index, split=args.split or "test")])
    failed, told = False, set[str]()
    for one in found:
        if isinstance(one, lmttm.InputError):
            print(f"error: {printable(str(one))}", file=sys.stderr)
            failed = True
        else:
            print(one.text_after(told), flush=True)
            told.update(one.notes)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
