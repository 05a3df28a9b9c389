"""Scores a trained run: python predict.py base.json [key=value ...] [--split test]."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lmttm import checkpoint, cli, engine, metrics, report
from lmttm.augment import all_flips
from lmttm.calibrate import fit_temperature
from lmttm.checkpoint import BEST, Checkpoint
from lmttm.config import Config, differences, load_config, overridden_keys
from lmttm.data import SPLITS, Dataset, load_dataset, with_distances
from lmttm.device import enough_memory, make_deterministic, pick_device
from lmttm.errors import InputError
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
    return cli.run(_predict, parser, argv)


def _predict(args: argparse.Namespace) -> int:
    asked = load_config(args.config, args.overrides)
    names = args.runs or [asked.train.name]
    members = [checkpoint.load(Path(asked.output_dir) / name / BEST) for name in names]
    for member in members:
        _refuse_contradictions(asked, member.config, args.overrides)
    _refuse_strangers(members, names)
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
    print(report.score_table(scores, dataset.class_names))
    print(f"\nwritten to {folder}: metrics.json, predictions.csv")
    return 0


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
        return engine.evaluate(
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
