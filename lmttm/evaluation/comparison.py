"""Whether one model is better than another: intervals of a difference, each for one question.

Over seeds: would the difference have the same sign if both were trained again? Over folds: and if
they were trained on other volumes? Over volumes: and if these models were scored on other volumes?
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lmttm.evaluation.resampling import drawn, grouped, of_draws

Array = npt.NDArray[Any]

RESAMPLES = 2000
AT_ONCE = 100  # draws at a time, to save memory


class Interval(NamedTuple):
    """A difference with its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:+.3f} to {self.high:+.3f}"


class Part(NamedTuple):
    """What two models say of the same volumes.

    Attributes:
        labels: `(N)` integers.
        first: Probabilities `(N C)` of the model that is compared with.
        second: Probabilities `(N C)` of the other one.
        patients: Of each volume, empty where it is not known; None where no patients are known.
    """

    labels: Array
    first: Array
    second: Array
    patients: Sequence[str] | None = None


def over_seeds(differences: Sequence[float]) -> Interval | None:
    """Student's interval of the mean of differences between runs with the same seed.

    It holds for these splits: the seeds vary, the volumes do not.

    Args:
        differences: One for each seed.

    Returns:
        The interval, or None for fewer than two seeds.
    """
    from scipy import stats

    if len(differences) < 2:
        return None
    mean = float(np.mean(differences))
    if np.ptp(differences) == 0:
        return Interval(mean, mean, mean)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    return Interval(mean, float(low), float(high))


def over_folds(differences: Sequence[float], num_folds: int) -> Interval | None:
    """The corrected resampled t interval of the mean of differences between folds.

    The training sets of two folds share most of their volumes, so the differences are not
    independent: their variance is taken times 1 / J + n_validation / n_training instead of
    1 / J.

    Args:
        differences: One for each fold that was run, J of them; of several seeds their mean.
        num_folds: Parts of the cross-validation.

    Returns:
        The interval, or None for fewer than two folds.

    Source: Nadeau and Bengio, Machine Learning 52:239 (2003).
    """
    from scipy import stats

    count = len(differences)
    if count < 2:
        return None
    mean = float(np.mean(differences))
    share = 1 / count + 1 / (num_folds - 1)
    reach = float(stats.t.ppf(0.975, count - 1) * np.std(differences, ddof=1) * np.sqrt(share))
    return Interval(mean, mean - reach, mean + reach)


def over_volumes(parts: Sequence[Part], score: str) -> Interval | None:
    """The paired bootstrap interval of a difference over volumes: both models see the same.

    Args:
        parts: One part, or one for each fold: then the scores are averaged over the folds, and
            volumes are drawn within each. Those of a patient are drawn together.
        score: A metric of `lmttm.config.kinds`.

    Returns:
        The difference (second less first) with the 2.5th and 97.5th percentile of what 2000
        draws give; None where it is not defined, or where a part has fewer than two volumes.
        Draws that lack a class have no AUC and are left out.
    """
    if not parts or min(len(part.labels) for part in parts) < 2:
        return None

    def difference(chosen: Sequence[Array]) -> Array:
        found = [
            of_draws(score, part.labels[places], part.second[places])
            - of_draws(score, part.labels[places], part.first[places])
            for part, places in zip(parts, chosen, strict=True)
        ]
        mean: Array = np.mean(found, axis=0)
        return mean

    counts = [len(part.labels) for part in parts]
    mean = float(difference([np.arange(count)[None] for count in counts])[0])
    if np.isnan(mean):
        return None
    rng = np.random.default_rng(0)  # so that a table can be repeated
    groups = [grouped(part.patients) for part in parts]
    if any(members is not None for members in groups):  # draws of all parts go together
        groups = [
            members or [np.array([place]) for place in range(count)]
            for members, count in zip(groups, counts, strict=True)
        ]
    every = [
        drawn(rng, count, RESAMPLES, AT_ONCE, members)
        for count, members in zip(counts, groups, strict=True)
    ]
    differences = [difference(chosen) for chosen in zip(*every, strict=True)]
    low, high = np.nanpercentile(np.concatenate(differences), [2.5, 97.5])
    return Interval(mean, float(low), float(high))
