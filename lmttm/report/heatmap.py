"""Draws an explanation: heat maps over slices, and what each step and unit did."""

from pathlib import Path
from typing import Any

import numpy as np

from lmttm.report.figures import BLUE, COLOURS, short
from lmttm.storage import whole_file


def draw(volume: np.ndarray, found: Any, class_names: tuple[str, ...], title: str) -> Any:
    """Draws an explanation of one volume.

    Args:
        volume: `(D H W)` uint8.
        found: An `Explanation` of the one volume, as arrays without the axis b.
        class_names: The names of the classes.
        title: What stands above.

    Returns:
        A matplotlib figure: slices with the heat map over them, and below, step by step, the
        probabilities, where the reads looked, and what each step and unit did.
    """
    from matplotlib.figure import Figure

    num_steps = len(found.step_effects)
    steps = np.arange(1, num_steps + 1)
    figure = Figure(figsize=(12, 7.6), layout="constrained")
    figure.suptitle(title)
    above, below = figure.subfigures(2, 1, height_ratios=(1.05, 1))
    shown = np.linspace(0, num_steps - 1, min(num_steps, 10)).round().astype(int)
    depth = len(volume) / num_steps
    for panel, step in zip(above.subplots(2, 5).flat[: len(shown)], shown, strict=True):
        place = int((step + 0.5) * depth)
        _overlay(panel, volume, found.attention, place)
        panel.set_title(f"step {step + 1}, D = {place}", fontsize=8)
    for panel in above.axes[len(shown) :]:
        panel.set_axis_off()

    panels = below.subplots(1, 4, width_ratios=(1.2, 1.2, 1.2, 0.8))
    for number, name in enumerate(class_names):
        colour = COLOURS[number % len(COLOURS)]
        panels[0].plot(steps, found.running[:, number], "o-", ms=3, color=colour, label=short(name))
    panels[0].set_ylim(0, 1)
    panels[0].set_title("probability after each step", fontsize=9)
    bottom = np.zeros(num_steps)
    for number, name in enumerate(_slot_names(found.shares.shape[1] - 1)):
        colour = COLOURS[number % len(COLOURS)]
        panels[1].bar(steps, found.shares[:, number], bottom=bottom, color=colour, label=name)
        bottom += found.shares[:, number]
    panels[1].set_ylim(0, 1)
    panels[1].set_title("where the reads looked", fontsize=9)
    panels[2].bar(steps, found.step_effects, color=BLUE)
    panels[2].axhline(0, color="black", linewidth=0.8)
    panels[2].set_title("logit lost without the slab", fontsize=9)
    names = _slot_names(len(found.unit_effects))[:-1]
    panels[3].bar(names, found.unit_effects, color=BLUE)
    panels[3].axhline(0, color="black", linewidth=0.8)
    panels[3].set_title("... without the unit", fontsize=9)
    panels[3].tick_params(axis="x", labelsize=8)
    for panel in panels[:3]:
        panel.set_xlabel("step", fontsize=8)
        panel.xaxis.get_major_locator().set_params(integer=True)
    for panel in panels[:2]:
        handles = panel.get_legend_handles_labels()[0]
        if len(handles) <= 6:
            columns = min(len(handles), 2)
            panel.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns)
    return figure


def draw_tokens(volume: np.ndarray, found: Any, title: str) -> Any:
    """Draws where each read token looked, all slabs together.

    Args:
        volume: `(D H W)` uint8.
        found: An `Explanation` of the one volume, as arrays without the axis b.
        title: What stands above.

    Returns:
        A matplotlib figure: a row for each neighbour, a column for each of its r tokens; the
        volume and the heat map are both the largest value along depth.
    """
    from matplotlib.figure import Figure

    rows = max(1, found.shares.shape[1] - 1)
    maps = found.token_attention.max(axis=1)
    columns = len(maps) // rows
    figure = Figure(figsize=(1.35 * columns + 0.6, 1.45 * rows + 0.5), layout="constrained")
    figure.suptitle(f"{title}: where each read token looked", fontsize=9)
    panels = figure.subplots(rows, columns, squeeze=False)
    shadow = volume.max(axis=0)[None]
    names = _slot_names(rows)[:rows] if found.shares.shape[1] > 1 else ["input"]
    for number, panel in enumerate(panels.flat):
        _overlay(panel, shadow, maps[number][None], 0)
        if number % columns == 0:
            panel.set_ylabel(names[number // columns], fontsize=8)
        if number < columns:
            panel.set_title(f"token {number + 1}", fontsize=8)
    return figure


def animate(
    path: Path, volume: np.ndarray, found: Any, class_names: tuple[str, ...], title: str
) -> None:
    """Writes a GIF that pages through the slices; takes the arguments of `draw`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    frames = []
    for place in range(len(volume)):
        step = min(int(place * len(found.running) / len(volume)), len(found.running) - 1)
        figure = Figure(figsize=(6.4, 3.4), dpi=80, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        figure.suptitle(title, fontsize=9)
        left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
        _overlay(left, volume, found.attention, place)
        left.set_title(f"D = {place}, step {step + 1}", fontsize=8)
        chances = found.running[step]
        order = np.argsort(-found.probabilities)[:6]
        names = [short(class_names[number]) for number in order]
        right.barh(names, chances[order], color=[COLOURS[n % len(COLOURS)] for n in order])
        right.set_xlim(0, 1)
        right.invert_yaxis()
        right.set_title("probability so far", fontsize=8)
        right.tick_params(labelsize=8)
        canvas.draw()
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    with whole_file(path) as temporary:
        frames[0].save(
            temporary, format="GIF", save_all=True, append_images=frames[1:], duration=250, loop=0
        )


def _overlay(panel: Any, volume: np.ndarray, heat: np.ndarray, place: int) -> None:
    """A slice in grey with the heat map over it, transparent where it is cold."""
    panel.imshow(volume[place], cmap="gray", vmin=0, vmax=255)
    strength = heat[place] / max(heat.max(), 1e-12)
    panel.imshow(strength, cmap="inferno", vmin=0, vmax=1, alpha=0.75 * strength**0.5)
    panel.set_xticks([])
    panel.set_yticks([])


def _slot_names(units: int) -> list[str]:
    """Names of the neighbours in the order of the ring, then of the input."""
    names = ["current", "past", "next"]
    names += [f"{'past' if n % 2 else 'next'} {(n + 1) // 2}" for n in range(3, units)]
    return [*names[:units], "input"]
