"""The tables of a sweep: scores of its runs, means, paired differences."""

import csv
import io
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lmttm.sweeps.differences import Groups, Predictions, Row, Said, paired_tables
from lmttm.sweeps.finished import is_finished
from lmttm.sweeps.plan import SCORES, Trial


def collect(
    trials: Iterable[Trial], splits: list[str], costs: dict[str, tuple[int, float]]
) -> list[Row]:
    """A row for each finished trial: labels, seed, scores, parameters, GFLOP, seconds.

    Args:
        trials: The trials.
        splits: Splits that were scored.
        costs: Parameters and GFLOP of each trial, by its name; see `cost.costs_of`.

    Returns:
        The rows of `results.csv`.
    """
    rows = []
    for trial in trials:
        if not all(is_finished(trial.config, split) for split in splits):
            continue
        folder = trial.config.run_dir
        row: dict[str, Any] = {"trial": trial.name, **trial.labels, "seed": trial.config.seed}
        if folds := trial.config.folds:
            row |= {"folds": folds, "fold": trial.config.fold}
        for split in splits:
            scores = json.loads((folder / split / "metrics.json").read_text(encoding="utf-8"))
            row |= {f"{split}_{score}": scores[score] for score in SCORES}
        records = map(json.loads, (folder / "log.jsonl").read_text(encoding="utf-8").splitlines())
        seconds = [record["seconds"] for record in records]
        row |= {
            "epoch": scores["epoch"],
            "parameters": costs[trial.name][0],
            "gflop": round(costs[trial.name][1], 4),
            "seconds_per_epoch": round(float(np.median(seconds)), 3),
        }
        rows.append(row)
    return rows


def to_csv(rows: list[Row]) -> str:
    """The rows as a CSV text."""
    text = io.StringIO()
    fields = list(rows[0]) if rows else ["trial"]
    writer = csv.DictWriter(text, fieldnames=fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def predictions_in(folder: Path) -> Predictions:
    """Reads what the runs of a folder said about a split, from their predictions.csv."""

    @cache
    def predictions(trial: str, split: str) -> Said:
        path = folder / trial / split / "predictions.csv"
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = [name for name in rows[0] if name.startswith("probability_")]
        labels = np.array([int(row["label"]) for row in rows])
        probabilities = np.array([[float(row[name]) for name in columns] for row in rows])
        patients = [row["patient"] for row in rows] if "patient" in rows[0] else None
        return Said(labels, probabilities, patients)

    return predictions


def group(rows: list[Row], axes: list[str]) -> Groups:
    """The rows of each combination of axis values, in the order of the sweep."""
    groups: Groups = {}
    for row in rows:
        groups.setdefault(tuple(row[axis] for axis in axes), []).append(row)
    return groups


def to_markdown(
    rows: list[Row], axes: list[str], splits: list[str], predictions: Predictions
) -> str:
    """Mean +- standard deviation over runs, the best in bold, and paired differences.

    Args:
        rows: What `collect` gives.
        axes: The axes of the sweep, the data set first where there are several.
        splits: Splits that were scored.
        predictions: What a run said about a split; see `predictions_in`.

    Returns:
        Markdown tables.
    """
    columns = [f"{split}_{score}" for split in splits for score in SCORES]
    groups = group(rows, axes)
    shown = {key: {c: _summary(members, c) for c in columns} for key, members in groups.items()}
    head = [*axes, "runs", *columns, "parameters", "GFLOP/volume", "s/epoch"]
    lines = [_row(head), _row(["---"] * len(head))]
    for key, members in groups.items():
        same = [k for k in groups if "dataset" not in axes or k[0] == key[0]]
        cells = []
        for column in columns:
            mean, text = shown[key][column]
            best = max(shown[k][column][0] for k in same)
            cells.append(f"**{text}**" if mean == best and len(same) > 1 else text)
        first = members[0]
        seconds = np.median([member["seconds_per_epoch"] for member in members])
        numbers = [str(first["parameters"]), f"{first['gflop']:.3f}", f"{seconds:.1f}"]
        lines.append(_row([*key, str(len(members)), *cells, *numbers]))
    pairs = [(split, score) for split in splits for score in SCORES]
    return "\n".join(lines) + "\n" + paired_tables(groups, axes, pairs, predictions)


def _summary(members: list[Row], column: str) -> tuple[float, str]:
    values = [member[column] for member in members if member[column] is not None]
    if not values:
        return float("-inf"), "-"
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, f"{mean:.3f}"
    return mean, f"{mean:.3f} ± {np.std(values, ddof=1):.3f}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
