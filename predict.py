"""Scores a trained run: python predict.py base.json [key=value ...] [--split test].

Or classifies scans of your own: python predict.py base.json --input scan.nii.gz folder/
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import lmttm
from lmttm import cli

if TYPE_CHECKING:
    from lmttm.data.preparation import Cut

SPLITS = ("train", "val", "test")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Scores the best checkpoint of a run on a whole split.", runs=True)
    parser.add_argument("--split", choices=SPLITS, default="test", help="default: test")
    parser.add_argument(
        "--runs", nargs="+", metavar="RUN", help="average the probabilities of these runs"
    )
    parser.add_argument(
        "--calibrate", action="store_true", help="fit a temperature on the validation split"
    )
    own = parser.add_argument_group("scans of your own (see the README)")
    own.add_argument(
        "--input", nargs="+", metavar="PATH", help="NIfTI, npy, npz, or a folder of DICOM slices"
    )
    own.add_argument("--axes", default="xyz", help="which axes become D, H, W (default: xyz)")
    own.add_argument("--centre", type=_numbers(3), metavar="D,H,W", help="of the cube, in mm")
    own.add_argument("--extent", type=_numbers(1), metavar="MM", help="edge of the cube, in mm")
    own.add_argument(
        "--window", type=_numbers(2), metavar="LOW,HIGH", help="intensities that become 0 and 1"
    )
    return cli.run(_predict, parser, argv)


def _numbers(count: int) -> Callable[[str], tuple[float, ...]]:
    def parse(text: str) -> tuple[float, ...]:
        try:
            values = tuple(float(part) for part in text.split(","))
        except ValueError:
            values = ()
        if len(values) != count or not all(map(math.isfinite, values)):
            raise argparse.ArgumentTypeError(f"must be {count} numbers, got {text}")
        return values

    return parse


def _predict(args: argparse.Namespace) -> int:
    from lmttm.data.preparation import Cut

    extent = args.extent[0] if args.extent else None
    cut = Cut(args.axes, args.centre, extent, args.window)
    # Of `--runs A B device=cpu` argparse takes the override for a third run.
    given = args.runs or []
    overrides = [*args.overrides, *(text for text in given if "=" in text)]
    run = lmttm.open_run(args.config, overrides, names=[n for n in given if "=" not in n])
    return _classify(args, run, cut) if args.input else _score(args, run)


def _score(args: argparse.Namespace, run: "lmttm.Run") -> int:
    from lmttm.report import text

    progress = sys.stderr.isatty()
    scores = run.score(args.split, calibrate=args.calibrate, progress=progress)
    print(text.score_table(scores.metrics, scores.class_names))
    print(
        f"\nwritten to {run.folder / args.split}:\n"
        "  metrics.json, predictions.csv, scores.png, wrong.png (most confidently wrong)"
    )
    return 0


def _classify(args: argparse.Namespace, run: "lmttm.Run", cut: "Cut") -> int:
    from lmttm.report import text

    if args.calibrate:
        raise lmttm.InputError("--calibrate cannot be used with --input")
    answers = run.predict(args.input, cut=cut, progress=sys.stderr.isatty())
    for message in answers.failures.values():
        print(f"error: {message}", file=sys.stderr)
    if answers.rows:
        print(text.inputs_table(answers.rows))
        print(f"\nwritten to {run.folder / 'inputs'}: predictions.csv, predictions.json")
    return 1 if answers.failures else 0


if __name__ == "__main__":
    sys.exit(main())
