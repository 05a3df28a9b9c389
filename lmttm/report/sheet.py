"""A sheet of volumes: which of them to show, and three orthogonal slices of each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lmttm.data.chosen import Arrays
from lmttm.report.style import legible, put_title, short, slice_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def most_wrong(labels: np.ndarray, probabilities: np.ndarray, number: int = 8) -> list[int]:
    """Indices of the volumes that were most confidently wrong, the worst first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    confidence = probabilities[wrong].max(axis=1)
    worst: list[int] = wrong[np.argsort(-confidence, kind="stable")][:number].tolist()
    return worst


def most_typical(labels: np.ndarray, probabilities: np.ndarray, number: int = 2) -> list[int]:
    """Indices of the volumes of each class that were most confidently right, class by class."""
    right = probabilities.argmax(axis=1) == labels
    chosen: list[int] = []
    for label in range(probabilities.shape[1]):
        of_class = np.flatnonzero(right & (labels == label))
        order = np.argsort(-probabilities[of_class, label], kind="stable")
        chosen += of_class[order][:number].tolist()
    return chosen


def centre_of(volume: np.ndarray) -> tuple[int, ...]:
    """The voxel at the centre of mass; the middle of an empty volume."""
    mass = volume.astype(float)
    if not mass.any():
        return tuple(edge // 2 for edge in volume.shape)
    grids = np.indices(volume.shape)
    return tuple(round((grid * mass).sum() / mass.sum()) for grid in grids)


def contact_sheet(
    images: np.ndarray | Arrays,
    indices: list[int],
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    volume_names: Sequence[str] = (),
    title: str = "",
) -> "Figure":
    """Draws three orthogonal slices of volumes, with label, prediction and probability.

    Args:
        images: `(N D H W)` uint8.
        indices: Which of them; may be empty.
        labels: `(N)` integers.
        probabilities: `(N C)`.
        class_names: The C names.
        volume_names: Of the N volumes, such as the paths of their scans; empty for their indices.
        title: Such as the run, the split and the number of volumes.

    Returns:
        A matplotlib figure: one row for each volume; the slices pass through its centre of
        mass.
    """
    from matplotlib.figure import Figure

    if not indices:
        figure = Figure(figsize=(6.4, 1.4), layout="constrained")
        put_title(figure, f"{title}\nall volumes are classified correctly", size=10)
        return figure
    across = 2 if len(indices) > 1 else 1
    down = -(-len(indices) // across)
    figure = Figure(figsize=(6.4 * across, 2.75 * down + 0.5), layout="constrained")
    put_title(figure, f"{title}\nslices through the centre of mass (no projection); D is depth")
    sheets = figure.subfigures(down, across, squeeze=False)
    for index, sheet in zip(indices, sheets.flat, strict=False):
        panels = sheet.subplots(1, 3)
        predicted = probabilities[index].argmax()
        probability = probabilities[index, predicted]
        sheet.suptitle(
            legible(
                f"{_named(index, volume_names)}: label {short(class_names[labels[index]])}\n"
                f"predicted {short(class_names[predicted])} (p = {probability:.2f})"
            ),
            fontsize=9,
        )
        centre = centre_of(images[index])
        volume = images[index]
        for axis, panel in enumerate(panels):
            panel.imshow(volume.take(centre[axis], axis), cmap="gray", vmin=0, vmax=255)
            panel.set_xlabel(slice_name(axis, centre[axis], volume.shape), fontsize=8)
            panel.set_xticks([])
            panel.set_yticks([])
    return figure


def _named(index: int, volume_names: Sequence[str]) -> str:
    name = volume_names[index] if volume_names else f"#{index}"
    return name if len(name) <= 40 else f"...{name[-37:]}"
