"""The explanation of a volume: one HTML file, or the part of it that another page shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmttm.evaluation.explanation import Explanation
from lmttm.report import page
from lmttm.report.heatmap import effect_plots
from lmttm.report.running_plot import running_plot
from lmttm.report.sentences import TRUST, percent, sentences, slab_name, unit_names
from lmttm.report.sheet import centre_of
from lmttm.report.style import to_svg


@dataclass(frozen=True)
class ExplainedVolume:
    """What a page shows of one volume.

    Attributes:
        volume: `(D H W)` uint8, as the model sees it.
        found: An `Explanation` of the one volume, as arrays without the axis b.
        random_attention: `(D H W)`: the attention of the same model with random weights.
        slabs: The first and last slice of each step.
        class_names: The names of the classes.
        warnings: Where the volume is unlike the training data, as sentences.
        notes: What else a reader must know about the probabilities, as sentences.
    """

    volume: np.ndarray
    found: Explanation[np.ndarray]
    random_attention: np.ndarray
    slabs: Sequence[tuple[int, int]]
    class_names: Sequence[str]
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()


def explain_page(explained: ExplainedVolume, *, title: str, commands: Sequence[str]) -> str:
    """Builds the whole page.

    Args:
        explained: The volume and its explanation.
        title: The run, the volume and its label where it is known.
        commands: What repeats the explanation.

    Returns:
        HTML that needs nothing else.
    """
    return page.page(
        "explain.html",
        title=title,
        data=viewer_data(explained),
        commands=commands,
        **_values(explained),
    )


def explain_fragment(explained: ExplainedVolume) -> str:
    """Builds the part that another page can take in."""
    return page.fragment("explanation.html", **_values(explained))


def viewer_data(explained: ExplainedVolume) -> dict[str, Any]:
    """What the slice viewer needs: the volume under both maps, and the slabs."""
    start = centre_of(explained.volume)
    maps = (explained.found.attention, explained.random_attention)
    return {
        "volumes": [page.packed(explained.volume, heat, start) for heat in maps],
        "slabs": [list(slab) for slab in explained.slabs],
    }


def sanity(attention: np.ndarray, random_attention: np.ndarray) -> str:
    """Says how much of a map is there without any training.

    Args:
        attention: `(D H W)`, of the trained model.
        random_attention: `(D H W)`, of the same model with random weights.

    Returns:
        A sentence with the rank correlation of the two.
    """
    from scipy.stats import spearmanr

    one, two = attention.ravel(), random_attention.ravel()
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return "One of the two maps is the same everywhere, so they cannot be compared."
    similarity = float(spearmanr(one, two).statistic)
    share = "much" if abs(similarity) > 0.5 else "some" if abs(similarity) > 0.2 else "little"
    return (
        f"The rank correlation of the two maps is {similarity:.2f}: {share} of this map is there "
        "without any training and shows the volume itself."
    )


def _values(explained: ExplainedVolume) -> dict[str, Any]:
    from matplotlib.figure import Figure

    found, names = explained.found, explained.class_names
    answer = int(np.argmax(found.probabilities))
    figure = Figure(figsize=(12, 4), layout="constrained")
    effect_plots(figure.subplots(1, 3, width_ratios=(1.2, 1.2, 0.8)), found, names)
    units = unit_names(len(found.without_unit))[:-1]
    return {
        "warnings": explained.warnings,
        "sentences": [*sentences(found, explained.slabs, names), *explained.notes],
        "sanity": sanity(found.attention, explained.random_attention),
        "trust": TRUST,
        "running_plot": page.markup(running_plot(found.running, names)),
        "effects_figure": page.markup(to_svg(figure, "attention and effects of slabs and units")),
        "prediction": names[answer],
        "rows": [
            {
                "slices": slab_name(slab).split(" ", 1)[1],
                "running": percent(found.running[step, answer]),
                "without": percent(found.without_step[step, answer]),
            }
            for step, slab in enumerate(explained.slabs)
        ],
        "units": [
            {"name": name, "without": percent(found.without_unit[number, answer])}
            for number, name in enumerate(units)
        ],
    }
