"""Which labelled scans train, validate and test: by class, and never one patient in two splits."""

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

from lmttm.errors import InputError

_TEST_PARTS = 5  # a fifth of the patients
_VAL_PARTS = 5  # a fifth of the rest


def draw_splits(
    labels: Sequence[int], groups: Sequence[str], class_names: Sequence[str] = ()
) -> list[str]:
    """Draws train, val and test, stratified by class; a group stays together.

    Args:
        labels: Of each scan, from 0.
        groups: Of each scan: its patient, or a name of its own.
        class_names: By which an error calls the classes; empty for their numbers.

    Returns:
        The split of each scan. The same scans get the same splits on each call.

    Raises:
        InputError: A class has too few groups.
    """
    try:
        rest, test = folds(labels, groups, _TEST_PARTS)[0]
        kept = [labels[i] for i in rest], [groups[i] for i in rest]
        _, val = folds(*kept, _VAL_PARTS)[0]
    except InputError:  # it speaks of parts, and of what the test split has left
        called, count = _rarest(labels, groups, class_names)
        raise InputError(
            f"{count} patients (or scans) of {called} are too few to draw train, val and test: a "
            f"fifth goes to test, and at least {_VAL_PARTS} must be left, of which a fifth goes "
            "to val; add some, or give a column split"
        ) from None
    names = np.full(len(labels), "train", dtype="U5")
    names[test] = "test"
    names[np.array(rest)[val]] = "val"
    return [str(name) for name in names]


def folds(
    labels: Sequence[int], groups: Sequence[str], parts: int, class_names: Sequence[str] = ()
) -> list[tuple[list[int], list[int]]]:
    """Cuts scans into parts, stratified by class; a group stays together.

    Returns:
        For each part the indices of the others and its own, both rising.

    Raises:
        InputError: There are fewer groups of a class than parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    called, count = _rarest(labels, groups, class_names)
    if count < parts:
        raise InputError(
            f"{parts} parts need at least {parts} patients (or scans) of each class, "
            f"got {count} of {called}; give fewer folds, or a column split"
        )
    # One seed for all, so that the folds of different runs are the same.
    cutter = StratifiedGroupKFold(parts, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cuts = list(cutter.split(np.zeros(len(labels)), labels, groups))
    return [(others.tolist(), own.tolist()) for others, own in cuts]


def _rarest(
    labels: Sequence[int], groups: Sequence[str], class_names: Sequence[str]
) -> tuple[str, int]:
    """The class of the fewest groups, and how many it has."""
    pairs = Counter(label for label, _ in set(zip(labels, groups, strict=True)))
    rarest, count = min(pairs.items(), key=lambda pair: (pair[1], pair[0]))
    return class_names[rarest] if class_names else f"class {rarest}", count
