"""Intervals of a difference, against scipy, medmnist and simulation."""

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import balanced_accuracy_score

from lmttm.evaluation import metrics
from lmttm.evaluation.comparison import Part, over_folds, over_seeds, over_volumes


def answers(count, classes, seed, skill=1.5):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=count)
    labels[:classes] = np.arange(classes)
    logits = rng.normal(size=(count, classes)) + skill * np.eye(classes)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_over_seeds_is_students():
    values = [0.01, 0.03, -0.02, 0.04, 0.02]
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert over_seeds(values) == pytest.approx((np.mean(values), expected.low, expected.high))
    assert over_seeds([0.1]) is None
    assert over_seeds([0.1, 0.1]) == (0.1, 0.1, 0.1)


def test_over_folds_is_wider_by_what_nadeau_and_bengio_add():
    values = [0.020, -0.004, 0.002, 0.018, 0.003]
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    half = (expected.high - expected.low) / 2 * np.sqrt((1 / 5 + 1 / 4) / (1 / 5))
    mean = np.mean(values)
    assert over_folds(values, 5) == pytest.approx((mean, mean - half, mean + half))
    some = over_folds(values[:3], 5)
    assert some.high - some.low > scipy.stats.sem(values[:3]) * 2 * scipy.stats.t.ppf(0.975, 2)
    assert over_folds(values[:1], 5) is None


def test_the_corrected_interval_covers_more_often_than_the_plain_one():
    """Guards against folds that are taken as independent: of two equal learners one then "wins".

    Simulated: differences whose correlation is that of overlapping training sets.
    """
    rng = np.random.default_rng(0)
    folds, rho = 5, 1 / 5
    shared = np.sqrt(rho) * rng.standard_normal((2000, 1))
    draws = shared + np.sqrt(1 - rho) * rng.standard_normal((2000, folds))
    covered = {"plain": 0, "corrected": 0}
    for values in draws:
        plain, corrected = over_seeds(values), over_folds(values, folds)
        covered["plain"] += plain.low <= 0 <= plain.high
        covered["corrected"] += corrected.low <= 0 <= corrected.high
    assert covered["plain"] / 2000 < 0.89
    assert covered["corrected"] / 2000 == pytest.approx(0.95, abs=0.012)


def single(labels, probabilities):
    """Scores by medmnist and scikit-learn."""
    predictions = probabilities.argmax(axis=1)
    return {
        "auc": metrics.auc(labels, probabilities),
        "acc": np.mean(predictions == labels),
        "balanced_acc": balanced_accuracy_score(labels, predictions),
    }


@pytest.mark.parametrize("score", ["acc", "auc", "balanced_acc"])
def test_over_volumes_is_the_paired_bootstrap(score):
    labels, first = answers(80, 2, 0)
    second = np.clip(first + 0.1 * np.eye(2)[labels], 0, 1)
    second /= second.sum(axis=1, keepdims=True)
    found = over_volumes([Part(labels, first, second)], score)
    scored = [single(labels, p)[score] for p in (first, second)]
    assert found.mean == pytest.approx(scored[1] - scored[0])
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(300):
        chosen = rng.integers(80, size=80)
        both = [single(labels[chosen], p[chosen])[score] for p in (first, second)]
        drawn.append(both[1] - both[0])
    assert found[1:] == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.02)
    same = over_volumes([Part(labels, first, first)], score)
    assert same == (0, 0, 0)


def test_volumes_are_drawn_within_their_folds():
    """A fold's volumes are scored by its own models, so scores are averaged over the folds."""
    parts = []
    for seed in (1, 2, 3):
        labels, first = answers(40, 2, seed)
        parts.append(Part(labels, first, answers(40, 2, seed, skill=2.5)[1]))
    found = over_volumes(parts, "auc")
    each = [metrics.auc(p.labels, p.second) - metrics.auc(p.labels, p.first) for p in parts]
    assert found.mean == pytest.approx(np.mean(each))
    alone = [over_volumes([part], "auc") for part in parts]
    widths = np.array([interval.high - interval.low for interval in alone])
    together = np.sqrt((widths**2).sum()) / 3  # as of a mean of independent folds
    assert found.high - found.low == pytest.approx(together, rel=0.15)


def test_few_volumes_have_a_wide_interval_or_none():
    """Guards against "+0.203 to +0.686" from six volumes: nine runs on them are not nine pairs."""
    labels, first = answers(6, 2, 3, skill=0.0)
    second = answers(6, 2, 3, skill=1.0)[1]
    found = over_volumes([Part(labels, first, second)], "auc")
    assert found.high - found.low > 0.3
    assert over_volumes([Part(labels[:1], first[:1], second[:1])], "acc") is None
    assert over_volumes([], "acc") is None
    assert over_volumes([Part(np.zeros(6, int), first, second)], "auc") is None
