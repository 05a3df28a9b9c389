"""Runs the trials of a sweep: one after the other, or as tasks of a Ray cluster."""

import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from lmttm import cli
from lmttm.errors import InputError, RunError, one_line
from lmttm.sweeps.finished import is_begun
from lmttm.sweeps.plan import Trial
from lmttm.training.interrupt import Interruption
from lmttm.training.loop import train

Outcome = tuple[str, int, str]  # the trial's name, its exit code, its error
SIGNALLED = (128 + signal.SIGINT, 128 + signal.SIGTERM)


def run_trial(trial: Trial, splits: list[str]) -> Outcome:
    """Trains a trial and scores it as an ordinary run; what it reports goes to its log."""
    folder = trial.config.run_dir
    path = folder.parent / "logs" / f"{trial.name}.log"
    with path.open("w", encoding="utf-8") as log, _logging_to(log):
        try:
            begun = is_begun(trial.config)
            run = train(
                trial.config,
                resume=begun,
                replace=not begun,
                report=lambda text: print(text, file=log, flush=True),
            )
            for split in splits:
                run.score(split)
        except KeyboardInterrupt:
            return trial.name, 128 + signal.SIGINT, "interrupted"
        except RunError as error:
            print(f"{error.prefix}{error}", file=log)
            return trial.name, error.exit_code, str(error) or type(error).__name__
        except Exception as error:  # one broken trial must not end the sweep
            traceback.print_exc(file=log)
            reason = f": {error}" if str(error) else " (see its log)"
            return trial.name, 1, f"{type(error).__name__}{reason}"
    return trial.name, 0, ""


@contextlib.contextmanager
def _logging_to(file: TextIO) -> Iterator[None]:
    cli.log_to(file)
    try:
        yield
    finally:
        cli.log_to(sys.stderr)


def one_by_one(trials: list[Trial], splits: list[str], stop: Interruption) -> Iterator[Outcome]:
    """Trials in this process; a signal lets the running one save its state and starts no other."""
    for trial in trials:
        outcome = run_trial(trial, splits)
        yield outcome
        if stop.signal or outcome[1] in SIGNALLED:
            return


def on_ray(
    trials: list[Trial], splits: list[str], stop: Interruption, *, gpus: float
) -> Iterator[Outcome]:
    """Trials as Ray tasks; every machine of the cluster must see the same folders."""
    try:
        import ray
    except ImportError:
        raise InputError('--ray needs Ray: pip install -e ".[ray]"') from None

    # Workers import this package from where it lies and write where the driver would. A trial has
    # one core: with the driver's number of threads, trials would wait for each other.
    root = Path(__file__).resolve().parents[2]
    environment = {"env_vars": {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}}
    handler = signal.getsignal(signal.SIGTERM)
    ray.init(log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment)
    if signal.getsignal(signal.SIGTERM) is not handler:  # Ray's would end the process at once
        signal.signal(signal.SIGTERM, handler)
    try:
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_run_in)
        waiting = {remote.remote(os.getcwd(), trial, splits): trial for trial in trials}
        cancelled = False
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1, timeout=1)
            if stop.signal and not cancelled:  # as Ctrl-C in each worker: its trial is saved
                for task in waiting:
                    ray.cancel(task)
                cancelled = True
            for task in done:
                trial = waiting.pop(task)
                try:
                    outcome = ray.get(task)
                except ray.exceptions.TaskCancelledError:
                    continue  # it had not begun
                except ray.exceptions.RayError as error:
                    outcome = trial.name, 1, one_line(error)
                yield outcome
    finally:
        ray.shutdown()


def _run_in(folder: str, trial: Trial, splits: list[str]) -> Outcome:
    os.chdir(folder)
    return run_trial(trial, splits)
