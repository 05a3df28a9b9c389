"""Draws what a sweep found: dots with their spread, or for two axes a heat map."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmttm.config.kinds import METRICS
from lmttm.report.style import BLUE, ORANGE, folded, put_title, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The AUCs of each combination of axis values; of a run that has none, none.
_Groups = dict[tuple[str, ...], list[float]]

_CHANCE = 0.5  # the AUC of an answer that does not depend on the volume
_LEAST_SPAN = 0.05  # of an axis or a colour scale: smaller differences must not seem large


def sweep_figure(
    path: Path, rows: list[dict[str, Any]], axes: Sequence[str], split: str, *, title: str
) -> None:
    """Draws the AUC over the axes of a sweep.

    Two axes become a heat map. One axis, three or more, and data sets, whose colours could not be
    compared, become rows of dots.

    Args:
        path: The PNG to write.
        rows: Rows of `lmttm.sweeps.tables.collect`, at least one.
        axes: Names of the axes.
        split: The split whose AUC is drawn.
        title: Such as the name of the sweep.
    """
    groups: _Groups = {}
    for row in rows:
        values = groups.setdefault(tuple(row[axis] for axis in axes), [])
        values += [row[f"{split}_auc"]] if row[f"{split}_auc"] is not None else []
    name = f"{METRICS['auc'].label}, {split} split"
    mapped = len(axes) == 2 and "dataset" not in axes
    figure = _heat_map(groups, axes) if mapped else _dots(groups, name)
    put_title(figure, f"{title}\n{name}, {len(rows)} run{'s' * (len(rows) > 1)}", size=10)
    save(path, figure)


def _dots(groups: _Groups, name: str) -> "Figure":
    """A row for each combination: its runs, their mean, their standard deviation."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    labels = [
        f"{folded(', '.join(_ends(value) for value in key), 32)} (n = {len(values)})"
        for key, values in groups.items()
    ]
    lines = max(2, *(1 + label.count("\n") for label in labels))
    figure = Figure(figsize=(8, 1.9 + 0.2 * lines * len(labels)), layout="constrained")
    panel = figure.add_subplot()
    panel.set_yticks(range(len(labels)), labels)
    panel.set_ylim(len(labels) - 0.4, -0.6)
    firsts = [key[0] for key in groups if len(key) > 1]
    for place in range(1, len(firsts)):
        if firsts[place] != firsts[place - 1]:
            panel.axhline(place - 0.5, color="grey", linewidth=0.8)
    low, high = _span([end for values in groups.values() for end in _reach(values)])
    panel.set_xlim(low, high)
    not_zero = ", not from 0" if low > 0 else ""
    panel.set_xlabel(f"{name}; the axis runs from {low:.2f} to {high:.2f}{not_zero}")
    panel.grid(axis="x", alpha=0.3)
    panel.set_axisbelow(True)

    mean_style: dict[str, Any] = {"color": BLUE, "markersize": 7}
    run_style: dict[str, Any] = {"color": "black", "alpha": 0.35, "markersize": 4}
    whole: dict[str, Any] = {"clip_on": False, "zorder": 3}  # also on the frame, where AUC is 1
    for place, values in enumerate(groups.values()):
        if len(values) == 1:
            panel.plot(values, [place], "o", **mean_style, **whole)
        elif values:
            mean, spread = np.mean(values), _spread(values)
            panel.plot([mean - spread, mean + spread], [place - 0.1] * 2, "-", **mean_style)
            panel.plot([mean], [place - 0.1], "o", **mean_style, **whole)
            panel.plot(values, [place + 0.14] * len(values), "o", **run_style, **whole)
    outside = "" if low <= _CHANCE <= high else " (outside the axis)"
    chance = panel.axvline(
        _CHANCE, color=ORANGE, linestyle="--", label=f"chance: {_CHANCE:.3f}{outside}"
    )
    several = any(len(values) > 1 for values in groups.values())
    name_of_mean = "mean ± standard deviation" if several else "the only run"
    handles = [Line2D([], [], marker="o", label=name_of_mean, **mean_style), chance]
    if several:
        handles.insert(1, Line2D([], [], marker="o", ls="", label="single runs", **run_style))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _heat_map(groups: _Groups, axes: Sequence[str]) -> "Figure":
    """A square for each combination: the mean and the standard deviation of its runs."""
    from matplotlib.figure import Figure

    down, across = (list(dict.fromkeys(key[n] for key in groups)) for n in (0, 1))
    means = np.full((len(down), len(across)), np.nan)
    size = (3.6 + 0.9 * len(across), 2.6 + 0.5 * len(down))
    figure = Figure(figsize=size, layout="constrained")
    panel = figure.add_subplot()
    low, high = _span([float(np.mean(values)) for values in groups.values() if values])
    for (first, second), values in groups.items():
        if not values:
            continue
        i, j = down.index(first), across.index(second)
        means[i, j] = np.mean(values)
        text = f"{means[i, j]:.3f}" + (f"\n± {_spread(values):.3f}" if len(values) > 1 else "")
        colour = "white" if means[i, j] < (low + high) / 2 else "black"
        panel.text(j, i, text, ha="center", va="center", color=colour, fontsize=9)
    image = panel.imshow(means, cmap="cividis", aspect="auto", vmin=low, vmax=high)
    across, down = ([folded(_ends(label), 20) for label in labels] for labels in (across, down))
    panel.set_xticks(range(len(across)), across, rotation=30, ha="right")
    panel.set_yticks(range(len(down)), down)
    panel.set_xlabel(folded(axes[1], 40))
    panel.set_ylabel(folded(axes[0], 26))
    figure.colorbar(image, label=f"{METRICS['auc'].label}, mean; chance: {_CHANCE}")
    return figure


def _ends(label: str) -> str:
    """A long label, such as a path, by its two ends."""
    return label if len(label) <= 30 else f"{label[:13]}...{label[-14:]}"


def _spread(values: Sequence[float]) -> float:
    """The standard deviation, n - 1 below the root; of a single value 0."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _reach(values: Sequence[float]) -> list[float]:
    """All that is drawn of some runs: each of them, and the standard deviation."""
    if not values:
        return []
    mean, spread = float(np.mean(values)), _spread(values)
    return [*values, mean - spread, mean + spread]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis around values: hundredths between 0 and 1."""
    low, high = min(values, default=_CHANCE), max(values, default=_CHANCE)
    room = max(0.05 * (high - low), (_LEAST_SPAN - (high - low)) / 2)
    return max(0, math.floor(100 * (low - room)) / 100), min(
        1, math.ceil(100 * (high + room)) / 100
    )
