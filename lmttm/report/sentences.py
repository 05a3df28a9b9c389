"""An explanation in plain words."""

from collections.abc import Sequence

import numpy as np

from lmttm.evaluation.explanation import Explanation

TRUST = (
    "A map of attention shows where the reads took their tokens from, not why the answer is what "
    "it is, and it may mark places that do not matter. To blank a slab shows what this model "
    "does without it; a blanked slab is unlike any scan of the training data, so that small "
    "changes mean nothing. Neither is evidence about the patient."
)


def percent(probability: float) -> str:
    """A probability as a percentage that never rounds to certainty."""
    if probability > 0.99 or probability < 0.01:
        if probability > 0.9999:
            return "more than 99.99 %"
        if probability < 0.0001:
            return "less than 0.01 %"
        return f"{100 * probability:.2f} %"
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
    answer = int(np.argmax(found.probabilities))
    whole = float(found.probabilities[answer])
    parts = [f"The model predicts {class_names[answer]} with a probability of {percent(whole)}."]
    others = np.flatnonzero(found.running.argmax(axis=1) != answer)
    first = int(others[-1]) + 1 if len(others) else 0
    if 0 < first < len(slabs):
        parts.append(f"From {slab_name(slabs[first])} on, this is the class that it prefers.")
    if len(slabs) > 1:
        parts.append(
            _without(
                "slab",
                found.without_step,
                found.step_effects,
                answer,
                class_names,
                [slab_name(slab) for slab in slabs],
                whole,
            )
        )
    if len(found.unit_effects):
        names = [f"the {name} memory unit" for name in unit_names(len(found.unit_effects))[:-1]]
        parts.append(
            _without(
                "memory unit",
                found.without_unit,
                found.unit_effects,
                answer,
                class_names,
                names,
                whole,
            )
        )
    return parts


def _without(
    kind: str,
    probabilities: np.ndarray,
    effects: np.ndarray,
    answer: int,
    class_names: Sequence[str],
    names: list[str],
    whole: float,
) -> str:
    worst = int(np.argmax(effects))
    left = float(probabilities[worst, answer])
    if effects[worst] <= 0 or percent(left) == percent(whole):
        return f"No single {kind} lowers this probability if it is left out."
    fall = f"from {percent(whole)} to {percent(left)}"
    other = int(probabilities[worst].argmax())
    change = f", and the answer would be {class_names[other]}" if other != answer else ""
    return f"Without {names[worst]} the probability would fall {fall}{change}."
