"""Draws heat maps without steps: three slices through the hottest place, for each map."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lmttm.report.explain_page import HeatMap
from lmttm.report.heatmap import overlay
from lmttm.report.sheet import centre_of
from lmttm.report.style import put_title, slice_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_maps(volume: np.ndarray, maps: Sequence[HeatMap], title: str) -> "Figure":
    """Draws maps over a volume, each beside that of the model with random weights.

    Args:
        volume: `(D H W)` uint8.
        maps: At least one.
        title: What stands above.

    Returns:
        A matplotlib figure: for each map a row of slices along D, H and W through its hottest
        voxel, of an empty map through the volume's centre of mass; first of the model, then
        with random weights.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 2.9 * len(maps) + 0.6), layout="constrained")
    put_title(figure, f"{title}\nslices through the hottest place (no projection); D is depth")
    rows = figure.subfigures(len(maps), 1, squeeze=False)
    for found, row in zip(maps, rows.flat, strict=True):
        row.suptitle(f"{found.title}; colours: {found.legend}", fontsize=9)
        panels = row.subplots(1, 6)
        hottest = np.unravel_index(int(found.heat.argmax()), found.heat.shape)
        place = hottest if found.heat.any() else centre_of(volume)
        image: Any = None
        for number, panel in enumerate(panels):
            axis, heat = number % 3, (found.heat, found.random)[number // 3]
            along = np.moveaxis(volume, axis, 0), np.moveaxis(heat, axis, 0)
            image = overlay(panel, *along, int(place[axis]))
            panel.set_xlabel(slice_name(axis, int(place[axis]), volume.shape), fontsize=8)
        panels[1].set_title("this model", fontsize=9)
        panels[4].set_title("random weights", fontsize=9)
        row.colorbar(image, ax=panels, shrink=0.8, label="1: the largest")
    return figure
