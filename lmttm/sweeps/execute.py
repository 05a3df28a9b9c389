"""Runs a sweep: one trial after the other, or as tasks of a Ray cluster."""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.errors import InputError, RunError
from lmttm.report.sweep_figure import sweep_figure
from lmttm.storage import write_text
from lmttm.sweeps import plan
from lmttm.sweeps.plan import Trial
from lmttm.sweeps.tables import collect, to_csv, to_markdown
from lmttm.training.interrupt import Interrupted
from lmttm.training.loop import train

Outcome = tuple[str, int, str]  # the trial's name, its exit code, its error


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found.

    Attributes:
        folder: Where its runs and tables lie.
        rows: A row of results.csv for each finished trial.
        table: The text of results.md; empty without rows.
        failures: The error of each failed trial, by name.
        interrupted: Whether it was stopped before its end.
    """

    folder: Path
    rows: list[dict[str, Any]]
    table: str
    failures: dict[str, str]
    interrupted: bool


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
    costs = {trial.name: _cost(trial) for trial in trials}
    splits = ["val", "test"] if test else ["val"]
    waiting = [trial for trial in trials if not all(plan.is_finished(trial, s) for s in splits)]
    _make_folder(folder / "logs")
    report(f"{len(trials)} trials, {len(trials) - len(waiting)} of them finished; {folder}")

    outcomes = _on_ray(waiting, splits, gpus_per_trial) if ray else _one_by_one(waiting, splits)
    failures, interrupted = {}, False
    with tqdm(
        total=len(trials),
        initial=len(trials) - len(waiting),
        unit="trial",
        dynamic_ncols=True,
        disable=not progress,
    ) as bar:
        for name, code, error in outcomes:
            interrupted = code == 130
            if interrupted:
                break
            if code:
                failures[name] = error
            bar.update()

    rows = collect(trials, splits, costs)
    write_text(folder / "results.csv", to_csv(rows))
    table = ""
    if rows:
        axes = list(trials[0].labels)
        table = to_markdown(rows, axes, splits)
        write_text(folder / "results.md", table)
        sweep_figure(folder / "results.png", rows, axes, f"{splits[-1]}_auc")
    return SweepResult(folder, rows, table, failures, interrupted)


def _cost(trial: Trial) -> tuple[int, float]:
    try:
        return plan.cost(trial.config)
    except (InputError, ValueError, RuntimeError) as error:
        raise InputError(f"trial {trial.name} cannot be built: {error}") from None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the sweep's folder {folder} cannot be made: {error.strerror}") from None


def _one_by_one(trials: list[Trial], splits: list[str]) -> Iterator[Outcome]:
    for trial in trials:
        yield run_trial(trial, splits)


def _on_ray(trials: list[Trial], splits: list[str], gpus: float) -> Iterator[Outcome]:
    """Trials as Ray tasks; every machine of the cluster must see the same folders."""
    try:
        import ray
    except ImportError:
        raise InputError('--ray needs Ray: pip install -e ".[ray]"') from None

    # Workers import this package from where it lies and write where the driver would.
    root = Path(__file__).resolve().parents[2]
    environment = {"env_vars": {"PYTHONPATH": str(root)}}
    ray.init(log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment)
    try:
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_run_in)
        waiting = {remote.remote(os.getcwd(), trial, splits): trial for trial in trials}
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            trial = waiting.pop(done)
            try:
                yield ray.get(done)
            except ray.exceptions.RayError as error:
                yield trial.name, 1, str(error).splitlines()[0]
    finally:
        ray.shutdown()


def _run_in(folder: str, trial: Trial, splits: list[str]) -> Outcome:
    os.chdir(folder)
    return run_trial(trial, splits)


def run_trial(trial: Trial, splits: list[str]) -> Outcome:
    """Trains a trial and scores it as an ordinary run; what it reports goes to its log."""
    folder = trial.config.run_dir
    path = folder.parent / "logs" / f"{trial.name}.log"
    with path.open("w", encoding="utf-8") as log, _logging_to(log):
        try:
            begun = plan.is_begun(trial)
            run = train(
                trial.config,
                resume=begun,
                replace=not begun,
                report=lambda text: print(text, file=log, flush=True),
            )
            for split in splits:
                run.score(split)
        except Interrupted as error:
            print(error, file=log)
            return trial.name, error.exit_code, str(error)
        except KeyboardInterrupt:
            return trial.name, 130, "interrupted"
        except RunError as error:
            print(f"{error.prefix}{error}", file=log)
            return trial.name, error.exit_code, str(error)
        except Exception as error:  # one broken trial must not end the sweep
            traceback.print_exc(file=log)
            return trial.name, 1, f"{type(error).__name__}: {error}"
    return trial.name, 0, ""


@contextlib.contextmanager
def _logging_to(file: TextIO) -> Iterator[None]:
    cli.log_to(file)
    try:
        yield
    finally:
        cli.log_to(sys.stderr)
