"""Scores, against medmnist's evaluator, scikit-learn and counting by hand."""

import numpy as np
import pytest
import scipy.stats
from medmnist.evaluator import getACC, getAUC
from sklearn.metrics import balanced_accuracy_score, classification_report, roc_auc_score

from lmttm.evaluation import metrics
from lmttm.evaluation.metrics import score


def sample(num_classes, n=200, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, n)
    logits = rng.normal(size=(n, num_classes)) + 1.5 * np.eye(num_classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, probabilities


@pytest.mark.parametrize(("num_classes", "task"), [(2, "binary-class"), (3, "multi-class")])
def test_acc_and_auc_are_those_of_medmnist(num_classes, task):
    labels, probabilities = sample(num_classes)
    scores = score(labels, probabilities)
    assert scores["acc"] == getACC(labels[:, None], probabilities, task)
    assert scores["auc"] == getAUC(labels[:, None], probabilities, task)
    if num_classes == 2:
        assert scores["auc"] == pytest.approx(roc_auc_score(labels, probabilities[:, 1]))
        assert scores["acc"] == np.mean((probabilities[:, 1] > 0.5) == labels)
    else:
        expected = roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
        assert scores["auc"] == pytest.approx(expected)


def test_the_rest_is_counted_right():
    labels, probabilities = sample(3)
    predictions = probabilities.argmax(axis=1)
    scores = score(labels, probabilities)
    assert scores["n"] == 200
    assert scores["balanced_acc"] == pytest.approx(balanced_accuracy_score(labels, predictions))
    assert scores["majority"] == max(np.mean(labels == c) for c in range(3))
    report = classification_report(labels, predictions, output_dict=True)
    for c in range(3):
        row = [np.sum((labels == c) & (predictions == p)) for p in range(3)]
        assert scores["confusion_matrix"][c] == row
        for ours, theirs in (("precision",) * 2, ("recall",) * 2, ("f1", "f1-score")):
            assert scores["per_class"][ours][c] == pytest.approx(report[str(c)][theirs])
        right = np.sum((labels != c) & (predictions != c)) / np.sum(labels != c)
        assert scores["per_class"]["specificity"][c] == pytest.approx(right)


@pytest.mark.parametrize(("labels", "num_classes"), [([1, 1, 1], 2), ([0, 1, 0], 3)])
def test_auc_is_none_where_a_class_is_missing(labels, num_classes):
    probabilities = np.full((3, num_classes), 1 / num_classes)
    scores = score(np.array(labels), probabilities)
    assert scores["auc"] is None
    assert len(scores["confusion_matrix"]) == num_classes


def test_what_has_nothing_to_count_is_not_defined():
    """Guards against a recall of 0 and a specificity of 1 of volumes that are not there."""
    probabilities = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.2, 0.8, 0.0]])
    found = score(np.zeros(3, dtype=int), probabilities)["per_class"]
    assert found["recall"] == [pytest.approx(2 / 3), None, None]
    assert found["precision"] == [1, 0, None]
    assert found["f1"] == [pytest.approx(0.8), 0, None]
    assert found["specificity"] == [None, pytest.approx(2 / 3), 1]
    assert found["support"] == [3, 0, 0]


def test_calibration_error_equals_its_definition():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], 200)
    labels = rng.integers(0, 3, 200)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert metrics.calibration_error(labels, probabilities) == pytest.approx(expected)
    sure = np.eye(3)[labels]
    assert metrics.calibration_error(labels, sure) == 0


def test_intervals_hold_the_score_and_agree_with_scipy():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 150)
    score = np.clip(0.3 * labels + 0.35 + 0.3 * rng.standard_normal(150), 0, 1)
    probabilities = np.stack([1 - score, score], axis=1)
    found = metrics.intervals(labels, probabilities)
    right = (probabilities.argmax(axis=1) == labels).astype(float)
    theirs = scipy.stats.bootstrap((right,), np.mean, method="percentile", random_state=0)
    assert found["acc"] == pytest.approx(list(theirs.confidence_interval), abs=0.02)
    low, high = found["auc"]
    assert low < metrics.auc(labels, probabilities) < high
    one_class = metrics.intervals(np.zeros(5, int), probabilities[:5])
    assert one_class["auc"] is None


def test_intervals_are_percentiles_of_resamples_that_repeat():
    """Written out with the stated seed: published intervals can be computed again."""
    labels, probabilities = sample(2, n=60)
    rng, right = np.random.default_rng(0), probabilities.argmax(axis=1) == labels
    accuracies, aucs = [], []
    for _ in range(80):
        chosen = rng.integers(60, size=60)
        accuracies.append(right[chosen].mean())
        aucs.append(roc_auc_score(labels[chosen], probabilities[chosen, 1]))
    np.random.seed(5)  # noqa: NPY002 - must not matter
    found = metrics.intervals(labels, probabilities, resamples=80)
    for name, values in (("acc", accuracies), ("auc", aucs)):
        values = np.sort(values)
        for bound, share in zip(found[name], (0.025, 0.975), strict=True):
            place = share * 79  # linear between the two nearest resamples
            low = values[int(place)]
            expected = low + (place % 1) * (values[int(place) + 1] - low)
            assert bound == pytest.approx(expected)
    assert metrics.intervals(labels, probabilities, resamples=80) == found


def test_intervals_hold_95_percent():
    """Against the binomial distribution, whose resampling this is."""
    labels, probabilities = sample(2, n=1000)
    accuracy = score(labels, probabilities)["acc"]
    found = metrics.intervals(labels, probabilities)["acc"]
    expected = scipy.stats.binom(1000, accuracy).ppf([0.025, 0.975]) / 1000
    assert found == pytest.approx(expected.tolist(), abs=0.003)


def test_balanced_accuracy_leaves_an_absent_class_out():
    """Guards against a class without a volume that counts as one never recognised."""
    labels, probabilities = sample(3)
    present = labels < 2
    labels, probabilities = labels[present], probabilities[present]
    predictions = probabilities.argmax(axis=1)
    assert (predictions == 2).any()  # it may still be predicted
    recalls = [np.mean(predictions[labels == c] == c) for c in (0, 1)]
    found = score(labels, probabilities)
    assert found["balanced_acc"] == pytest.approx(np.mean(recalls))
    assert found["per_class"]["recall"][2] is None
    assert found["per_class"]["precision"][2] == found["per_class"]["f1"][2] == 0
    assert found["per_class"]["support"] == [(labels == 0).sum(), (labels == 1).sum(), 0]


def test_an_interval_over_patients_covers_what_one_over_their_volumes_does_not():
    """Guards against three scans of a patient that count as three patients: too narrow by half.

    Simulated: all scans of a patient are classified alike, rightly in 80 % of the patients.
    """
    rng, inside = np.random.default_rng(0), {"volumes": 0, "patients": 0}
    patients = np.repeat([f"p{number}" for number in range(40)], 3).tolist()
    labels = np.zeros(120, dtype=int)
    for _ in range(60):
        right = np.repeat(rng.random(40) < 0.8, 3)
        probabilities = np.stack([right, ~right], axis=1).astype(float)
        for name, known in (("volumes", None), ("patients", patients)):
            low, high = metrics.intervals(labels, probabilities, 200, known)["acc"]
            inside[name] += low <= 0.8 <= high
    assert inside["patients"] / 60 > 0.85
    assert inside["volumes"] / 60 < 0.8
    alone = [f"p{number}" for number in range(120)]
    assert metrics.intervals(labels, probabilities, 50, alone) == metrics.intervals(
        labels, probabilities, 50
    )
