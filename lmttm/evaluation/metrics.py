"""Scores of a split, as MedMNIST defines them, and what a paper reports beside them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lmttm.config.kinds import METRICS, find
from lmttm.evaluation.resampling import drawn, grouped, of_draws

VOLUMES_AT_ONCE = 100_000  # of a bootstrap, so that it takes little memory


def score(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Scores predictions.

    Args:
        labels: `(N)` integers, from 0 to C - 1.
        probabilities: `(N C)`, each row of which adds up to 1.

    Returns:
        `n`, each metric of `lmttm.config.kinds` (`auc` is None where a class is missing),
        `majority` (share of the most frequent class), `confusion_matrix` (rows: label, columns:
        prediction) and `per_class`: lists of `precision`, `recall`, `f1`, `specificity` (each
        None where there is nothing to count) and `support`.

    Source: ACC and AUC are `medmnist.evaluator`'s; the rest is scikit-learn's.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    classes = np.arange(probabilities.shape[1])
    predictions = predict(probabilities)
    matrix = confusion_matrix(labels, predictions, labels=classes)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predictions, labels=classes, zero_division=np.nan
    )
    false_positives = matrix.sum(axis=0) - matrix.diagonal()
    with np.errstate(invalid="ignore"):  # where all volumes are of one class
        specificity = 1 - false_positives / (len(labels) - support)
    return {
        "n": len(labels),
        **{name: find(m.function)(labels, probabilities) for name, m in METRICS.items()},
        "majority": float(support.max() / len(labels)),
        "confusion_matrix": matrix.tolist(),
        "per_class": {
            "precision": _defined(precision),
            "recall": _defined(recall),
            "f1": _defined(f1),
            "specificity": _defined(specificity),
            "support": support.astype(int).tolist(),
        },
    }


def _defined(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """The expected calibration error: how far confidence is from accuracy, in [0, 1].

    Args:
        labels: `(N)` integers.
        probabilities: `(N C)`.
        bins: Bins of equal width over the confidence, which is the largest probability.

    Returns:
        The mean over volumes of |accuracy - confidence| of their bins.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def intervals(
    labels: np.ndarray,
    probabilities: np.ndarray,
    resamples: int = 1000,
    patients: Sequence[str] | None = None,
) -> dict[str, list[float] | None]:
    """95 % bootstrap intervals of all metrics over the volumes of a split.

    Args:
        labels: `(N)` integers.
        probabilities: `(N C)`.
        resamples: How often the volumes are drawn anew, with replacement; always in the same
            way, so that a result can be repeated.
        patients: Of each volume, empty where it is not known: with all volumes of a patient
            drawn together, the intervals are over patients. None where no patients are known.

    Returns:
        For each metric of `lmttm.config.kinds` the 2.5th and 97.5th percentile of the draws in
        which it is defined; None where there are none.
    """
    rng = np.random.default_rng(0)
    found: dict[str, list[np.ndarray]] = {name: [] for name in METRICS}
    at_once = max(1, VOLUMES_AT_ONCE // len(labels))
    for chosen in drawn(rng, len(labels), resamples, at_once, grouped(patients)):
        for name, values in found.items():
            values.append(of_draws(name, labels[chosen], probabilities[chosen]))
    result: dict[str, list[float] | None] = {}
    for name, values in found.items():
        every = np.concatenate(values)
        defined = every[np.isfinite(every)]
        result[name] = np.percentile(defined, [2.5, 97.5]).tolist() if len(defined) else None
    return result


def predict(probabilities: np.ndarray) -> np.ndarray:
    """The class `(N)` that MedMNIST's ACC counts: of two, class 1 needs more than 0.5."""
    predictions: np.ndarray = probabilities.argmax(axis=1)
    return predictions


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """MedMNIST's ACC, also of a single volume, of which its evaluator makes none."""
    return float((predict(probabilities) == labels).mean())


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean recall of the classes that occur among the labels."""
    right = predict(probabilities) == labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def auc(labels: np.ndarray, probabilities: np.ndarray) -> float | None:
    """MedMNIST's AUC, or None where not every class occurs among the labels."""
    from medmnist.evaluator import getAUC

    if len(np.unique(labels)) < probabilities.shape[1]:
        return None
    return float(getAUC(labels, probabilities, _task(probabilities)))


def _task(probabilities: np.ndarray) -> str:
    return "binary-class" if probabilities.shape[1] == 2 else "multi-class"
