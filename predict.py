"""Scores a trained run: python predict.py base.json [key=value ...] [--split test]."""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial

from lmttm import checkpoint, cli, engine, metrics, report
from lmttm.config import Config, differences, load_config, overridden_keys
from lmttm.data import SPLITS, load_dataset, prepare
from lmttm.device import make_deterministic, pick_device
from lmttm.errors import InputError
from lmttm.storage import write_text

# What predict takes from the configuration; the rest is the checkpoint's.
_FROM_CONFIG = ("root", "device", "batch_size", "output_dir")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Scores the best checkpoint of a run on a whole split.")
    parser.add_argument("--split", choices=SPLITS, default="test", help="default: test")
    return cli.run(_predict, parser, argv)


def _predict(args: argparse.Namespace) -> int:
    asked = load_config(args.config, args.overrides)
    saved = checkpoint.load(asked.run_dir / checkpoint.BEST)
    _refuse_contradictions(asked, saved.config, args.overrides)
    config = saved.config.model_copy(update={key: getattr(asked, key) for key in _FROM_CONFIG})
    device = pick_device(config.device)
    make_deterministic(config.seed)
    dataset = load_dataset(config)
    split = dataset.splits[args.split].to(device)
    logits = engine.evaluate(
        saved.build().to(device),
        split,
        prepare=partial(prepare, config=config),
        batch_size=config.batch_size,
        progress=sys.stderr.isatty(),
    )

    labels = split.labels.cpu().numpy()
    probabilities = logits.double().softmax(dim=1).numpy()
    scores = {
        "dataset": dataset.name,
        "split": args.split,
        **metrics.score(labels, probabilities),
        "seed": config.seed,
        "epoch": saved.epoch,
        "validation": saved.validation,
    }
    folder = asked.run_dir / args.split
    folder.mkdir(exist_ok=True)
    predictions = metrics.predict(probabilities).tolist()
    csv = report.predictions_csv(labels.tolist(), predictions, probabilities.tolist())
    write_text(folder / "predictions.csv", csv)
    write_text(folder / "metrics.json", json.dumps(scores, indent=2) + "\n")
    print(report.score_table(scores, dataset.class_names))
    print(f"\nwritten to {folder}: metrics.json, predictions.csv")
    return 0


def _refuse_contradictions(asked: Config, trained: Config, overrides: list[str]) -> None:
    """An override must not say something else than the checkpoint does."""
    different = differences(trained, asked)
    for key in overridden_keys(overrides):
        if key in different and key.startswith(("model.", "dataset_name", "size")):
            was, now = different[key]
            raise InputError(f"{key} was {was!r} when the run was trained, got {now!r}")


if __name__ == "__main__":
    sys.exit(main())
