"""An explanation in words: the numbers of the explanation, and no more than they say."""

from types import SimpleNamespace

import numpy as np
import pytest

from lmttm.report.sentences import percent, sentences, slab_name, unit_names

CLASSES = ("normal", "ill")
SLABS = [(0, 2), (3, 5), (6, 8)]


def pairs(*second):
    return np.stack([1 - np.array(second), np.array(second)], axis=-1).reshape(-1, 2)


def found(*, running=(0.4, 0.6, 0.81), steps=(0.8, 0.43, 0.85), units=(0.8, 0.7, 0.9)):
    effects = [0.81 - np.array(values) for values in (steps, units)]
    return SimpleNamespace(
        probabilities=pairs(0.81)[0],
        running=pairs(*running),
        without_step=pairs(*steps),
        without_unit=pairs(*units),
        step_effects=effects[0],
        unit_effects=effects[1],
    )


def test_what_is_missed_most_is_named_with_its_probabilities():
    assert sentences(found(), SLABS, CLASSES) == [
        "The model predicts ill with a probability of 81 %.",
        "From slices 4 to 6 on, this is the class that it prefers.",
        "Without slices 4 to 6 the probability would fall from 81 % to 43 %, and the answer "
        "would be normal.",
        "Without the past memory unit the probability would fall from 81 % to 70 %.",
    ]


def test_what_changes_nothing_is_not_made_into_a_reason():
    """Guards against 'would fall from 81 % to 90 %'."""
    told = sentences(found(running=(0.9,) * 3, steps=(0.9,) * 3, units=()), SLABS, CLASSES)
    assert told == [
        "The model predicts ill with a probability of 81 %.",
        "No single slab lowers this probability if it is left out.",
    ]


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (0.5, "50 %"),
        (0.9999999, "more than 99.99 %"),
        (0.999, "99.90 %"),
        (0.989, "98.9 %"),
        (0.951, "95.1 %"),
        (1e-9, "less than 0.01 %"),
        (0.004, "0.40 %"),
    ],
)
def test_no_probability_is_rounded_to_certainty(probability, text):
    assert percent(probability) == text


def test_names():
    assert slab_name((4, 4)) == "slice 5"
    assert unit_names(5) == ["current", "past", "next", "past 2", "next 2", "input"]
    assert unit_names(0) == ["input"]
