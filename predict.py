"""Scores a trained run: python predict.py base.json [key=value ...] [--split test].

Or classifies scans of your own: python predict.py base.json --input scan.nii.gz folder/
"""

import argparse
import sys
from collections.abc import Sequence

import lmttm
from lmttm import cli

SPLITS = ("train", "val", "test")
# Short for volume.axes=... and so on: what the training of the run left open.
_OPTIONS = (
    ("axes", 0, "ORDER", "which axes of the patient become D, H, W, such as zyx"),
    ("centre", 3, "D,H,W", "of the region, in mm"),
    ("extent", 1, "MM", "edge of the region, in mm"),
    ("window", 2, "LOW,HIGH", "intensities that become 0 and 255"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Scores a run on a split, or classifies scans of your own.", runs=True)
    parser.add_argument("--split", choices=SPLITS, default="test", help="default: test")
    parser.add_argument(
        "--runs", nargs="+", metavar="RUN", help="average the probabilities of these runs"
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="fit a temperature on the validation split and store it; with --input: use it",
    )
    parser.add_argument(
        "--threshold",
        metavar="RULE",
        help="of two classes: choose a threshold on the validation split and store it, by youden "
        "or such as sensitivity=0.9; with --input: use it",
    )
    own = parser.add_argument_group("scans of your own (docs/your-data.md)")
    own.add_argument(
        "--data", metavar="FOLDER", help="score all scans of another labelled set (its tables)"
    )
    own.add_argument(
        "--input", nargs="+", metavar="PATH", help="scans, or folders of scans or DICOM slices"
    )
    for name, count, metavar, text in _OPTIONS:
        own.add_argument(f"--{name}", type=cli.numbers(count), metavar=metavar, help=text)
    return cli.run(_predict, parser, argv)


def _predict(args: argparse.Namespace) -> int:
    # Of `--runs A B device=cpu` argparse takes the override for a third run.
    given = args.runs or []
    overrides = [*args.overrides, *(text for text in given if "=" in text)]
    options = {name: getattr(args, name) for name, *_ in _OPTIONS}
    overrides += [f"volume.{name}={text}" for name, text in options.items() if text is not None]
    run = lmttm.open_run(args.config, overrides, names=[n for n in given if "=" not in n])
    if args.input:
        return _classify(args, run)
    progress = sys.stderr.isatty()
    if args.data:
        if args.calibrate or args.threshold:
            raise lmttm.InputError("--calibrate and --threshold cannot be used with --data")
        scores = run.validate(args.data, progress=progress)
        print(scores.text(run.folder / "external"))
        return 0
    scores = run.score(
        args.split, calibrate=args.calibrate, threshold=args.threshold, progress=progress
    )
    print(scores.text(run.folder / args.split))
    return 0


def _classify(args: argparse.Namespace, run: "lmttm.Run") -> int:
    answers = run.predict(
        args.input,
        calibrate=args.calibrate,
        threshold=args.threshold,
        progress=sys.stderr.isatty(),
    )
    for message in answers.failures.values():
        print(f"error: {message}", file=sys.stderr)
    if answers.rows:
        print(answers.text(run.folder / "inputs"))
    return 1 if answers.failures else 0


if __name__ == "__main__":
    sys.exit(main())
