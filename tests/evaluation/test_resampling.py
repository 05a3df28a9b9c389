"""Metrics of many draws at once, against medmnist's and scikit-learn's of each."""

import numpy as np
import pytest

from lmttm.config import kinds
from lmttm.evaluation import metrics
from lmttm.evaluation.resampling import drawn, grouped, of_draws
from tests.evaluation.test_comparison import answers, single


@pytest.mark.parametrize("classes", [2, 3, 11])
def test_scores_of_many_draws_are_those_of_each(classes):
    """The quick forms against medmnist's and scikit-learn's, with ties."""
    draws = [answers(60, classes, seed) for seed in range(4)]
    labels = np.stack([label for label, _ in draws])
    probabilities = np.stack([np.round(p, 1) for _, p in draws])
    for index in range(4):
        for name, value in single(labels[index], probabilities[index]).items():
            assert of_draws(name, labels, probabilities)[index] == pytest.approx(value), name


def test_an_absent_class_has_no_auc_and_no_recall():
    probabilities = answers(5, 3, 0)[1][None]
    labels = np.array([[0, 1, 1, 0, 1]])
    assert np.isnan(of_draws("auc", labels, probabilities)).all()
    right = probabilities.argmax(axis=-1) == labels
    expected = (right[labels == 0].mean() + right[labels == 1].mean()) / 2
    assert of_draws("balanced_acc", labels, probabilities)[0] == pytest.approx(expected)


def test_a_metric_without_a_quick_form_gets_its_intervals_too(monkeypatch):
    """Guards against a new metric that has a score but no interval."""
    quick = kinds.METRICS["auc"]
    slow = quick._replace(resampled=None)
    draws = [answers(20, 2, seed) for seed in range(3)]
    labels, probabilities = (np.stack(part) for part in zip(*draws, strict=True))
    labels[0] = 0  # no AUC
    expected = of_draws("auc", labels, probabilities)
    monkeypatch.setitem(kinds.METRICS, "auc", slow)
    np.testing.assert_allclose(of_draws("auc", labels, probabilities), expected)
    assert np.isnan(expected[0])
    assert set(metrics.intervals(labels[1], probabilities[1], resamples=20)) == set(kinds.METRICS)


def test_groups_are_drawn_with_all_their_volumes():
    groups = grouped(["b", "", "a", "b", "", "b"])
    assert [group.tolist() for group in groups] == [[0, 3, 5], [1], [2], [4]]
    draws = list(drawn(np.random.default_rng(0), 6, 200, 100, groups))
    assert len(draws) == 200
    counts = np.array([np.bincount(draw[0], minlength=6) for draw in draws])
    assert (counts[:, 0] == counts[:, 3]).all()
    assert (counts[:, 0] == counts[:, 5]).all()
    assert (counts[:, [0, 1, 2, 4]].sum(axis=1) == 4).all()  # as many groups as there are
    assert not (counts[:, 1] == counts[:, 4]).all()  # whose patients are not known


def test_without_a_group_of_two_volumes_are_drawn_alone():
    """Guards against other intervals where each patient has one volume, known or not."""
    assert grouped(None) is None
    assert grouped(["", "", "p", "q"]) is None
    rng = np.random.default_rng(0)
    draws = np.concatenate(list(drawn(np.random.default_rng(0), 5, 7, 3)))
    expected = np.concatenate([rng.integers(5, size=(number, 5)) for number in (3, 3, 1)])
    np.testing.assert_array_equal(draws, expected)
