"""The explanation of a volume: one HTML file, or the part of it that another page shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmttm.data.tables import path_columns
from lmttm.evaluation.explanation import Explanation
from lmttm.evaluation.saliency import Saliency
from lmttm.report import page
from lmttm.report.effects import effect_plots
from lmttm.report.running_plot import running_plot
from lmttm.report.sentences import (
    TRUST,
    TRUST_OF_MAPS,
    percent,
    sentences,
    sentences_of_maps,
    slab_name,
    unit_names,
)
from lmttm.report.sheet import centre_of
from lmttm.report.style import to_svg


@dataclass(frozen=True)
class HeatMap:
    """A map over the voxels of a volume, beside the same model's with random weights.

    Attributes:
        name: A word for the names of its files, such as heat.
        title: What stands above it.
        legend: What its colours mean.
        heat: `(D H W)`, not negative.
        random: The same of the model with random weights.
    """

    name: str
    title: str
    legend: str
    heat: np.ndarray
    random: np.ndarray


@dataclass(frozen=True)
class ExplainedVolume:
    """What a page shows of one volume.

    Attributes:
        grey: `(C D H W)` uint8, the grey channels as the model sees them.
        found: An `Explanation` of the one volume, as arrays without the axis b; or the
            `Saliency` of a model that has neither steps nor memory.
        maps: At least one.
        slabs: The first and last slice of each step; empty where there are no steps.
        class_names: The names of the classes.
        warnings: Where the volume is unlike the training data, as sentences.
        notes: What else a reader must know about the probabilities, as sentences.
    """

    grey: np.ndarray
    found: Explanation[np.ndarray] | Saliency
    maps: Sequence[HeatMap]
    slabs: Sequence[tuple[int, int]]
    class_names: Sequence[str]
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()


def explain_page(
    explained: ExplainedVolume, *, title: str, commands: Sequence[str], notices: Sequence[str] = ()
) -> str:
    """Builds the whole page.

    Args:
        explained: The volume and its explanation.
        title: The run, the volume and its label where it is known.
        commands: What repeats the explanation.
        notices: What a reader must know first, as sentences.

    Returns:
        HTML that needs nothing else.
    """
    return page.page(
        "explain.html",
        title=title,
        notices=notices,
        data=viewer_data(explained),
        commands=commands,
        **_values(explained),
    )


def explain_fragment(explained: ExplainedVolume) -> str:
    """Builds the part that another page can take in."""
    return page.fragment("explanation.html", **_values(explained))


def viewer_data(explained: ExplainedVolume) -> dict[str, Any]:
    """What the slice viewer needs: the first channel under each map, the others, and the slabs."""
    first, *others = explained.grey
    start = centre_of(first)
    heats = [heat for found in explained.maps for heat in (found.heat, found.random)]
    return {
        "volumes": [page.packed(first, heat, start) for heat in heats],
        "channels": [page.pack(other) for other in others],
        "slabs": [list(slab) for slab in explained.slabs],
    }


def sanity(heat: np.ndarray, random: np.ndarray) -> str:
    """Says how much of a map is there without any training.

    Args:
        heat: `(D H W)`, of the trained model.
        random: `(D H W)`, of the same model with random weights.

    Returns:
        A sentence with the rank correlation of the two.
    """
    from scipy.stats import spearmanr

    if not heat.any():
        return "This model's map is empty: it shows nothing that speaks for the answer."
    one, two = heat.ravel(), random.ravel()
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return "One of the two maps is the same everywhere, so they cannot be compared."
    similarity = float(spearmanr(one, two).statistic)
    share = "much" if abs(similarity) > 0.5 else "some" if abs(similarity) > 0.2 else "little"
    return (
        f"The rank correlation of the two maps is {similarity:.2f}: {share} of this map is there "
        "without any training and shows the volume itself."
    )


def _values(explained: ExplainedVolume) -> dict[str, Any]:
    found, names = explained.found, explained.class_names
    if isinstance(found, Saliency):
        words, trust, steps = sentences_of_maps(found, names), TRUST_OF_MAPS, None
    else:
        words, trust = sentences(found, explained.slabs, names), TRUST
        steps = _steps(found, explained.slabs, names)
    return {
        "warnings": explained.warnings,
        "channels": path_columns(len(explained.grey)),
        "sentences": [*words, *explained.notes],
        "maps": [
            {
                "title": chosen.title,
                "legend": chosen.legend,
                "sanity": sanity(chosen.heat, chosen.random),
            }
            for chosen in explained.maps
        ],
        "trust": trust,
        "steps": steps,
    }


def _steps(
    found: Explanation[np.ndarray], slabs: Sequence[tuple[int, int]], names: Sequence[str]
) -> dict[str, Any]:
    """What only a machine has: slabs, and memory units."""
    from matplotlib.figure import Figure

    answer = int(np.argmax(found.probabilities))
    figure = Figure(figsize=(12, 4), layout="constrained")
    effect_plots(figure.subplots(1, 3, width_ratios=(1.2, 1.2, 0.8)), found, names)
    units = unit_names(len(found.without_unit))[:-1]
    return {
        "running_plot": page.markup(running_plot(found.running, names)),
        "effects_figure": page.markup(to_svg(figure, "attention and effects of slabs and units")),
        "prediction": names[answer],
        "rows": [
            {
                "slices": slab_name(slab).split(" ", 1)[1],
                "running": percent(found.running[step, answer]),
                "without": percent(found.without_step[step, answer]),
            }
            for step, slab in enumerate(slabs)
        ],
        "units": [
            {"name": name, "without": percent(found.without_unit[number, answer])}
            for number, name in enumerate(units)
        ],
    }
