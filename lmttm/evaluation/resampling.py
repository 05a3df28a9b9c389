"""Draws of volumes, and metrics of many draws at once: what bootstrap intervals are made of."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lmttm.config.kinds import METRICS, find

Array = npt.NDArray[Any]


def grouped(groups: Sequence[str] | None) -> list[Array] | None:
    """The places of the volumes of each group, such as a patient; None where no group has two.

    Args:
        groups: The group of each volume, empty for one by itself; None for no groups.
    """
    places: dict[str, list[int]] = {}
    for place, group in enumerate(groups or ()):
        places.setdefault(f"in {group}" if group else f"alone {place}", []).append(place)
    if all(len(members) < 2 for members in places.values()):
        return None
    return [np.array(members) for members in places.values()]


def drawn(
    rng: np.random.Generator,
    count: int,
    draws: int,
    at_once: int,
    groups: list[Array] | None = None,
) -> Iterator[Array]:
    """Volumes drawn with replacement, as places `(R N)`.

    Volumes of one group resemble each other, so groups are drawn, each with all its volumes: by
    themselves they would make an interval too narrow. The draws then differ in length.

    Args:
        rng: Draws.
        count: Volumes.
        draws: How often they are drawn.
        at_once: Draws in one array, at most; with groups each is one of its own.
        groups: As `grouped` gives them.

    Yields:
        The draws, in all `draws` rows.
    """
    if groups is None:
        for start in range(0, draws, at_once):
            yield rng.integers(count, size=(min(at_once, draws - start), count))
        return
    for _ in range(draws):
        chosen = rng.integers(len(groups), size=len(groups))
        yield np.concatenate([groups[number] for number in chosen])[None]


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
