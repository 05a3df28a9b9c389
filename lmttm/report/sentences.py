"""An explanation in plain words."""

from collections.abc import Sequence

import numpy as np

from lmttm.evaluation.explanation import Explanation
from lmttm.evaluation.saliency import Saliency

TRUST = (
    "A map of attention shows where the reads took their tokens from, not why the answer is what "
    "it is, and it may mark places that do not matter. To blank a slab shows what this model "
    "does without it; a blanked slab is unlike any scan of the training data, so that small "
    "changes mean nothing. Neither is evidence about the patient."
)

TRUST_OF_MAPS = (
    "Occlusion shows what this model does without a cube, and an empty cube is unlike any scan of "
    "the training data, so that small changes mean nothing. Grad-CAM shows coarsely where the "
    "activity of a layer raised the logit of the answer, and may mark places that do not matter. "
    "Neither is evidence about the patient."
)


def percent(probability: float) -> str:
    """A probability as a percentage that never rounds to certainty."""
    if probability > 0.99 or probability < 0.01:
        if probability > 0.9999:
            return "more than 99.99 %"
        if probability < 0.0001:
            return "less than 0.01 %"
        return f"{100 * probability:.2f} %"
    if probability > 0.95 or probability < 0.05:
        return f"{100 * probability:.1f} %"
    return f"{100 * probability:.0f} %"


def slab_name(slab: tuple[int, int]) -> str:
    """The slices of a slab, counted from 1."""
    first, last = slab[0] + 1, slab[1] + 1
    return f"slice {first}" if first == last else f"slices {first} to {last}"


def unit_names(units: int) -> list[str]:
    """Names of the neighbours in the order of the ring, then of the input."""
    names = ["current", "past", "next"]
    names += [f"{'past' if n % 2 else 'next'} {(n + 1) // 2}" for n in range(3, units)]
    return [*names[:units], "input"]


def sentences(
    found: Explanation[np.ndarray], slabs: Sequence[tuple[int, int]], class_names: Sequence[str]
) -> list[str]:
    """Says in plain words what an explanation found.

    Args:
        found: An `Explanation` of one volume, as arrays without the axis b.
        slabs: The first and last slice of each step.
        class_names: The names of the classes.

    Returns:
        Sentences: the answer, the slab and the memory unit without which it changes most.
    """
    parts = [_answer(found.probabilities, class_names)]
    answer = int(np.argmax(found.probabilities))
    others = np.flatnonzero(found.running.argmax(axis=1) != answer)
    first = int(others[-1]) + 1 if len(others) else 0
    if 0 < first < len(slabs):
        parts.append(f"From {slab_name(slabs[first])} on, this is the class that it prefers.")
    kinds = {
        "slab": ([slab_name(slab) for slab in slabs], found.step_effects, found.without_step),
        "memory unit": (
            [f"the {name} memory unit" for name in unit_names(len(found.unit_effects))[:-1]],
            found.unit_effects,
            found.without_unit,
        ),
    }
    for kind, (names, effects, without) in kinds.items():
        if len(names) > (kind == "slab"):  # a single slab is the volume
            worst = int(np.argmax(effects))
            left = (float(effects[worst]), without[worst])
            parts.append(_without(kind, names[worst], left, found.probabilities, class_names))
    return parts


def sentences_of_maps(found: Saliency, class_names: Sequence[str]) -> list[str]:
    """Says in plain words what occlusion found.

    Args:
        found: Of one volume.
        class_names: The names of the classes.

    Returns:
        Sentences: the answer, the cube without which it changes most.
    """
    places = [
        f"{first + 1} to {last + 1} ({axis})"
        for (first, last), axis in zip(found.cube, "DHW", strict=True)
    ]
    name = f"the cube of slices {places[0]}, rows {places[1]} and columns {places[2]}"
    left = (found.cube_effect, found.without_cube)
    return [
        _answer(found.probabilities, class_names),
        _without("cube", name, left, found.probabilities, class_names),
    ]


def _answer(probabilities: np.ndarray, class_names: Sequence[str]) -> str:
    answer = int(np.argmax(probabilities))
    return (
        f"The model predicts {class_names[answer]} with a probability of "
        f"{percent(float(probabilities[answer]))}."
    )


def _without(
    kind: str,
    name: str,
    left: tuple[float, np.ndarray],
    probabilities: np.ndarray,
    class_names: Sequence[str],
) -> str:
    """What changes without a part: `left` is its effect and the probabilities without it."""
    answer = int(np.argmax(probabilities))
    effect, remaining = left
    before, after = percent(float(probabilities[answer])), percent(float(remaining[answer]))
    if effect <= 0 or before == after:
        return f"No single {kind} lowers this probability if it is left out."
    other = int(remaining.argmax())
    change = f", and the answer would be {class_names[other]}" if other != answer else ""
    return f"Without {name} the probability would fall from {before} to {after}{change}."
