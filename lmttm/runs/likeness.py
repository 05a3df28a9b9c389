"""Scans that are unlike the volumes of the training: a warning, or a refusal."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmttm.data.statistics import unlike_training
from lmttm.errors import InputError
from lmttm.runs.trained import Trained


def likeness_warnings(
    run: Trained, volume: NDArray[np.uint8], notes: Sequence[str] = ()
) -> list[str]:
    """What is unlike the training volumes in a prepared scan.

    Args:
        run: A run or an ensemble; the statistics are those of the first member's training.
        volume: The case as it was prepared, `(D H W)` or `(C D H W)` uint8.
        notes: What its preparation found worth a warning.

    Returns:
        Sentences; none for a scan like those of the training.
    """
    return [*notes, *unlike_training(run.members[0].statistics, volume)]


def refuse_unlike(run: Trained, name: str, warnings: Sequence[str]) -> None:
    """Refuses a scan with warnings where the run is strict.

    Args:
        run: A run or an ensemble.
        name: Of the scan.
        warnings: Its `likeness_warnings`.

    Raises:
        InputError: The run is strict, and there is a warning.
    """
    if warnings and run.strict:
        trained_on = f"the volumes that {run.names[0]} was trained on"
        raise InputError(f"{name} is unlike {trained_on}: {'; '.join(warnings)}")
