"""The tables of a sweep: scores of its runs, means, paired differences."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from lmttm.sweeps.plan import SCORES, Trial, is_finished


def collect(
    trials: Iterable[Trial], splits: list[str], costs: dict[str, tuple[int, float]]
) -> list[dict]:
    """A row for each finished trial: labels, seed, scores, parameters, GFLOP, seconds.

    Args:
        trials: The trials.
        splits: Splits that were scored.
        costs: What `cost` gives, by the trial's name.

    Returns:
        The rows of `results.csv`.
    """
    rows = []
    for trial in trials:
        if not all(is_finished(trial, split) for split in splits):
            continue
        folder = trial.config.run_dir
        row: dict[str, Any] = {"trial": trial.name, **trial.labels, "seed": trial.config.seed}
        row |= {"fold": trial.config.fold} if trial.config.folds else {}
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


def to_csv(rows: list[dict]) -> str:
    """The rows as a CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["trial"])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def group(rows: list[dict], axes: list[str]) -> dict[tuple[str, ...], list[dict]]:
    """The rows of each combination of axis values, in the order of the sweep."""
    groups: dict[tuple[str, ...], list[dict]] = {}
    for row in rows:
        groups.setdefault(tuple(row[axis] for axis in axes), []).append(row)
    return groups


def to_markdown(rows: list[dict], axes: list[str], splits: list[str]) -> str:
    """Mean +- standard deviation over seeds, the best in bold, and paired differences.

    Args:
        rows: What `collect` gives.
        axes: The axes of the sweep, the data set first where there are several.
        splits: Splits that were scored.

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
    return "\n".join(lines) + "\n" + _paired(groups, axes, columns)


def _paired(groups: dict, axes: list[str], columns: list[str]) -> str:
    """Differences to the first value of the last axis, seed by seed, with a 95 % interval."""
    blocks = []
    for column in columns:
        lines = []
        for key, members in groups.items():
            first = next(k for k in groups if k[:-1] == key[:-1])
            reference = {_partner(member): member[column] for member in groups[first]}
            pairs = [
                member[column] - reference[_partner(member)]
                for member in members
                if reference.get(_partner(member)) is not None and member[column] is not None
            ]
            if key != first and len(pairs) > 1:
                low, high = interval(pairs)
                told = [f"{np.mean(pairs):+.3f}", f"{low:+.3f} to {high:+.3f}", str(len(pairs))]
                lines.append(_row([*key, first[-1], *told]))
        if lines:
            head = [*axes, "against", f"difference in {column}", "95 % interval", "pairs"]
            blocks += ["", _row(head), _row(["---"] * len(head)), *lines]
    if not blocks:
        return ""
    title = "\nPaired differences, seed by seed (Student's t interval of the mean difference):\n"
    return title + "\n".join(blocks) + "\n"


def _partner(row: dict) -> tuple[int, int | None]:
    """What two runs have in common that are compared: the seed, and the fold if there is one."""
    return row["seed"], row.get("fold")


def interval(differences: list[float]) -> tuple[float, float]:
    """The 95 % interval of the mean of paired differences, by Student's t."""
    from scipy import stats

    mean, error = np.mean(differences), stats.sem(differences)
    reach = stats.t.ppf(0.975, len(differences) - 1) * error
    return float(mean - reach), float(mean + reach)


def _summary(members: list[dict], column: str) -> tuple[float, str]:
    values = [member[column] for member in members if member[column] is not None]
    if not values:
        return float("-inf"), "-"
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, f"{mean:.3f}"
    return mean, f"{mean:.3f} ± {np.std(values, ddof=1):.3f}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
