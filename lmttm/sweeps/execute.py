"""Runs a whole sweep: checks, trials, tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lmttm.config.files import load_config
from lmttm.config.schema import Config
from lmttm.data.sources import load_dataset
from lmttm.device import pick_device
from lmttm.errors import InputError
from lmttm.report.sweep_figure import sweep_figure
from lmttm.runs import checkpoint
from lmttm.runs.checkpoint import BEST
from lmttm.storage import shown, write_text
from lmttm.sweeps import plan
from lmttm.sweeps.cost import costs_of
from lmttm.sweeps.finished import is_finished
from lmttm.sweeps.plan import Trial
from lmttm.sweeps.tables import collect, predictions_in, to_csv, to_markdown
from lmttm.sweeps.trials import SIGNALLED, on_ray, one_by_one
from lmttm.training.interrupt import interruption


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found.

    Attributes:
        folder: Where its runs and tables lie.
        rows: A row of results.csv for each finished trial.
        table: The text of results.md; empty without rows.
        failures: The error of each failed trial, by name.
        exit_code: 128 and the number of the signal that stopped it before its end; else 1 where
            a trial failed, and 0.
    """

    folder: Path
    rows: list[dict[str, Any]]
    table: str
    failures: dict[str, str]
    exit_code: int


def run_sweep(
    sweep: str,
    overrides: Sequence[str] = (),
    *,
    test: bool = False,
    folds: int = 0,
    ray: bool = False,
    gpus_per_trial: float = 0.0,
    report: Callable[[str], None] = lambda text: None,
    progress: bool = False,
) -> SweepResult:
    """Trains and scores every trial of a sweep that is not finished, and writes its tables.

    Args:
        sweep: A file of `config/sweeps/`, or a path.
        overrides: `key=value` texts for all trials; `base=demo.json` changes the base.
        test: Whether the test split is scored as well.
        folds: Parts for cross-validation; 0 for the official splits.
        ray: Whether the trials run as tasks of the Ray cluster that RAY_ADDRESS names.
        gpus_per_trial: With Ray, the share of a GPU for each trial; 0 for the CPU.
        report: Called with a line about the number of trials.
        progress: Whether a progress bar is shown.

    Returns:
        What was found. Failed trials do not end a sweep.

    Raises:
        InputError: The sweep cannot be used; nothing has been trained.
    """
    base = [text.removeprefix("base=") for text in overrides if text.startswith("base=")]
    overrides = [text for text in overrides if not text.startswith("base=")]
    path = plan.find_sweep(sweep)
    loaded = plan.load_sweep(path, base[-1] if base else None)
    folder = Path(load_config(loaded.base, overrides).output_dir).absolute() / path.stem
    trials = plan.make_trials(loaded, overrides, str(folder), folds)
    splits = ["val", "test"] if test else ["val"]
    waiting = [t for t in trials if not all(is_finished(t.config, s) for s in splits)]
    _check_shared(trials, waiting, devices=not ray)
    costs = costs_of(trials)
    _make_folder(folder / "logs")
    report(f"{len(trials)} trials, {len(trials) - len(waiting)} of them finished; {shown(folder)}")

    failures, stopped, left = {}, 0, len(waiting)
    with (
        interruption() as stop,
        tqdm(
            total=len(trials),
            initial=len(trials) - len(waiting),
            unit="trial",
            dynamic_ncols=True,
            disable=not progress,
        ) as bar,
    ):
        run = partial(on_ray, gpus=gpus_per_trial) if ray else one_by_one
        for name, code, error in run(waiting, splits, stop):
            if code in SIGNALLED:
                stopped = code
                continue
            if code:
                failures[name] = error
            bar.update()
            left -= 1
        if stop.signal and left:  # one that came after the last trial stopped nothing
            stopped = 128 + stop.signal

    rows = collect(trials, splits, costs)
    write_text(folder / "results.csv", to_csv(rows))
    table = ""
    if rows:
        axes = list(trials[0].labels)
        table = to_markdown(rows, axes, splits, predictions_in(folder))
        write_text(folder / "results.md", table)
        sweep_figure(folder / "results.png", rows, axes, splits[-1], title=folder.name)
    return SweepResult(folder, rows, table, failures, stopped or int(bool(failures)))


def _check_shared(trials: list[Trial], waiting: list[Trial], *, devices: bool) -> None:
    """Raises what would fail in many trials alike, before the first of them: devices and data.

    And where trials that are finished had other volumes under the same name.
    """
    for name in dict.fromkeys(trial.config.device for trial in waiting if devices):
        pick_device(name)
    for data, trial in {_data_of(trial.config): trial for trial in waiting}.items():
        content = set(load_dataset(trial.config).digest().split())
        for other in trials:
            if other not in waiting and _data_of(other.config) == data:
                _refuse_other_volumes(other, content)


def _data_of(config: Config) -> str:
    """What decides which volumes a trial is trained and scored on."""
    keys = ("dataset_name", "size", "root", "folds", "fold", "volume")
    return str([config.model.out_class_num, *(getattr(config, key) for key in keys)])


def _refuse_other_volumes(finished: Trial, content: set[str]) -> None:
    run_dir = finished.config.run_dir
    known = set(checkpoint.load(run_dir / BEST).data.split())
    if known and known != content:
        raise InputError(
            f"the data set {finished.config.dataset_name} was replaced since the trial "
            f"{finished.name} was run, and a table must not mix the two; give another output_dir, "
            f"or remove {run_dir.parent}"
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the sweep's folder {folder} cannot be made: {error.strerror}") from None
