"""Draws what a sweep found: bars for one axis, a heat map for two."""

from pathlib import Path

import numpy as np

from lmttm.report.figures import BLUE, save


def sweep_figure(path: Path, rows: list[dict], axes: list[str], score: str) -> None:
    """Draws a score over the axes of a sweep: bars for one axis, a heat map for two.

    Args:
        path: The PNG to write.
        rows: Rows of `lmttm.sweep.collect`, at least one.
        axes: Names of the axes; of three or more, all but the last are joined.
        score: The column that is drawn, such as `val_auc`.
    """
    from matplotlib.figure import Figure

    if len(axes) == 2:
        figure = _heat_map(Figure, rows, axes, score)
    else:
        figure = _bars(Figure, rows, axes, score)
    save(path, figure)


def _bars(figure_class: type, rows: list[dict], axes: list[str], score: str):
    labels = list(dict.fromkeys(", ".join(row[axis] for axis in axes) for row in rows))
    values = {label: [] for label in labels}
    for row in rows:
        if row[score] is not None:
            values[", ".join(row[axis] for axis in axes)].append(row[score])
    means = [np.mean(values[label]) if values[label] else 0 for label in labels]
    spreads = [np.std(values[label], ddof=1) if len(values[label]) > 1 else 0 for label in labels]

    figure = figure_class(figsize=(7, 1.2 + 0.42 * len(labels)))
    plot = figure.add_subplot()
    places = np.arange(len(labels))
    plot.barh(places, means, xerr=spreads, color=BLUE, capsize=3, height=0.6)
    for place, label in zip(places, labels, strict=True):
        seeds = values[label]
        plot.plot(seeds, [place] * len(seeds), "o", color="black", markersize=3, alpha=0.6)
    plot.set_yticks(places, labels)
    plot.invert_yaxis()
    lowest = min((min(v) for v in values.values() if v), default=0)
    plot.set_xlim(max(0, lowest - 0.1), 1)
    plot.set_xlabel(f"{score.replace('_', ' ')} (mean, standard deviation; dots: seeds)")
    plot.grid(axis="x", alpha=0.3)
    plot.set_axisbelow(True)
    return figure


def _heat_map(figure_class: type, rows: list[dict], axes: list[str], score: str):
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

    figure = figure_class(figsize=(2.2 + 0.9 * len(across), 1.4 + 0.5 * len(down)))
    plot = figure.add_subplot()
    image = plot.imshow(means, cmap="cividis", aspect="auto")
    middle = (np.nanmin(means) + np.nanmax(means)) / 2
    for (i, j), mean in np.ndenumerate(means):
        if not np.isnan(mean):
            colour = "white" if mean < middle else "black"
            plot.text(j, i, f"{mean:.3f}", ha="center", va="center", color=colour, fontsize=9)
    plot.set_xticks(range(len(across)), across, rotation=30, ha="right")
    plot.set_yticks(range(len(down)), down)
    plot.set_xlabel(axes[1])
    plot.set_ylabel(axes[0])
    figure.colorbar(image, label=f"{score.replace('_', ' ')} (mean over seeds)")
    return figure
