"""Repeats a row of the README's tables and compares it with the committed scores.

`results/rows.json` says how each row is run; `results/<row>/<seed>/metrics.json` hold its scores.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmttm.config.files import load_config, read_json
from lmttm.errors import InputError
from lmttm.runs.folder import refuse_other_run
from lmttm.sweeps.finished import is_finished
from lmttm.training.loop import train

RESULTS = Path(__file__).resolve().parents[2] / "results"
SCORES = ("acc", "auc")


@dataclass(frozen=True)
class Row:
    """A row of the tables.

    Attributes:
        name: Of the row, and of its folder in `results/`.
        config: The configuration that it starts from.
        overrides: `key=value` texts over it.
        minutes: What a seed takes on a CPU, about.
        committed: The committed test scores: for each seed `acc` and `auc`.
    """

    name: str
    config: str
    overrides: tuple[str, ...]
    minutes: float
    committed: dict[int, dict[str, float]]


@dataclass(frozen=True)
class Comparison:
    """A score found anew beside the committed ones.

    Attributes:
        score: acc or auc.
        found: The mean over the seeds that were run.
        interval: Where 95 % of such means lie, by the spread of the committed seeds; None where
            these have none: one seed alone, or the same score with each.
        committed: The mean of the committed seeds.
    """

    score: str
    found: float
    interval: tuple[float, float] | None
    committed: float

    @property
    def agrees(self) -> bool | None:
        """Whether it lies in the interval; None where there is none."""
        if self.interval is None:
            return None
        return self.interval[0] <= self.found <= self.interval[1]


def rows(folder: Path = RESULTS) -> dict[str, Row]:
    """All rows that can be repeated, by name.

    Raises:
        InputError: The folder of results is missing: it lies in the clone, not in the package.
    """
    path = folder / "rows.json"
    if not path.is_file():
        raise InputError(f"{path} is missing; the committed results lie in a clone of the project")
    return {
        name: Row(
            name,
            row["config"],
            tuple(row["overrides"]),
            row["minutes"],
            _committed(folder / name),
        )
        for name, row in read_json(path).items()
    }


def _committed(folder: Path) -> dict[int, dict[str, float]]:
    scores = {}
    for path in sorted(folder.glob("[0-9]*/metrics.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        scores[int(path.parent.name)] = {score: found[score] for score in SCORES}
    return scores


def reproduce(
    row: Row,
    overrides: Sequence[str] = (),
    *,
    seeds: Sequence[int] = (),
    replace: bool = False,
    report: Callable[[str], None] = lambda text: None,
    progress: bool = False,
) -> list[Comparison]:
    """Trains and scores a row: resumes interrupted seeds and keeps finished ones.

    Args:
        row: The row.
        overrides: Where to find the data and how to compute, such as `root=...`.
        seeds: The seeds to run; empty for all committed ones.
        replace: Whether seeds that are begun or finished are started anew.
        report: Called with each text that a person may want to read.
        progress: Whether progress bars are shown.

    Returns:
        A comparison for ACC and one for AUC.

    Raises:
        InputError: A seed lies there with another configuration.
        Interrupted: A signal stopped a training; its state is saved.
    """
    configs = [
        load_config(row.config, [*row.overrides, *overrides, f"seed={seed}", _name(row, seed)])
        for seed in seeds or sorted(row.committed)
    ]
    for config in configs if not replace else ():
        refuse_other_run(config)
    found = []
    for config in configs:
        if not replace and is_finished(config, "test"):
            report(f"{config.run_dir} is finished: its scores are kept")
            text = (config.run_dir / "test" / "metrics.json").read_text(encoding="utf-8")
            found.append(json.loads(text))
            continue
        run = train(config, replace=replace, resume=not replace, report=report, progress=progress)
        found.append(run.score("test", progress=progress).metrics)
    return [
        compare(
            score,
            [scores[score] for scores in found],
            [scores[score] for scores in row.committed.values()],
        )
        for score in SCORES
    ]


def _name(row: Row, seed: int) -> str:
    return f"train.name=reproduce-{row.name}-s{seed}"


def compare(score: str, found: Sequence[float], committed: Sequence[float]) -> Comparison:
    """Compares a mean over new seeds with committed seeds.

    Args:
        score: The name of the score.
        found: It, for each new seed.
        committed: It, for each committed seed.

    Returns:
        The comparison; its interval is Student's prediction interval for a mean of as many
        new seeds.
    """
    from scipy import stats

    mean = float(np.mean(committed))
    interval = None
    if np.ptp(committed) > 0:
        spread = np.std(committed, ddof=1) * np.sqrt(1 / len(found) + 1 / len(committed))
        reach = float(stats.t.ppf(0.975, len(committed) - 1) * spread)
        interval = (mean - reach, mean + reach)
    return Comparison(score, float(np.mean(found)), interval, mean)
