"""Scores a trained run: python predict.py base.json [key=value ...] [--split test].

Or classifies volumes of your own: python predict.py base.json --input scan.nii.gz folder/
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from lmttm import cli
from lmttm.config.files import load_config, overridden_keys
from lmttm.config.schema import Config, differences
from lmttm.data.augment import all_flips
from lmttm.data.dataset import Dataset, Split, with_distances
from lmttm.data.labelled import SPLITS
from lmttm.data.preparation import Cut, to_cube
from lmttm.data.scans import read
from lmttm.data.sources import class_names_of, load_dataset
from lmttm.data.statistics import Statistics
from lmttm.device import enough_memory, make_deterministic, pick_device
from lmttm.errors import InputError
from lmttm.evaluation import metrics
from lmttm.evaluation.calibration import fit_temperature
from lmttm.evaluation.evaluate import evaluate
from lmttm.report import figures
from lmttm.report import text as report
from lmttm.report.tensorboard import TensorBoard
from lmttm.runs import checkpoint
from lmttm.runs.checkpoint import BEST, Checkpoint
from lmttm.storage import write_text

# What predict takes from the configuration; the rest is the checkpoint's.
_FROM_CONFIG = ("root", "device", "batch_size", "output_dir")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Scores the best checkpoint of a run on a whole split.")
    parser.add_argument("--split", choices=SPLITS, default="test", help="default: test")
    parser.add_argument(
        "--runs", nargs="+", metavar="RUN", help="average the probabilities of these runs"
    )
    parser.add_argument(
        "--calibrate", action="store_true", help="fit a temperature on the validation split"
    )
    own = parser.add_argument_group("volumes of your own (see the README)")
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


def _numbers(count: int) -> Callable[[str], tuple[float, ...] | float]:
    def parse(text: str) -> tuple[float, ...] | float:
        try:
            values = tuple(float(part) for part in text.split(","))
        except ValueError:
            values = ()
        if len(values) != count or not np.isfinite(values).all():
            raise argparse.ArgumentTypeError(f"must be {count} numbers, got {text}")
        return values[0] if count == 1 else values

    return parse


def _cut(args: argparse.Namespace) -> Cut:
    if sorted(args.axes) != ["x", "y", "z"]:
        raise InputError(f"--axes must be an order of x, y and z, got {args.axes}")
    if args.extent is not None and args.extent <= 0:
        raise InputError(f"--extent must be more than 0 mm, got {args.extent:g}")
    if args.window and args.window[0] >= args.window[1]:
        low, high = args.window
        raise InputError(f"--window must go from low to high, got {low:g},{high:g}")
    return Cut(args.axes, args.centre, args.extent, args.window)


def _predict(args: argparse.Namespace) -> int:
    cut = _cut(args)
    # Of `--runs A B device=cpu` argparse takes the override for a third run.
    given = args.runs or []
    args.overrides += [text for text in given if "=" in text]
    asked = load_config(args.config, args.overrides)
    names = [name for name in given if "=" not in name] or [asked.train.name]
    members = [checkpoint.load(Path(asked.output_dir) / name / BEST) for name in names]
    for member in members:
        _refuse_contradictions(asked, member.config, args.overrides)
    _refuse_strangers(members, names)
    if args.input:
        return _classify(args, asked, members, names, cut)
    dataset = load_dataset(_config(members[0], asked))
    with enough_memory(asked.batch_size):
        opinions = [_opinion(m, asked, dataset, args.split, args.calibrate) for m in members]

    labels = dataset.splits[args.split].labels.numpy()
    probabilities = np.mean([probability for probability, _ in opinions], axis=0)
    first = members[0]
    scores = {
        "dataset": dataset.name,
        "split": args.split,
        **metrics.score(labels, probabilities),
        "interval": metrics.intervals(labels, probabilities),
        "ece": metrics.calibration_error(labels, probabilities),
        "runs": names,
        "temperature": [temperature for _, temperature in opinions],
        "seed": first.config.seed if len(members) == 1 else [m.config.seed for m in members],
        "epoch": first.epoch if len(members) == 1 else [m.epoch for m in members],
        "validation": first.validation if len(members) == 1 else [m.validation for m in members],
    }
    folder = Path(asked.output_dir) / "+".join(names) / args.split
    folder.mkdir(parents=True, exist_ok=True)
    predictions = metrics.predict(probabilities).tolist()
    csv = report.predictions_csv(labels.tolist(), predictions, probabilities.tolist())
    write_text(folder / "predictions.csv", csv)
    write_text(folder / "metrics.json", json.dumps(scores, indent=2) + "\n")
    _draw(folder, dataset, dataset.splits[args.split], probabilities)
    print(report.score_table(scores, dataset.class_names))
    print(
        f"\nwritten to {folder}:\n"
        "  metrics.json, predictions.csv, scores.png, wrong.png (most confidently wrong)"
    )
    return 0


def _draw(folder: Path, dataset: Dataset, split: Split, probabilities: np.ndarray) -> None:
    labels, images = split.labels.numpy(), split.images.numpy()
    names = dataset.class_names
    wrong = figures.most_wrong(labels, probabilities)
    pictures = {
        "scores": figures.scores(labels, probabilities, names),
        "wrong": figures.contact_sheet(images, wrong, labels, probabilities, names),
    }
    board = TensorBoard(folder.parent / "tensorboard")
    with contextlib.closing(board):
        for name, figure in pictures.items():
            figures.save(folder / f"{name}.png", figure)
            board.add_figure(f"{split.name}/{name}", figure)


def _classify(
    args: argparse.Namespace, asked: Config, members: list[Checkpoint], names: list[str], cut: Cut
) -> int:
    """Classifies volumes of the user's own; files that can not be used are told and left out."""
    if args.calibrate:
        raise InputError("--calibrate can not be used with --input")
    paths, cubes = [], []
    for path in map(Path, args.input):
        try:
            cubes.append(to_cube(read(path), members[0].config.size, cut, str(path)))
            paths.append(str(path))
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
    if not cubes:
        return 1
    split = Split("inputs", torch.from_numpy(np.stack(cubes)), torch.zeros(len(cubes)).long())
    dataset = Dataset("inputs", (), {"inputs": split})
    with enough_memory(asked.batch_size):
        opinions = [_opinion(m, asked, dataset, "inputs", False)[0] for m in members]
    probabilities = np.mean(opinions, axis=0)
    classes = class_names_of(members[0].config)
    looks = Statistics.from_dict(members[0].statistics)
    rows = [
        {
            "path": path,
            "prediction": classes[row.argmax()],
            "probabilities": dict(zip(classes, row.tolist(), strict=True)),
            "warnings": looks.warnings(cube) if looks else [],
        }
        for path, row, cube in zip(paths, probabilities, cubes, strict=True)
    ]
    folder = Path(asked.output_dir) / "+".join(names) / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "predictions.json", json.dumps(rows, indent=2) + "\n")
    write_text(folder / "predictions.csv", report.inputs_csv(rows, classes))
    print(report.inputs_table(rows))
    print(f"\nwritten to {folder}: predictions.csv, predictions.json")
    return 1 if len(paths) < len(args.input) else 0


