"""Paired differences between the runs of a sweep, with an interval for each question."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lmttm.evaluation.comparison import Array, Interval, Part, over_folds, over_seeds, over_volumes

Row = dict[str, Any]
Groups = dict[tuple[str, ...], list[Row]]


class Said(NamedTuple):
    """What a run said about a split.

    Attributes:
        labels: `(N)` integers.
        probabilities: `(N C)`.
        patients: Of each volume; None where they are not known.
    """

    labels: Array
    probabilities: Array
    patients: Sequence[str] | None = None


Predictions = Callable[[str, str], Said]  # of a run, by its name, about a split

HEAD = "Differences to the first value of the last axis, with 95 % intervals (docs/sweeps.md):\n"


def paired_tables(
    groups: Groups, axes: list[str], columns: list[tuple[str, str]], predictions: Predictions
) -> str:
    """A table for each score of each split.

    Args:
        groups: The rows of each combination of axis values.
        axes: The names of the axes.
        columns: Split and score of each table.
        predictions: What a run said about a split.

    Returns:
        Markdown; empty where there is nothing to compare.
    """
    blocks = []
    for split, score in columns:
        lines = []
        for key, members in groups.items():
            first = next(k for k in groups if k[:-1] == key[:-1])
            pairs = _pairs(groups[first], members, f"{split}_{score}")
            if key == first or not pairs:
                continue
            runs, how = _over_runs(pairs, f"{split}_{score}")
            volumes = over_volumes(_parts(pairs, split, predictions), score)
            mean = np.mean([b[f"{split}_{score}"] - a[f"{split}_{score}"] for a, b in pairs])
            cells = [f"{mean:+.3f}", f"{runs or '-'}", how, *_shown(volumes)]
            lines.append([*key, first[-1], *cells])
        if lines:
            head = [*axes, "against", f"difference in {split}_{score}", "over runs", "runs"]
            head += ["averaged predictions", "over volumes"]
            rows = [head, ["---"] * len(head), *lines]
            blocks += ["", *("| " + " | ".join(row) + " |" for row in rows)]
    return f"\n{HEAD}" + "\n".join(blocks) + "\n" if blocks else ""


def _pairs(first: list[Row], second: list[Row], column: str) -> list[tuple[Row, Row]]:
    """Runs of two groups with the same seed and fold, that both have the score."""
    partners = {(row["seed"], row.get("fold")): row for row in first if row[column] is not None}
    return [
        (partners[place], row)
        for row in second
        if row[column] is not None and (place := (row["seed"], row.get("fold"))) in partners
    ]


def _over_runs(pairs: list[tuple[Row, Row]], column: str) -> tuple[Interval | None, str]:
    """The interval over folds where there are folds, else over seeds; and what it is over."""
    by_fold = defaultdict(list)
    for a, b in pairs:
        by_fold[a.get("fold")].append(b[column] - a[column])
    if None not in by_fold:
        means = [float(np.mean(values)) for values in by_fold.values()]
        number = len({a["seed"] for a, _ in pairs})
        how = f"{len(means)} folds" + (f" x {number} seeds" if number > 1 else "")
        return over_folds(means, pairs[0][0]["folds"]), how
    seeds = "1 seed" if len(pairs) == 1 else f"{len(pairs)} seeds"
    return over_seeds(by_fold[None]), f"{seeds} only"


def _parts(pairs: list[tuple[Row, Row]], split: str, predictions: Predictions) -> list[Part]:
    """The averaged predictions of both groups for the volumes that all of their runs scored.

    Each fold has a validation split of its own; the test split is the same for all.
    """
    together: dict[int | None, list[tuple[Row, Row]]] = defaultdict(list)
    for a, b in pairs:
        together[a.get("fold") if split == "val" else None].append((a, b))
    parts = []
    for members in together.values():
        found = [[predictions(row["trial"], split) for row in pair] for pair in members]
        labels, _, patients = found[0][0]
        if any(not np.array_equal(labels, said.labels) for pair in found for said in pair):
            return []  # scored on different volumes
        first, second = (np.mean([pair[i].probabilities for pair in found], axis=0) for i in (0, 1))
        parts.append(Part(labels, first, second, patients))
    return parts


def _shown(interval: Interval | None) -> tuple[str, str]:
    return ("-", "-") if interval is None else (f"{interval.mean:+.3f}", str(interval))
