"""Draws what each slab and memory unit did to the answer of a machine."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lmttm.evaluation.explanation import Explanation
from lmttm.report.sentences import unit_names
from lmttm.report.style import BLUE, RED, colour_of, dash_of, legible, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def probability_plot(
    panel: "Axes", found: Explanation[np.ndarray], class_names: Sequence[str]
) -> None:
    """Draws the probability of each class after each slab.

    Args:
        panel: Where to.
        found: An `Explanation` of one volume, as arrays without the axis b.
        class_names: The names of the classes.
    """
    for number, name in enumerate(class_names):
        panel.plot(
            range(1, len(found.running) + 1),
            found.running[:, number],
            marker="o",
            ms=3,
            label=legible(short(name)),
            color=colour_of(number),
            linestyle=dash_of(number),
        )
    chance = 1 / len(class_names)
    panel.axhline(chance, color="grey", linewidth=1, linestyle=":", label="chance")
    panel.set_title("probability of each class\nafter each slab", fontsize=9)
    panel.set_ylabel("probability", fontsize=9)
    _along_steps(panel, len(found.running))


def effect_plots(
    panels: Sequence["Axes"], found: Explanation[np.ndarray], class_names: Sequence[str]
) -> None:
    """Draws into three panels what changes the answer.

    Args:
        panels: For the attention, the slabs and the units.
        found: An `Explanation` of one volume, as arrays without the axis b.
        class_names: The names of the classes.
    """
    shares, slabs, units = panels
    steps = np.arange(1, len(found.running) + 1)
    bottom = np.zeros(len(steps))
    for number, name in enumerate(unit_names(found.shares.shape[1] - 1)):
        colour = colour_of(number)
        shares.bar(steps, found.shares[:, number], bottom=bottom, color=colour, label=name)
        bottom += found.shares[:, number]
    shares.set_title("what the reads attended to:\nmemory units or the slab itself", fontsize=9)
    shares.set_ylabel("share of the attention", fontsize=9)
    _along_steps(shares, len(steps))
    answer = int(np.argmax(found.probabilities))
    whole = found.probabilities[answer]
    _without(slabs, steps.tolist(), found.without_step[:, answer], whole)
    slabs.set_title(
        f"probability of {legible(short(class_names[answer]))}\nif one slab is empty", fontsize=9
    )
    _along_steps(slabs, len(steps))
    names = unit_names(len(found.without_unit))[:-1]
    _without(units, names, found.without_unit[:, answer], whole)
    units.set_title("... if one memory\nunit reads as zeros", fontsize=9)
    units.set_ylim(0, 1.02)
    units.tick_params(labelsize=8)
    if not names:
        units.text(0.5, 0.5, "no memory", ha="center", transform=units.transAxes)
        units.set_xticks([])


def _along_steps(panel: "Axes", num_steps: int) -> None:
    """What panels have in common that run along the steps and show shares."""
    panel.set_xlabel("slab (step)", fontsize=9)
    panel.set_xlim(0.4, num_steps + 0.6)
    panel.set_ylim(0, 1.02)
    panel.locator_params(axis="x", integer=True)
    panel.tick_params(labelsize=8)
    if len(panel.get_legend_handles_labels()[0]) <= 12:
        panel.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)


def _without(panel: "Axes", names: list[Any], left: np.ndarray, whole: float) -> None:
    panel.bar(names, left, color=BLUE)
    panel.axhline(whole, color=RED, linewidth=1.2, linestyle="--", label="with everything in place")
