"""A baseline without a network: a random forest on shape features of binary masks.

python benchmarks/forest.py adrenalmnist3d.json [key=value ...] [--split val]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.data.dataset import Split
from lmttm.data.distance import MASK_THRESHOLD, is_mask, signed_distance
from lmttm.data.sources import load_dataset
from lmttm.data.tables import SPLITS
from lmttm.errors import InputError
from lmttm.evaluation import metrics

SEEDS = range(5)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Scores a random forest on 14 shape features, over 5 seeds.")
    parser.add_argument("--split", choices=SPLITS, default="test", help="default: test")
    return cli.run(_score, parser, argv)


def _score(args: argparse.Namespace) -> int:
    dataset = load_dataset(load_config(args.config, args.overrides))
    train, scored = dataset.splits["train"], dataset.splits[args.split]
    if not is_mask(train.images):
        raise InputError(f"shape features need binary masks; {dataset.name} holds grey values")
    features, asked = shape_features(train), shape_features(scored)
    found = []
    for seed in SEEDS:
        forest = RandomForestClassifier(500, min_samples_leaf=3, random_state=seed, n_jobs=1)
        forest.fit(features, train.labels.numpy())
        scores = metrics.score(scored.labels.numpy(), forest.predict_proba(asked))
        found.append({key: scores[key] for key in ("acc", "auc", "balanced_acc")})
        print(json.dumps({"seed": seed, **found[-1]}))
    for key in found[0]:
        values = [scores[key] for scores in found]
        print(f"{key:<13} {np.mean(values):.3f} +- {np.std(values, ddof=1):.3f}")
    return 0


def shape_features(split: Split) -> np.ndarray:
    """Fourteen numbers that describe each shape of a split, in voxels.

    Args:
        split: Binary masks.

    Returns:
        `(N 14)`: volume, surface, mean and 50th, 90th, 100th percentile of the distance from
        the inside to the surface, three principal axes, three extents, and how far the shape
        fills the ball of its surface and the box of its extents.
    """
    distances = signed_distance(split.images[:]).numpy() * max(split.images.shape[1:])
    masks = split.images[:].numpy() >= MASK_THRESHOLD
    rows = []
    for mask, distance in zip(masks, distances, strict=True):
        places = np.argwhere(mask)
        if len(places) < 2:
            rows.append([0.0] * 14)
            continue
        padded = np.pad(mask, 1)
        surface = sum(np.abs(np.diff(padded.astype(int), axis=axis)).sum() for axis in range(3))
        thickness = distance[mask]
        axes = np.sqrt(np.linalg.eigvalsh(np.cov(places.T)).clip(0))
        extents = np.sort(places.max(axis=0) - places.min(axis=0) + 1)
        rows.append(
            [
                len(places),
                surface,
                thickness.mean(),
                *np.percentile(thickness, (50, 90, 100)),
                *axes,
                *extents,
                36 * np.pi * len(places) ** 2 / surface**3,
                len(places) / extents.prod(),
            ]
        )
    return np.array(rows)


if __name__ == "__main__":
    sys.exit(main())
