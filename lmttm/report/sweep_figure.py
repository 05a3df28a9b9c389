"""Draws what a sweep found: bars for one axis, a heat map for two."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmttm.config.kinds import METRICS
from lmttm.report.style import BLUE, ORANGE, legible, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMES = {name: metric.label for name, metric in METRICS.items()}


def sweep_figure(
    path: Path,
    rows: list[dict[str, Any]],
    axes: Sequence[str],
    score: str,
    *,
    title: str = "",
    chance: float | None = None,
) -> None:
    """Draws a score over the axes of a sweep: bars for one axis, a heat map for two.

    Args:
        path: The PNG to write.
        rows: Rows of `lmttm.sweeps.tables.collect`, at least one.
        axes: Names of the axes; of three or more, all but the last are joined.
        score: The column that is drawn, such as `val_auc`.
        title: Such as the sweep and the data set.
        chance: The score of an answer that does not depend on the volume; None for 0.5 where
            the score is an AUC, and no line where it is not.
    """
    split, _, kind = score.partition("_")
    name = f"{_NAMES.get(kind, kind)}, {split} split"
    if chance is None and kind == "auc":
        chance = 0.5
    draw = _heat_map if len(axes) == 2 else _bars
    save(path, draw(rows, axes, score, name, f"{title}\n{name}, {len(rows)} runs", chance))


def _bars(
    rows: list[dict[str, Any]],
    axes: Sequence[str],
    score: str,
    name: str,
    title: str,
    chance: float | None,
) -> "Figure":
    from matplotlib.figure import Figure

    labels = list(dict.fromkeys(", ".join(row[axis] for axis in axes) for row in rows))
    values: dict[str, list[float]] = {label: [] for label in labels}
    for row in rows:
        if row[score] is not None:
            values[", ".join(row[axis] for axis in axes)].append(row[score])

    figure = Figure(figsize=(8, 2 + 0.45 * len(labels)), layout="constrained")
    plot = figure.add_subplot()
    for place, label in enumerate(labels):
        seeds = values[label]
        if seeds:
            spread = np.std(seeds, ddof=1) if len(seeds) > 1 else None
            plot.barh(place, np.mean(seeds), xerr=spread, color=BLUE, capsize=3, height=0.6)
        plot.plot(seeds, [place] * len(seeds), "o", color="black", markersize=3, alpha=0.6)
    plot.set_yticks(range(len(labels)), [f"{label} (n = {len(values[label])})" for label in labels])
    plot.invert_yaxis()
    if chance is not None:
        plot.axvline(chance, color=ORANGE, linestyle="--", label=f"chance: {chance:.3f}")
        plot.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.3 / len(labels) - 0.1))
    known = [value for seeds in values.values() for value in seeds] + [chance or 0.5]
    plot.set_xlim(max(0, min(known) - 0.05), 1)
    plot.set_title(legible(title), fontsize=10)
    plot.set_xlabel(f"{name} (bars: mean, lines: standard deviation, dots: runs)")
    plot.grid(axis="x", alpha=0.3)
    plot.set_axisbelow(True)
    return figure


def _heat_map(
    rows: list[dict[str, Any]],
    axes: Sequence[str],
    score: str,
    name: str,
    title: str,
    chance: float | None,
) -> "Figure":
    from matplotlib.figure import Figure

    down, across = (list(dict.fromkeys(row[axis] for row in rows)) for axis in axes)
    means = np.full((len(down), len(across)), np.nan)
    for i, first in enumerate(down):
        for j, second in enumerate(across):
            found = [
                row[score]
                for row in rows
                if (row[axes[0]], row[axes[1]]) == (first, second) and row[score] is not None
            ]
            if found:
                means[i, j] = np.mean(found)

    size = (3.6 + 0.9 * len(across), 2.2 + 0.5 * len(down))
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(legible(title), fontsize=10)
    plot = figure.add_subplot()
    image = plot.imshow(means, cmap="cividis", aspect="auto")
    middle = (np.nanmin(means) + np.nanmax(means)) / 2 if np.isfinite(means).any() else 0
    for (i, j), mean in np.ndenumerate(means):
        if not np.isnan(mean):
            colour = "white" if mean < middle else "black"
            plot.text(j, i, f"{mean:.3f}", ha="center", va="center", color=colour, fontsize=9)
    plot.set_xticks(range(len(across)), across, rotation=30, ha="right")
    plot.set_yticks(range(len(down)), down)
    plot.set_xlabel(axes[1])
    plot.set_ylabel(axes[0])
    level = "" if chance is None else f"\nchance: {chance:.3f}"
    figure.colorbar(image, label=f"{name} (mean over runs){level}")
    return figure
