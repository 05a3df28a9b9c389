"""Scores a trained run: python predict.py base.json [key=value ...] [--split test].

Or classifies scans of your own: python predict.py base.json --input scan.nii.gz folder/
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence

import lmttm
from lmttm import cli

SPLITS = ("train", "val", "test")
# Short for volume.axes=... and so on: what the training of the run left open.
_OPTIONS = (
    ("axes", 0, "ORDER", "which axes of the patient become D, H, W, such as zyx"),
    ("centre", 3, "D,H,W", "of the region, in mm"),
    ("extent", 1, "MM", "edge of the region, in mm"),
    ("window", 2, "LOW,HIGH", "intensities that become 0 and 1"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Scores the best checkpoint of a run on a whole split.", runs=True)
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
    own = parser.add_argument_group("scans of your own (see the README)")
    own.add_argument(
        "--data", metavar="FOLDER", help="score all scans of another labelled set (its tables)"
    )
    own.add_argument(
        "--input", nargs="+", metavar="PATH", help="scans, or folders of scans or DICOM slices"
    )
    for name, count, metavar, text in _OPTIONS:
        own.add_argument(f"--{name}", type=_numbers(count), metavar=metavar, help=text)
    return cli.run(_predict, parser, argv)


def _numbers(count: int) -> Callable[[str], str]:
    """Takes a text of this many numbers; 0: any text."""

    def parse(text: str) -> str:
        try:
            values = tuple(float(part) for part in text.split(","))
        except ValueError:
            values = ()
        if count and (len(values) != count or not all(map(math.isfinite, values))):
            raise argparse.ArgumentTypeError(f"must be {count} numbers, got {text}")
        return text

    return parse


def _predict(args: argparse.Namespace) -> int:
    # Of `--runs A B device=cpu` argparse takes the override for a third run.
    given = args.runs or []
    overrides = [*args.overrides, *(text for text in given if "=" in text)]
    options = {name: getattr(args, name) for name, *_ in _OPTIONS}
    overrides += [f"volume.{name}={text}" for name, text in options.items() if text is not None]
    run = lmttm.open_run(args.config, overrides, names=[n for n in given if "=" not in n])
    return _classify(args, run) if args.input else _score(args, run)


def _score(args: argparse.Namespace, run: "lmttm.Run") -> int:
    from lmttm.report import text

    progress = sys.stderr.isatty()
    if args.data:
        return _validate(args, run)
    scores = run.score(
        args.split, calibrate=args.calibrate, threshold=args.threshold, progress=progress
    )
    print(text.score_table(scores.metrics, scores.class_names))
    files = ["report.html, metrics.json, predictions.csv, scores.png, wrong.png"]
    if scores.calibrated:
        print(f"\n{text.calibration_lines(scores.calibrated.metrics)}")
        files.append("metrics-calibrated.json, predictions-calibrated.csv")
    if scores.threshold:
        print(f"\n{text.threshold_lines(scores.threshold, args.split, scores.class_names[1])}")
        files.append("threshold.json")
    print(f"\nwritten to {run.folder / args.split}:", *files, sep="\n  ")
    return 0


def _validate(args: argparse.Namespace, run: "lmttm.Run") -> int:
    from lmttm.report import text

    if args.calibrate or args.threshold:
        raise lmttm.InputError("--calibrate and --threshold cannot be used with --data")
    scores = run.validate(args.data, progress=sys.stderr.isatty())
    print(text.score_table(scores.metrics, scores.class_names))
    print(f"\nwritten to {run.folder / 'external'}")
    return 0


def _classify(args: argparse.Namespace, run: "lmttm.Run") -> int:
    from lmttm.report import text

    answers = run.predict(
        args.input,
        calibrate=args.calibrate,
        threshold=args.threshold,
        progress=sys.stderr.isatty(),
    )
    for message in answers.failures.values():
        print(f"error: {message}", file=sys.stderr)
    if answers.rows:
        print(text.inputs_table(answers.rows))
        if answers.temperatures:
            values = ", ".join(f"{value:.3f}" for value in answers.temperatures)
            print(f"\ncalibrated at the stored temperature {values}")
        if answers.threshold:
            point = answers.threshold
            print(f"\nthreshold {point.value:.3f}, as stored ({point.rule})")
        print(f"\nwritten to {run.folder / 'inputs'}: predictions.csv, predictions.json")
    return 1 if answers.failures else 0


if __name__ == "__main__":
    sys.exit(main())
