"""Thresholds, against trying all of them and counting by hand."""

import numpy as np
import pytest

from lmttm.errors import InputError
from lmttm.evaluation.threshold import check_rule, choose, rates


def split_of(count, seed=0):
    """Few positives with low probabilities, as of a screening that finds little at 0.5."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < 0.25).astype(int)
    chance = np.clip(0.2 + 0.15 * labels + 0.1 * rng.standard_normal(count), 0, 1).round(2)
    return labels, np.stack([1 - chance, chance], axis=1)


def by_hand(labels, probabilities, cut):
    said = probabilities[:, 1] >= cut
    return said[labels == 1].mean(), (~said)[labels == 0].mean()


@pytest.mark.parametrize("seed", range(5))
def test_youden_is_the_best_of_all_thresholds(seed):
    labels, probabilities = split_of(120, seed)
    found = choose(labels, probabilities, "youden")
    sums = [sum(by_hand(labels, probabilities, cut)) for cut in np.arange(0, 1.001, 0.005)]
    assert found.sensitivity + found.specificity == pytest.approx(max(sums))
    assert by_hand(labels, probabilities, found.value) == pytest.approx(
        (found.sensitivity, found.specificity)
    )
    assert (found.volumes, found.positives) == (120, labels.sum())


@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.9, 1.0])
def test_a_wanted_sensitivity_takes_the_highest_threshold_that_has_it(wanted):
    """Guards against a screening at 0.5, which finds 42 % of the hyperplasias."""
    labels, probabilities = split_of(200)
    found = choose(labels, probabilities, f"sensitivity={wanted}")
    assert by_hand(labels, probabilities, found.value)[0] >= wanted
    assert by_hand(labels, probabilities, found.value + 0.01)[0] < wanted
    assert found.value < 0.5


@pytest.mark.parametrize(
    "rule", ["best", "sensitivity", "sensitivity=", "sensitivity=0", "sensitivity=1.1", "0.5", ""]
)
def test_another_rule_is_refused(rule):
    with pytest.raises(InputError, match=r"must be youden or such as sensitivity=0.9, got"):
        check_rule(rule)


def test_what_cannot_have_a_threshold():
    labels, probabilities = split_of(20)
    with pytest.raises(InputError, match="needs validation volumes of both classes"):
        choose(np.zeros(20, int), probabilities, "youden")
    with pytest.raises(InputError, match="needs two classes, got 3"):
        choose(labels, np.full((20, 3), 1 / 3), "youden")


def test_rates_are_counted_right():
    labels = np.array([1, 1, 1, 0, 0, 0, 0, 0])
    chance = np.array([0.9, 0.4, 0.3, 0.6, 0.4, 0.2, 0.1, 0.0])
    found = rates(labels, np.stack([1 - chance, chance], axis=1), 0.4)
    assert (found["tp"], found["fn"], found["fp"], found["tn"]) == (2, 1, 2, 3)
    shares = [found[name] for name in ("sensitivity", "specificity", "ppv", "npv")]
    assert shares == [2 / 3, 3 / 5, 2 / 4, 3 / 4]
    none = rates(np.zeros(2, int), np.array([[0.9, 0.1], [0.8, 0.2]]), 0.5)
    assert (none["sensitivity"], none["specificity"], none["ppv"]) == (None, 1.0, None)