def _config(member: Checkpoint, asked: Config) -> Config:
    return member.config.model_copy(update={key: getattr(asked, key) for key in _FROM_CONFIG})


def _opinion(
    member: Checkpoint, asked: Config, dataset: Dataset, split: str, calibrate: bool
) -> tuple[np.ndarray, float]:
    """A run's probabilities `(N classes)` for a split, and the temperature behind them."""
    config = _config(member, asked)
    device = pick_device(config.device)
    make_deterministic(config.seed)
    model = member.build().to(device)

    def logits(name: str) -> torch.Tensor:
        return evaluate(
            model,
            with_distances(dataset.splits[name], config).to(device),
            batch_size=config.batch_size,
            flips=all_flips(config.augment.flip_axes if config.test_flips else ()),
            progress=sys.stderr.isatty(),
        )

    found = logits(split)
    if not found.isfinite().all():
        raise InputError(f"the weights of {config.train.name} give outputs that are not finite")
    temperature = 1.0
    if calibrate:
        temperature = fit_temperature(logits("val"), dataset.splits["val"].labels)
    return (found.double() / temperature).softmax(dim=1).numpy(), temperature


def _refuse_contradictions(asked: Config, trained: Config, overrides: list[str]) -> None:
    """An override must not say something else than the checkpoint does."""
    different = differences(trained, asked)
    for key in overridden_keys(overrides):
        if key in different and key.startswith(("model.", "dataset_name", "size", "distance")):
            was, now = different[key]
            if now == "auto":  # as it was decided in training
                continue
            raise InputError(f"{key} was {was!r} when the run was trained, got {now!r}")


def _refuse_strangers(members: list[Checkpoint], names: list[str]) -> None:
    """The runs of an ensemble must be about the same volumes."""
    for member, name in zip(members, names, strict=True):
        for key in ("dataset_name", "size", "folds", "fold"):
            here, there = (getattr(m.config, key) for m in (members[0], member))
            if here != there:
                raise InputError(
                    f"{key} must be the same in all runs, got {here!r} in {names[0]} "
                    f"and {there!r} in {name}"
                )


if __name__ == "__main__":
    sys.exit(main())
