"""Metrics of many draws at once, against medmnist's and scikit-learn's of each."""

import numpy as np
import pytest

from lmttm.config import kinds
from lmttm.evaluation import metrics
from lmttm.evaluation.resampling import of_draws
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
