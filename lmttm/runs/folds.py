"""Runs of several folds as one: their ensemble, and what each says of the scans it never saw."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from lmttm.config.schema import Config
from lmttm.data.dataset import Dataset
from lmttm.data.sources import load_dataset
from lmttm.errors import InputError
from lmttm.runs.checkpoint import Checkpoint
from lmttm.runs.predictor import Prediction, predict, with_user


def are_folds(members: Sequence[Checkpoint]) -> bool:
    """Whether runs differ in the fold that they validate on."""
    return len({member.config.fold for member in members}) > 1


def predict_folds(
    members: Sequence[Checkpoint], user: Config, split: str, *, progress: bool = False
) -> tuple[Dataset, Prediction]:
    """Predicts a split with runs of several folds.

    Each run gets the volumes as its own training settled them.

    Args:
        members: The runs.
        user: Where and how to compute.
        split: test: the mean of all runs. val: for each scan the answer of the run that was
            validated on it, pooled into one table.
        progress: Whether progress bars are shown.

    Returns:
        The data set with that split alone, and the prediction.

    Raises:
        InputError: The split is train, of which no run is independent, or a fold is there twice.
    """
    if split == "train":
        raise InputError("runs of several folds are scored on val (out of fold) or test, got train")
    datasets = [load_dataset(with_user(member.config, user), (split,)) for member in members]
    logits = [
        predict([member], dataset.splits[split], user, progress=progress).logits[0]
        for member, dataset in zip(members, datasets, strict=True)
    ]
    first = datasets[0].splits[split]
    if split == "test":
        kept = replace(datasets[0], splits={split: first})
        return kept, Prediction(tuple(logits))
    numbers = [member.config.fold for member in members]
    if len(set(numbers)) < len(numbers):
        raise InputError(f"out-of-fold predictions need each fold once, got the folds {numbers}")
    parts = [dataset.splits[split] for dataset in datasets]
    pooled = replace(
        first,
        images=torch.cat([part.images for part in parts]),
        labels=torch.cat([part.labels for part in parts]),
        paths=tuple(path for part in parts for path in part.paths or ()) or None,
    )
    kept = replace(datasets[0], splits={split: pooled})
    return kept, Prediction((torch.cat(logits),))
