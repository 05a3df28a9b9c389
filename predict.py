"""Scores a trained run: python predict.py base.json [key=value ...] [--split test].

Or classifies scans of your own: python predict.py base.json --input scan.nii.gz folder/
Or those that a table lists: python predict.py base.json --input cases.csv
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import lmttm
from lmttm import cli

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
    parser.add_argument("--split", choices=("train", "val", "test"), help="default: test")
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
        "--input",
        nargs="+",
        metavar="PATH",
        help="scans, or folders of scans or DICOM slices; of a case of several scans such as "
        "t1.nii.gz,t2.nii.gz; or one table of cases such as cases.csv, with a column path",
    )
    for name, count, metavar, text in _OPTIONS:
        own.add_argument(f"--{name}", type=cli.numbers(count), metavar=metavar, help=text)
    return cli.run(_predict, parser, argv)


def _predict(args: argparse.Namespace) -> int:
    overrides = list(args.overrides)
    names = cli.without_overrides(args.runs or [], overrides)
    scans = cli.without_overrides(args.input or [], overrides)
    options = {name: getattr(args, name) for name, *_ in _OPTIONS}
    overrides += [f"volume.{name}={text}" for name, text in options.items() if text is not None]
    choices = {"calibrate": args.calibrate, "threshold": args.threshold}
    if args.data:
        cli.refuse_beside("--data", split=args.split, input=args.input, **choices)
    elif args.input:
        cli.refuse_beside("--input", split=args.split)
    elif alone := [name for name, text in options.items() if text is not None]:
        raise lmttm.InputError(f"--{alone[0]} needs --input or --data")
    run = lmttm.open_run(args.config, overrides, names=names)
    progress = sys.stderr.isatty()
    if args.input:
        return _classify(run, scans, progress=progress, **choices)
    if args.data:
        scores = run.validate(args.data, progress=progress)
        print(scores.text(run.external_folder(args.data)))
        return 0
    split = args.split or "test"
    scores = run.score(split, progress=progress, **choices)
    print(scores.text(run.folder / split))
    return 0


def _classify(run: "lmttm.Run", scans: Sequence[str], **options: Any) -> int:
    answers = run.predict(scans, **options)
    for message in answers.failures.values():
        print(f"error: {message}", file=sys.stderr)
    if answers.rows:
        print(answers.text(run.folder / "inputs"))
    return 1 if answers.failures else 0


if __name__ == "__main__":
    sys.exit(main())
