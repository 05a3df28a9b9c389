"""Pictures of a run: how it trained, how it scored, and where it was wrong."""

from pathlib import Path
from typing import Any

import numpy as np

from lmttm.storage import whole_file

# Okabe and Ito's palette, which the colour-blind can tell apart.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
COLOURS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", "#F0E442", "#000000")


def save(path: Path, figure: Any) -> None:
    """Writes a figure as a PNG, whole or not at all."""
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight")


def curves(history: list[dict[str, Any]]) -> Any:
    """Draws how a training went: losses, validation scores and the learning rate.

    Args:
        history: The records of `log.jsonl`, at least one.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    epochs = [record["epoch"] for record in history]
    kept = max(record["epoch"] for record in history if record["best"])
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    panels = figure.subplots(1, 3)
    lines = [
        (0, "train_loss", "training", BLUE, "-"),
        (0, "val_loss", "validation", ORANGE, "--"),
        (1, "val_auc", "AUC", BLUE, "-"),
        (1, "val_acc", "ACC", ORANGE, "--"),
        (1, "val_balanced_acc", "balanced ACC", GREEN, ":"),
        (2, "lr", "learning rate", BLUE, "-"),
    ]
    for panel, key, label, colour, style in lines:
        values = [np.nan if record[key] is None else record[key] for record in history]
        marker = "o" if len(epochs) < 3 else None
        panels[panel].plot(epochs, values, style, color=colour, label=label, marker=marker)
    for panel, title in zip(panels, ("loss", "validation scores", "learning rate"), strict=True):
        panel.axvline(kept, color="grey", linewidth=1, linestyle=(0, (1, 3)))
        panel.set_title(title)
        panel.set_xlabel(f"epoch (dotted: kept, {kept})")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
    panels[0].legend()
    panels[1].legend()
    return figure


def scores(labels: np.ndarray, probabilities: np.ndarray, class_names: tuple[str, ...]) -> Any:
    """Draws confusion matrix, ROC and precision-recall curves and reliability of a split.

    Args:
        labels: `(N)` integers.
        probabilities: `(N C)`.
        class_names: The C names.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9), layout="constrained")
    panels = figure.subplots(2, 2)
    names = [short(name) for name in class_names]
    _confusion(panels[0, 0], labels, probabilities, names)
    # Of two classes the curves of the second tell all, as in MedMNIST's AUC.
    shown = [1] if len(names) == 2 else range(len(names))
    _roc(panels[0, 1], labels, probabilities, names, shown)
    _precision_recall(panels[1, 0], labels, probabilities, names, shown)
    _reliability(panels[1, 1], labels, probabilities)
    return figure


def _confusion(panel: Any, labels: np.ndarray, probabilities: np.ndarray, names: list) -> None:
    matrix = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(matrix, (labels, probabilities.argmax(axis=1)), 1)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    panel.imshow(share, cmap="Blues", vmin=0, vmax=1)
    size = 11 if len(names) <= 4 else 7
    for (row, column), count in np.ndenumerate(matrix):
        colour = "white" if share[row, column] > 0.5 else "black"
        text = f"{count}\n{share[row, column]:.0%}" if len(names) <= 4 else str(count)
        panel.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
    tilt = {"rotation": 35, "ha": "right"} if len(names) > 3 else {}
    panel.set_xticks(range(len(names)), names, **tilt)
    panel.set_yticks(range(len(names)), names)
    panel.set_xlabel("prediction")
    panel.set_ylabel("label")
    panel.set_title("confusion matrix (shares of each label)")


def _roc(panel: Any, labels: np.ndarray, probabilities: np.ndarray, names: list, shown) -> None:
    from sklearn.metrics import auc, roc_curve

    for number, index in enumerate(shown):
        if 0 < (labels == index).sum() < len(labels):
            false, true, _ = roc_curve(labels == index, probabilities[:, index])
            panel.plot(
                false,
                true,
                color=COLOURS[number % len(COLOURS)],
                linestyle="-" if number < len(COLOURS) else "--",
                label=f"{names[index]}: AUC {auc(false, true):.3f}",
            )
    panel.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle=":")
    panel.set_xlabel("1 - specificity")
    panel.set_ylabel("sensitivity")
    panel.set_title("ROC")
    _frame(panel, "lower right")


