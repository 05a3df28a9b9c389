"""Sends the scores of each epoch to a tracker of experiments: Weights & Biases or MLflow.

Only the configuration and numbers are sent, no images; and nothing unless `train.logger` says so.
"""

import logging
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from lmttm.config.kinds import LOGGERS, find
from lmttm.errors import InputError

log = logging.getLogger("lmttm")

PROJECT = "lmttm"


class Tracker(Protocol):
    """What `lmttm.config.kinds` lists: a run at a tracker, which begins when it is made.

    Args:
        run_dir: The folder of the run, whose name it takes.
        settings: All keys of the configuration.
    """

    def __init__(self, run_dir: Path, settings: Mapping[str, Any]) -> None: ...

    def add(self, numbers: Mapping[str, float], epoch: int) -> None:
        """Adds the numbers of an epoch."""

    def close(self) -> None:
        """Ends the run."""


class WandB:
    """A run at Weights & Biases; see `Tracker`."""

    def __init__(self, run_dir: Path, settings: Mapping[str, Any]) -> None:
        self.run = import_module("wandb").init(
            project=PROJECT, name=run_dir.name, dir=str(run_dir), config=dict(settings)
        )

    def add(self, numbers: Mapping[str, float], epoch: int) -> None:
        """Adds the numbers of an epoch."""
        self.run.log(dict(numbers), step=epoch)

    def close(self) -> None:
        """Ends the run."""
        self.run.finish()


class MLflow:
    """A run at MLflow; see `Tracker`."""

    def __init__(self, run_dir: Path, settings: Mapping[str, Any]) -> None:
        self.mlflow = import_module("mlflow")
        self.mlflow.set_experiment(PROJECT)
        self.mlflow.start_run(run_name=run_dir.name)
        self.mlflow.log_params(dict(settings))

    def add(self, numbers: Mapping[str, float], epoch: int) -> None:
        """Adds the numbers of an epoch."""
        self.mlflow.log_metrics(dict(numbers), step=epoch)

    def close(self) -> None:
        """Ends the run."""
        self.mlflow.end_run()


def check_tracker(name: str) -> None:
    """Raises an InputError where the package of a tracker is missing."""
    if LOGGERS[name] is None:
        return
    try:
        import_module(name)
    except ImportError:
        raise InputError(
            f"train.logger={name} needs the package {name}: pip install {name}"
        ) from None


class Tracking:
    """The run at a tracker, or none. A tracker that fails gets nothing more; training continues.

    Args:
        name: A name of `lmttm.config.kinds`.
        run_dir: The folder of the run.
        settings: All keys of the configuration.
    """

    def __init__(self, name: str, run_dir: Path, settings: Mapping[str, Any]) -> None:
        self.name = name
        self._tracker: Tracker | None = None
        path = LOGGERS[name]
        if path is not None:
            try:
                self._tracker = find(path)(run_dir, settings)
            except Exception as error:  # of a package that we do not know, or of the network
                self._leave(error)

    def add(self, record: Mapping[str, Any]) -> None:
        """Adds the numbers of an epoch's record."""
        numbers = {
            key: float(value)
            for key, value in record.items()
            if key not in ("epoch", "best") and value is not None
        }
        if self._tracker is not None:
            try:
                self._tracker.add(numbers, record["epoch"])
            except Exception as error:
                self._leave(error)

    def close(self) -> None:
        """Ends the run."""
        if self._tracker is not None:
            try:
                self._tracker.close()
            except Exception as error:
                self._leave(error)

    def _leave(self, error: Exception) -> None:
        log.warning("train.logger=%s failed, and gets nothing more: %s", self.name, error)
        self._tracker = None
