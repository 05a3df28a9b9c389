"""The picture of the scores: what it draws is what was computed."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from lmttm.report.score_figure import scores


def sample(num_classes, volumes=60):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes, volumes)
    logits = rng.normal(size=(volumes, num_classes)) + np.eye(num_classes)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def names(num_classes):
    return tuple(f"class {number}" for number in range(num_classes))


def legend(panel):
    return [text.get_text() for text in panel.get_legend().get_texts()]


@pytest.mark.parametrize("num_classes", [2, 3, 11])
def test_scores_are_those_of_scikit_learn(num_classes):
    labels, probabilities = sample(num_classes)
    figure = scores(labels, probabilities, names(num_classes), title="some run, 60 volumes")
    assert figure.get_suptitle() == "some run, 60 volumes"
    confusion, roc, precision, *_ = figure.axes
    shown = [1] if num_classes == 2 else range(num_classes)
    aucs = [roc_auc_score(labels == c, probabilities[:, c]) for c in shown]
    curves = [f"class {c}: {auc:.3f}" for c, auc in zip(shown, aucs, strict=True)]
    assert legend(roc) == [*curves, "operating point", "chance: 0.500"]
    averages = [average_precision_score(labels == c, probabilities[:, c]) for c in shown]
    curves = [f"class {c}: {average:.3f}" for c, average in zip(shown, averages, strict=True)]
    rates = [f"chance: {labels.mean():.3f}"] if num_classes == 2 else []
    assert legend(precision) == [*curves, *rates, "operating point"]
    counts = [int(text.get_text().split("\n")[0]) for text in confusion.texts]
    predictions = probabilities.argmax(axis=1)
    assert counts == [
        np.sum((labels == row) & (predictions == column))
        for row in range(num_classes)
        for column in range(num_classes)
    ]


def test_reliability_counts_each_volume_once():
    labels, probabilities = sample(3)
    panel = scores(labels, probabilities, names(3)).axes[3]
    assert "right" in panel.get_ylabel()
    assert sum(int(text.get_text()) for text in panel.texts) == len(labels)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    for bar in panel.patches:
        low, high = (bar.get_x() + share * bar.get_width() for share in (-1 / 18, 19 / 18))
        inside = (confidence >= low - 1e-9) & (confidence < high - 1e-9)
        assert bar.get_height() == pytest.approx(right[inside].mean())


def test_a_class_without_a_volume_has_no_curve():
    """Guards against a division by zero, and its warning, in a small split."""
    labels = np.array([0, 0, 1, 1])
    _, roc, precision, *_ = scores(labels, sample(3, 4)[1], names(3)).axes
    for panel in (roc, precision):
        curves = [text[:7] for text in legend(panel) if text.startswith("class")]
        assert curves == ["class 0", "class 1"]


@pytest.mark.parametrize("threshold", [0.2, 0.8])
def test_the_operating_point_of_a_threshold_stands_beside_the_other(threshold):
    """Guards against a confusion matrix at a threshold under the interval of another ACC."""
    labels, probabilities = sample(2)
    intervals = {"acc": [0.1, 0.2], "auc": [0.3, 0.4]}
    plain = scores(labels, probabilities, names(2), intervals=intervals).axes
    axes = scores(labels, probabilities, names(2), intervals=intervals, threshold=threshold).axes
    for number in (0, 3):  # confusion matrix and reliability
        assert axes[number].get_title() == plain[number].get_title()
        texts = [
            [text.get_text() for text in panel.texts] for panel in (axes[number], plain[number])
        ]
        assert texts[0] == texts[1]
    positive = labels == 1
    for marker, cut in (("o", 0.5), ("D", threshold)):
        hit = probabilities[:, 1] > cut
        roc, precision = (
            next(line for line in panel.lines if line.get_marker() == marker).get_xydata()[0]
            for panel in axes[1:3]
        )
        np.testing.assert_allclose(roc, (hit[~positive].mean(), hit[positive].mean()))
        np.testing.assert_allclose(precision, (hit[positive].mean(), positive[hit].mean()))
    for panel in axes[1:3]:
        assert {"operating point", f"threshold {threshold:.3f}"} <= set(legend(panel))


def test_intervals_and_the_majority_are_named():
    labels, probabilities = sample(2)
    intervals = {"acc": [0.1, 0.2], "auc": [0.3, 0.4]}
    confusion, roc, *_ = scores(labels, probabilities, names(2), intervals=intervals).axes
    assert "(0.100 to 0.200)" in confusion.get_title()
    assert f"majority {max(labels.mean(), 1 - labels.mean()):.3f}" in confusion.get_title()
    assert "0.300 to 0.400" in roc.get_title()
    confusion, roc, *_ = scores(labels, probabilities, names(2), intervals={"auc": None}).axes
    assert "interval" not in roc.get_title()


@pytest.mark.parametrize("num_classes", [2, 3, 11])
def test_no_legend_hides_a_curve(num_classes):
    """They stand below the panels, or beside them where there are many classes."""
    labels, probabilities = sample(num_classes)
    figure = scores(labels, probabilities, names(num_classes))
    figure.draw_without_rendering()
    for panel in figure.axes[1:3]:
        box, frame = panel.get_legend().get_window_extent(), panel.get_window_extent()
        assert box.x0 >= frame.x1 - 2 if num_classes > 3 else box.y1 <= frame.y0
        assert box.x1 <= figure.bbox.x1


def test_long_names_of_classes_do_not_overlap():
    """Guards against three names below the matrix that run into each other."""
    labels, probabilities = sample(3)
    long = ["buckle rib fracture", "nondisplaced rib fracture", "displaced rib fracture"]
    figure = scores(labels, probabilities, long)
    figure.draw_without_rendering()
    assert {text.get_rotation() for text in figure.axes[0].get_xticklabels()} == {35}
    assert {
        text.get_rotation()
        for text in scores(labels, probabilities, names(3)).axes[0].get_xticklabels()
    } == {0}
