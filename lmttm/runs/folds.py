"""Runs of several folds as one: their ensemble, and what each says of the scans it never saw."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import torch

from lmttm.data.chosen import joined
from lmttm.data.dataset import Dataset, Split
from lmttm.data.sources import load_dataset
from lmttm.errors import InputError
from lmttm.runs.checkpoint import Checkpoint
from lmttm.runs.predictor import Prediction, predict, with_user
from lmttm.runs.trained import Trained, check_content


def are_folds(members: Sequence[Checkpoint]) -> bool:
    """Whether runs differ in the fold that they validate on."""
    return len({member.config.fold for member in members}) > 1


def _patients(parts: Sequence[Split]) -> tuple[str, ...] | None:
    every = [part.patients or ("",) * len(part) for part in parts]
    return tuple(itertools.chain(*every)) if any(part.patients for part in parts) else None


def predict_folds(
    run: Trained, split: str, *, progress: bool = False
) -> tuple[Dataset, Prediction]:
    """Predicts a split with runs of several folds.

    Each run gets the volumes as its own training settled them.

    Args:
        run: Several runs, opened together.
        split: test: the mean of all runs. val: for each scan the answer of the run that was
            validated on it, pooled into one table.
        progress: Whether progress bars are shown.

    Returns:
        The data set with that split alone, and the prediction.

    Raises:
        InputError: The split is train, of which no run is independent, or a fold is there twice;
            or the data set has another path and other content.
    """
    if split == "train":
        raise InputError("runs of several folds are scored on val (out of fold) or test, got train")
    datasets, logits = [], []
    for member, name in zip(run.members, run.names, strict=True):
        config = with_user(member.config, run.user)
        dataset = load_dataset(config, (split,))
        check_content(member, name, dataset, config.dataset_name)
        datasets.append(dataset)
        found = predict([member], dataset.splits[split], run.user, progress=progress)
        logits.append(found.logits[0])
    first = datasets[0].splits[split]
    if split == "test":
        kept = replace(datasets[0], splits={split: first})
        return kept, Prediction(tuple(logits))
    numbers = [member.config.fold for member in run.members]
    if len(set(numbers)) < len(numbers):
        raise InputError(f"out-of-fold predictions need each fold once, got the folds {numbers}")
    parts = [dataset.splits[split] for dataset in datasets]
    pooled = replace(
        first,
        images=joined([part.images for part in parts]),
        labels=torch.cat([part.labels for part in parts]),
        paths=tuple(path for part in parts for path in part.paths or ()) or None,
        patients=_patients(parts),
        known=None,
    )
    kept = replace(datasets[0], splits={split: pooled})
    return kept, Prediction((torch.cat(logits),))