def _precision_recall(
    panel: Any, labels: np.ndarray, probabilities: np.ndarray, names: list, shown
) -> None:
    from sklearn.metrics import average_precision_score, precision_recall_curve

    for number, index in enumerate(shown):
        positive = labels == index
        if positive.any():
            precision, recall, _ = precision_recall_curve(positive, probabilities[:, index])
            average = average_precision_score(positive, probabilities[:, index])
            panel.plot(
                recall,
                precision,
                color=COLOURS[number % len(COLOURS)],
                linestyle="-" if number < len(COLOURS) else "--",
                label=f"{names[index]}: AP {average:.3f} (rate {positive.mean():.3f})",
            )
    panel.set_xlabel("recall")
    panel.set_ylabel("precision")
    panel.set_title("precision and recall")
    _frame(panel, "lower left")


def _reliability(panel: Any, labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> None:
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    for number in np.unique(place):
        inside = place == number
        accuracy, count = right[inside].mean(), inside.sum()
        panel.bar((number + 0.5) / bins, accuracy, 0.9 / bins, color=BLUE)
        panel.text((number + 0.5) / bins, accuracy + 0.01, str(count), ha="center", fontsize=8)
    panel.plot([0, 1], [0, 1], color=ORANGE, linestyle="--", label="perfectly calibrated")
    panel.set_xlabel("confidence (numbers: volumes)")
    panel.set_ylabel("accuracy")
    panel.set_title("reliability")
    _frame(panel, "upper left")


def _frame(panel: Any, legend: str) -> None:
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1.06)
    panel.grid(alpha=0.3)
    panel.set_axisbelow(True)
    panel.legend(loc=legend, fontsize=8)


def most_wrong(labels: np.ndarray, probabilities: np.ndarray, number: int = 8) -> list[int]:
    """Indices of the volumes that were most confidently wrong, the worst first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    sureness = probabilities[wrong].max(axis=1)
    return wrong[np.argsort(-sureness, kind="stable")][:number].tolist()


def contact_sheet(
    images: np.ndarray,
    indices: list[int],
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: tuple[str, ...],
) -> Any:
    """Draws three orthogonal slices of volumes, with label, prediction and probability.

    Args:
        images: `(N D H W)` uint8.
        indices: Which of them; may be empty.
        labels: `(N)` integers.
        probabilities: `(N C)`.
        class_names: The C names.

    Returns:
        A matplotlib figure: one row for each volume; the slices pass through its centre of
        mass.
    """
    from matplotlib.figure import Figure

    if not indices:
        figure = Figure(figsize=(5, 1))
        figure.text(0.5, 0.5, "every volume was classified rightly", ha="center")
        return figure
    across = 2 if len(indices) > 1 else 1
    down = -(-len(indices) // across)
    figure = Figure(figsize=(6.4 * across, 2.55 * down), layout="constrained")
    sheets = figure.subfigures(down, across, squeeze=False)
    for index, sheet in zip(indices, sheets.flat, strict=False):
        panels = sheet.subplots(1, 3)
        predicted = probabilities[index].argmax()
        sheet.suptitle(
            f"#{index}: {short(class_names[labels[index]])}, taken for "
            f"{short(class_names[predicted])} (p = {probabilities[index, predicted]:.2f})",
            fontsize=10,
        )
        for axis, (panel, name) in enumerate(zip(panels, "DHW", strict=True)):
            volume = images[index]
            centre = _centre(volume)[axis]
            panel.imshow(volume.take(centre, axis), cmap="gray", vmin=0, vmax=255)
            panel.set_xlabel(f"{name} = {centre}", fontsize=8)
            panel.set_xticks([])
            panel.set_yticks([])
    return figure


def _centre(volume: np.ndarray) -> tuple[int, ...]:
    """The voxel at the centre of mass; the middle of an empty volume."""
    mass = volume.astype(float)
    if not mass.any():
        return tuple(edge // 2 for edge in volume.shape)
    grids = np.indices(volume.shape)
    return tuple(round((grid * mass).sum() / mass.sum()) for grid in grids)


def short(name: str) -> str:
    """A name that fits beside a picture."""
    return name if len(name) <= 24 else name[:22] + "..."
