"""A picture of prepared scans: what a model will see, with a histogram, before anybody trains."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lmttm.data.tables import path_columns
from lmttm.report.sheet import centre_of
from lmttm.report.style import BLUE, legible, slice_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(volumes: Mapping[str, NDArray[Any]]) -> "Figure":
    """Draws three orthogonal slices of each volume, and how often each grey value occurs.

    Args:
        volumes: Volumes `(D H W)` uint8 by the name of their scan, or `(C D H W)` by that of their
            case; at least one.

    Returns:
        A matplotlib figure, one row for each channel of each volume; those of one volume show the
        same slices.
    """
    from matplotlib.figure import Figure

    shown = [
        (f"{name}: {column}" if volume.ndim == 4 else name, channel, centre_of(grey[0]))
        for name, volume in volumes.items()
        for grey in (volume if volume.ndim == 4 else volume[None],)
        for column, channel in zip(path_columns(len(grey)), grey, strict=True)
    ]
    figure = Figure(figsize=(11, 2.7 * len(shown) + 0.4), layout="constrained")
    figure.suptitle("what the model sees: slices through the centre of mass; D is depth")
    rows = figure.subfigures(len(shown), 1, squeeze=False)
    for (name, volume, centre), row in zip(shown, rows.flat, strict=True):
        row.suptitle(legible(name if len(name) <= 90 else f"...{name[-87:]}"), fontsize=9)
        *slices, histogram = row.subplots(1, 4)
        for axis, panel in enumerate(slices):
            panel.imshow(volume.take(centre[axis], axis), cmap="gray", vmin=0, vmax=255)
            panel.set_xlabel(slice_name(axis, centre[axis], volume.shape), fontsize=8)
            panel.set_xticks([])
            panel.set_yticks([])
        counts = np.bincount(volume.ravel(), minlength=256)
        values = np.flatnonzero(counts)  # as dots: bars would begin at 0, where no logarithm does
        histogram.plot(values, counts[values] / volume.size, "o", color=BLUE, markersize=3)
        histogram.set_yscale("log")
        histogram.set_xlim(-5, 260)
        histogram.set_ylim(0.5 / volume.size, 1.5)
        histogram.set_xlabel("grey value", fontsize=8)
        histogram.set_ylabel("share of voxels, logarithmic", fontsize=8)
        histogram.tick_params(labelsize=7)
    return figure
