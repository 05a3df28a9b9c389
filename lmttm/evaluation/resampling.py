"""Metrics of many draws of volumes at once: what bootstrap intervals are made of."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lmttm.config.kinds import METRICS, find

Array = npt.NDArray[Any]


def of_draws(name: str, labels: Array, probabilities: Array) -> Array:
    """A metric of each draw.

    Args:
        name: A metric of `lmttm.config.kinds`.
        labels: `(R N)` integers, the volumes of R draws.
        probabilities: `(R N C)`.

    Returns:
        `(R)`, NaN where the metric is not defined.
    """
    metric = METRICS[name]
    if metric.resampled:
        values: Array = find(metric.resampled)(labels, probabilities)
        return values
    one = find(metric.function)
    pairs = zip(labels, probabilities, strict=True)
    return np.array([one(*pair) for pair in pairs], dtype=np.float64)  # None becomes NaN


def accuracy(labels: Array, probabilities: Array) -> Array:
    """ACC `(R)`."""
    right: Array = (probabilities.argmax(axis=-1) == labels).mean(axis=-1)
    return right


def balanced_accuracy(labels: Array, probabilities: Array) -> Array:
    """The mean recall `(R)` of the classes that occur in a draw."""
    right = probabilities.argmax(axis=-1) == labels
    with np.errstate(invalid="ignore"):
        recalls = [
            (right & (labels == c)).sum(axis=-1) / (labels == c).sum(axis=-1)
            for c in range(probabilities.shape[-1])
        ]
    mean: Array = np.nanmean(recalls, axis=0)
    return mean


def auc(labels: Array, probabilities: Array) -> Array:
    """AUC `(R)` by ranks, which are quick; NaN where a class does not occur."""
    from scipy.stats import rankdata

    num_classes, count = probabilities.shape[-1], labels.shape[-1]
    found = []
    for c in [1] if num_classes == 2 else range(num_classes):
        positive = labels == c
        positives = positive.sum(axis=-1)
        ranks = rankdata(probabilities[..., c], axis=-1)
        wins = (ranks * positive).sum(axis=-1) - positives * (positives + 1) / 2
        with np.errstate(invalid="ignore"):
            found.append(wins / (positives * (count - positives)))
    mean: Array = np.mean(found, axis=0)
    return mean
