"""Pictures of a run: what they draw is what was computed."""

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from lmttm.report import figures


def record(epoch, **changes):
    keys = ("train_loss", "val_loss", "val_auc", "val_acc", "val_balanced_acc", "lr")
    return {"epoch": epoch, "best": False} | dict.fromkeys(keys, epoch / 10) | changes


def sample(num_classes, volumes=60):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes, volumes)
    logits = rng.normal(size=(volumes, num_classes)) + np.eye(num_classes)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def names(num_classes):
    return tuple(f"class {number}" for number in range(num_classes))


def legend(panel):
    return [text.get_text() for text in panel.get_legend().get_texts()]


def test_a_picture_is_a_png(tmp_path):
    figures.save(tmp_path / "a.png", figures.curves([record(1, best=True)]))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 100
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_curves_are_the_records_of_the_epochs():
    history = [record(1, best=True), record(2, best=True, val_auc=None), record(3)]
    loss, scores, rate = figures.curves(history).axes
    drawn = {line.get_label(): line.get_ydata() for line in (*loss.lines, *scores.lines)}
    np.testing.assert_allclose(drawn["training"], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(drawn["AUC"], [0.1, np.nan, 0.3])
    np.testing.assert_allclose(rate.lines[0].get_ydata(), [0.1, 0.2, 0.3])
    # The dotted line marks the epoch whose weights are kept: the last of the best ones.
    assert {tuple(panel.lines[-1].get_xdata()) for panel in (loss, scores, rate)} == {(2, 2)}


@pytest.mark.parametrize("num_classes", [2, 3, 11])
def test_scores_are_those_of_scikit_learn(num_classes):
    labels, probabilities = sample(num_classes)
    confusion, roc, precision, _ = figures.scores(labels, probabilities, names(num_classes)).axes
    shown = [1] if num_classes == 2 else range(num_classes)
    aucs = [roc_auc_score(labels == c, probabilities[:, c]) for c in shown]
    assert legend(roc) == [f"class {c}: AUC {auc:.3f}" for c, auc in zip(shown, aucs, strict=True)]
    averages = [average_precision_score(labels == c, probabilities[:, c]) for c in shown]
    for text, c, average in zip(legend(precision), shown, averages, strict=True):
        assert text == f"class {c}: AP {average:.3f} (rate {np.mean(labels == c):.3f})"
    counts = [int(text.get_text().split("\n")[0]) for text in confusion.texts]
    predictions = probabilities.argmax(axis=1)
    assert counts == [
        np.sum((labels == row) & (predictions == column))
        for row in range(num_classes)
        for column in range(num_classes)
    ]


def test_reliability_counts_each_volume_once():
    labels, probabilities = sample(3)
    panel = figures.scores(labels, probabilities, names(3)).axes[3]
    assert sum(int(text.get_text()) for text in panel.texts) == len(labels)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    for bar in panel.patches:
        low, high = (bar.get_x() + share * bar.get_width() for share in (-1 / 18, 19 / 18))
        inside = (confidence >= low - 1e-9) & (confidence < high - 1e-9)
        assert bar.get_height() == pytest.approx(right[inside].mean())


def test_a_class_without_a_volume_has_no_curve():
    """Guards against a division by zero, and its warning, in a small split."""
    labels = np.array([0, 0, 1, 1])
    _, roc, precision, _ = figures.scores(labels, sample(3, 4)[1], names(3)).axes
    assert [text[:7] for text in legend(roc)] == ["class 0", "class 1"]
    assert [text[:7] for text in legend(precision)] == ["class 0", "class 1"]


def test_the_most_confident_errors_come_first():
    labels = np.array([0, 0, 0, 1, 1])
    second = np.array([0.1, 0.9, 0.6, 0.4, 0.2])
    probabilities = np.stack([1 - second, second], axis=1)
    assert figures.most_wrong(labels, probabilities) == [1, 4, 2, 3]
    assert figures.most_wrong(labels, probabilities, number=2) == [1, 4]
    assert figures.most_wrong(labels, np.eye(2)[labels]) == []


@pytest.mark.parametrize("chosen", [[], [2], [0, 2, 4]])
def test_the_contact_sheet_shows_each_volume_through_its_centre(chosen):
    labels, probabilities = sample(2, 5)
    images = np.zeros((5, 9, 9, 9), np.uint8)
    images[:, 1:4, 4:7, 6:9] = 200
    images[4] = 0  # an empty volume is cut in its middle
    figure = figures.contact_sheet(images, chosen, labels, probabilities, names(2))
    panels = [panel for panel in figure.axes if panel.images]
    assert len(panels) == 3 * len(chosen)
    for number, index in enumerate(chosen):
        cuts = [panel.get_xlabel() for panel in panels[3 * number : 3 * number + 3]]
        middle = (4, 4, 4) if index == 4 else (2, 5, 7)
        assert cuts == [f"{axis} = {c}" for axis, c in zip("DHW", middle, strict=True)]
        first = panels[3 * number].images[0].get_array()
        assert np.array_equal(first, images[index, middle[0]])


def test_long_names_are_cut():
    assert figures.short("x" * 24) == "x" * 24
    assert figures.short("x" * 25) == "x" * 22 + "..."
