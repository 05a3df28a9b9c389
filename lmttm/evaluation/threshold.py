"""Where to cut the probability of the second of two classes, and what a cut finds and misses."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lmttm.errors import InputError

Array = npt.NDArray[Any]

YOUDEN = "youden"
SENSITIVITY = "sensitivity="


def check_rule(rule: str) -> None:
    """Raises an InputError unless a rule is `youden` or `sensitivity=S` with 0 < S <= 1."""
    try:
        wanted = float(rule.removeprefix(SENSITIVITY)) if rule.startswith(SENSITIVITY) else -1.0
    except ValueError:
        wanted = -1.0
    if rule != YOUDEN and not 0 < wanted <= 1:
        raise InputError(f"a threshold must be youden or such as sensitivity=0.9, got {rule!r}")


@dataclass(frozen=True)
class Threshold:
    """A probability of the second class from which on it is predicted.

    Attributes:
        rule: How it was chosen: `youden` (the largest sum of sensitivity and specificity), or
            `sensitivity=0.9` (the highest that finds so many).
        value: The probability.
        volumes: Validation volumes on which it was chosen.
        positives: How many of them are of the second class.
        sensitivity: On these volumes.
        specificity: On these volumes.
    """

    rule: str
    value: float
    volumes: int
    positives: int
    sensitivity: float
    specificity: float

    def as_dict(self) -> dict[str, Any]:
        """As a file holds it."""
        return asdict(self)


def choose(labels: Array, probabilities: Array, rule: str) -> Threshold:
    """Chooses a threshold on volumes that are not the ones to be scored.

    Args:
        labels: `(N)`, 0 or 1.
        probabilities: `(N 2)`.
        rule: `youden` or `sensitivity=0.9`.

    Returns:
        The threshold.

    Raises:
        InputError: The rule is unknown, there are not two classes, or one has no volume.
    """
    from sklearn.metrics import roc_curve

    check_rule(rule)
    if probabilities.shape[1] != 2:
        raise InputError(f"a threshold needs two classes, got {probabilities.shape[1]}")
    if len(np.unique(labels)) < 2:
        raise InputError("a threshold needs validation volumes of both classes")
    chances = probabilities[:, 1]
    false_alarms, found, cuts = roc_curve(labels, chances, drop_intermediate=False)
    if rule == YOUDEN:
        place = int(np.argmax(found - false_alarms))
    else:
        place = int(np.argmax(found >= float(rule.removeprefix(SENSITIVITY)) - 1e-12))
    return Threshold(
        rule=rule,
        value=float(min(cuts[place], 1.0)),  # scikit-learn's first cut is infinite
        volumes=len(labels),
        positives=int((labels == 1).sum()),
        sensitivity=float(found[place]),
        specificity=float(1 - false_alarms[place]),
    )


def rates(labels: Array, probabilities: Array, threshold: float) -> dict[str, Any]:
    """What a threshold finds and misses.

    Args:
        labels: `(N)`, 0 or 1.
        probabilities: `(N 2)`.
        threshold: The second class is predicted from this probability on.

    Returns:
        `sensitivity`, `specificity`, `ppv` and `npv` (None where nothing can be counted), and
        the counts `tp`, `fn`, `tn`, `fp`.
    """
    said, true = probabilities[:, 1] >= threshold, labels == 1
    tp, fn = int((said & true).sum()), int((~said & true).sum())
    fp, tn = int((said & ~true).sum()), int((~said & ~true).sum())

    def share(part: int, rest: int) -> float | None:
        return part / (part + rest) if part + rest else None

    return {
        "sensitivity": share(tp, fn),
        "specificity": share(tn, fp),
        "ppv": share(tp, fp),
        "npv": share(tn, fn),
        **{"tp": tp, "fn": fn, "tn": tn, "fp": fp},
    }
