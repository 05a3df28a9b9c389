"""A picture of the scores of a split: confusion matrix, ROC, precision and recall, reliability."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lmttm.report.style import BLUE, ORANGE, colour_of, dash_of, legible, put_title, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Operating points by name: a marker, and the predictions `(N)` there.
_Points = dict[str, tuple[str, np.ndarray]]


def scores(
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    title: str = "",
    threshold: float | None = None,
    intervals: dict[str, Any] | None = None,
) -> "Figure":
    """Draws confusion matrix, ROC and precision-recall curves and reliability of a split.

    Args:
        labels: `(N)` integers.
        probabilities: `(N C)`.
        class_names: The C names.
        title: Such as the run, the split and the number of volumes.
        threshold: Of two classes: a probability of the second whose operating point is marked
            beside that of the larger probability, which all else counts; or None.
        intervals: 95 % intervals of `acc` and `auc`, as `metrics.intervals` gives them.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    many = len(class_names) > 4  # so many that legends do not fit into the panels
    figure = Figure(figsize=(15 if many else 11, 9.4 if many else 9.8), layout="constrained")
    put_title(figure, title)
    panels = figure.subplots(2, 2)
    names = [legible(short(name)) for name in class_names]
    # Of two classes the curves of the second tell all, as in MedMNIST's AUC.
    shown = [1] if len(names) == 2 else list(range(len(names)))
    predicted = probabilities.argmax(axis=1)
    points: _Points = {"operating point": ("o", predicted)}
    if threshold is not None:
        points[f"threshold {threshold:.3f}"] = ("D", (probabilities[:, 1] >= threshold).astype(int))
    known = intervals or {}
    _confusion(panels[0, 0], labels, predicted, names, known.get("acc"))
    _roc(panels[0, 1], labels, probabilities, points, names, shown, known.get("auc"))
    _precision_recall(panels[1, 0], labels, probabilities, points, names, shown)
    _reliability(panels[1, 1], probabilities[np.arange(len(labels)), predicted], predicted, labels)
    return figure


def _confusion(
    panel: "Axes",
    labels: np.ndarray,
    predicted: np.ndarray,
    names: list[str],
    interval: list[float] | None,
) -> None:
    matrix = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(matrix, (labels, predicted), 1)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = panel.imshow(share, cmap="Blues", vmin=0, vmax=1)
    panel.figure.colorbar(image, ax=panel, label="share of the label", shrink=0.8)
    few = len(names) <= 4
    for (row, column), count in np.ndenumerate(matrix):
        colour = "#ffffff" if share[row, column] > 0.5 else "#111111"
        text = f"{count}\n{share[row, column]:.0%}" if few else str(count)
        panel.text(
            column, row, text, ha="center", va="center", color=colour, fontsize=11 if few else 7
        )
    fits = sum(map(len, names)) <= 45  # side by side below the matrix
    tilt: dict[str, Any] = {} if fits else {"rotation": 35, "ha": "right"}
    panel.set_xticks(range(len(names)), names, fontsize=8, **tilt)
    panel.set_yticks(
        range(len(names)), names, fontsize=8, rotation=90 if len(names) < 3 else 0, va="center"
    )
    panel.set_xlabel("prediction")
    panel.set_ylabel("label")
    majority = np.bincount(labels).max() / len(labels)
    accuracy = f"ACC {(labels == predicted).mean():.3f}{_reach(interval)}"
    panel.set_title(f"confusion matrix\n{accuracy}; majority {majority:.3f}", fontsize=10)


def _reach(interval: list[float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.3f} to {interval[1]:.3f})"


def _roc(
    panel: "Axes",
    labels: np.ndarray,
    probabilities: np.ndarray,
    points: _Points,
    names: list[str],
    shown: list[int],
    interval: list[float] | None,
) -> None:
    from sklearn.metrics import auc, roc_curve

    for number, index in enumerate(shown):
        positive = labels == index
        if not 0 < positive.sum() < len(labels):
            continue
        false, true, _ = roc_curve(positive, probabilities[:, index])
        colour = colour_of(number)
        name = f"{names[index]}: {auc(false, true):.3f}"
        panel.plot(false, true, color=colour, linestyle=dash_of(number), label=name)
        for marker, predicted in points.values():
            hit = predicted == index
            panel.plot(hit[~positive].mean(), hit[positive].mean(), marker, color=colour, ms=6)
    _name_points(panel, points)
    panel.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle=":", label="chance: 0.500")
    panel.set_xlabel("1 - specificity")
    panel.set_ylabel("sensitivity")
    reach = f"\n95 % interval of the AUC {interval[0]:.3f} to {interval[1]:.3f}" if interval else ""
    panel.set_title(f"ROC, with its area (AUC){reach}", fontsize=10)
    _frame(panel)


def _precision_recall(
    panel: "Axes",
    labels: np.ndarray,
    probabilities: np.ndarray,
    points: _Points,
    names: list[str],
    shown: list[int],
) -> None:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    for number, index in enumerate(shown):
        positive = labels == index
        if not positive.any():
            continue
        precision, recall, _ = precision_recall_curve(positive, probabilities[:, index])
        average = average_precision_score(positive, probabilities[:, index])
        colour = colour_of(number)
        name = f"{names[index]}: {average:.3f}"
        panel.plot(recall, precision, color=colour, linestyle=dash_of(number), label=name)
        for marker, predicted in points.values():
            hit = predicted == index
            if hit.any():
                panel.plot(hit[positive].mean(), positive[hit].mean(), marker, color=colour, ms=6)
        if len(shown) == 1:
            rate = positive.mean()
            panel.axhline(
                rate, color="grey", linewidth=1, linestyle=":", label=f"chance: {rate:.3f}"
            )
    _name_points(panel, points)
    panel.set_xlabel("recall")
    panel.set_ylabel("precision")
    panel.set_title("precision and recall, with average precision", fontsize=10)
    _frame(panel)


def _reliability(
    panel: "Axes", confidence: np.ndarray, predicted: np.ndarray, labels: np.ndarray, bins: int = 10
) -> None:
    from scipy.stats import binomtest

    place = np.minimum((confidence * bins).astype(int), bins - 1)
    for number in np.unique(place):
        right = (predicted == labels)[place == number]
        middle, share = (number + 0.5) / bins, right.mean()
        low, high = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        panel.bar(middle, share, 0.9 / bins, color=BLUE, alpha=0.8)
        panel.errorbar(
            middle, share, [[share - low], [high - share]], color="black", capsize=3, linewidth=1
        )
        panel.text(middle, high + 0.01, str(len(right)), ha="center", fontsize=8)
    panel.plot([0, 1], [0, 1], color=ORANGE, linestyle="--", label="perfectly calibrated")
    panel.set_xlabel("probability of the predicted class")
    panel.set_ylabel("share that is right")
    panel.set_title("reliability\n(numbers: volumes; lines: 95 % intervals, Wilson)", fontsize=10)
    _frame(panel)


def _name_points(panel: "Axes", points: _Points) -> None:
    for name, (marker, _) in points.items():
        panel.plot([], [], marker, color="grey", ms=6, label=name)


def _frame(panel: "Axes") -> None:
    panel.set_xlim(-0.02, 1.02)
    panel.set_ylim(-0.02, 1.1)
    panel.grid(alpha=0.3)
    panel.set_axisbelow(True)
    entries = len(panel.get_legend_handles_labels()[0])
    if entries > 6:
        panel.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=7.5)
    else:  # below, where it hides no line
        columns = 3 if entries < 4 else 2
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=columns, fontsize=7.5)
