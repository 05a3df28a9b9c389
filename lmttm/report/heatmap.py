"""Draws an explanation: heat maps over slices, as a picture, by read token and as an animation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmttm.evaluation.explanation import Explanation
from lmttm.report.effects import effect_plots, probability_plot
from lmttm.report.sentences import unit_names
from lmttm.report.style import colour_of, legible, put_title, short
from lmttm.storage import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAT = "inferno"


def draw(
    volume: np.ndarray,
    found: Explanation[np.ndarray],
    slabs: Sequence[tuple[int, int]],
    class_names: Sequence[str],
    title: str,
) -> "Figure":
    """Draws an explanation of one volume.

    Args:
        volume: `(D H W)` uint8.
        found: An `Explanation` of the one volume, as arrays without the axis b.
        slabs: The first and last slice of each step.
        class_names: The names of the classes.
        title: What stands above.

    Returns:
        A matplotlib figure: slices with the heat map over them, and below, step by step, the
        probabilities, where the reads attended, and what each step and unit did.
    """
    from matplotlib.figure import Figure

    num_steps = len(slabs)
    figure = Figure(figsize=(12, 8.6), layout="constrained")
    put_title(figure, f"{title}\n{_answer(found, class_names)}", size=11)
    halves: Any = figure.subfigures(2, 1, height_ratios=(1.05, 1))
    above, below = halves
    shown = np.linspace(0, num_steps - 1, min(num_steps, 10)).round().astype(int)
    panels = above.subplots(2, 5)
    image: Any = None
    for panel, step in zip(panels.flat[: len(shown)], shown, strict=True):
        place = sum(slabs[step]) // 2
        image = overlay(panel, volume, found.attention, place)
        panel.set_title(f"slab {step + 1}: slice {place + 1} of {len(volume)}", fontsize=8)
    for panel in panels.flat[len(shown) :]:
        panel.set_axis_off()
    above.colorbar(image, ax=panels, shrink=0.8, label="attention of the reads, 1: its largest")
    first, *others = below.subplots(1, 4, width_ratios=(1.2, 1.2, 1.2, 0.8))
    probability_plot(first, found, class_names)
    effect_plots(others, found, class_names)
    return figure


def _answer(found: Explanation[np.ndarray], class_names: Sequence[str]) -> str:
    answer = int(np.argmax(found.probabilities))
    return f"predicted {class_names[answer]}, p = {found.probabilities[answer]:.3f}"


def draw_tokens(volume: np.ndarray, found: Explanation[np.ndarray], title: str) -> "Figure":
    """Draws what each read token attended to, all slabs together.

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
    figure = Figure(figsize=(max(1.35 * columns + 1.6, 6), 1.5 * rows + 1.1), layout="constrained")
    put_title(
        figure,
        f"{title}\nattention of each read token; projection: the largest value along depth D",
        size=9,
    )
    panels = figure.subplots(rows, columns, squeeze=False)
    shadow = volume.max(axis=0)[None]
    names = unit_names(rows)[:rows] if found.shares.shape[1] > 1 else ["input"]
    image: Any = None
    for number, panel in enumerate(panels.flat):
        image = overlay(panel, shadow, maps[number][None], 0)
        if number % columns == 0:
            panel.set_ylabel(names[number // columns], fontsize=8)
        if number < columns:
            panel.set_title(f"token {number + 1}", fontsize=8)
    figure.colorbar(image, ax=panels, label="attention, 1: the token's largest")
    return figure


def animate(
    path: Path,
    volume: np.ndarray,
    found: Explanation[np.ndarray],
    slabs: Sequence[tuple[int, int]],
    class_names: Sequence[str],
    title: str,
) -> None:
    """Writes a GIF that pages through the slices; takes the arguments of `draw`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    frames = []
    for place in range(len(volume)):
        step = max((n for n, (first, _) in enumerate(slabs) if first <= place), default=0)
        figure = Figure(figsize=(6.4, 3.4), dpi=80, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        put_title(figure, f"{title}\n{_answer(found, class_names)}", size=9)
        left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
        image = overlay(left, volume, found.attention, place)
        figure.colorbar(image, ax=left, shrink=0.8).ax.tick_params(labelsize=7)
        left.set_title(f"slice {place + 1} of {len(volume)}, attention (1: largest)", fontsize=8)
        probabilities = found.running[step]
        order = np.argsort(-found.probabilities)[:6]
        names = [legible(short(class_names[number])) for number in order]
        right.barh(names, probabilities[order], color=[colour_of(n) for n in order])
        right.set_xlim(0, 1)
        right.invert_yaxis()
        right.set_title(f"probability after slab {step + 1}", fontsize=8)
        right.tick_params(labelsize=8)
        canvas.draw()
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    with whole_file(path) as temporary:
        frames[0].save(
            temporary, format="GIF", save_all=True, append_images=frames[1:], duration=250, loop=0
        )


def overlay(panel: "Axes", volume: np.ndarray, heat: np.ndarray, place: int) -> Any:
    """Draws a slice in grey under its heat map, which is transparent where it is cold.

    Args:
        panel: Where to.
        volume: `(D H W)` uint8.
        heat: `(D H W)`, not negative.
        place: The slice along D.

    Returns:
        What a colour bar is made of.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    panel.imshow(volume[place], cmap="gray", vmin=0, vmax=255)
    strength = heat[place] / max(heat.max(), 1e-12)
    panel.imshow(strength, cmap=HEAT, vmin=0, vmax=1, alpha=0.75 * strength**0.5)
    panel.set_xticks([])
    panel.set_yticks([])
    return ScalarMappable(Normalize(0, 1), HEAT)
