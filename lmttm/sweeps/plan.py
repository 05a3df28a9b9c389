"""The plan of a sweep: a grid of runs, each with its configuration."""

import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lmttm.config.files import CONFIG_DIR, find_file, read_json, resolved, sentences
from lmttm.config.kinds import METRICS
from lmttm.config.schema import Config
from lmttm.data.sources import class_names
from lmttm.errors import InputError
from lmttm.sweeps.checks import Axes, check_axes, check_names

SWEEP_DIR = CONFIG_DIR / "sweeps"
SCORES = tuple(METRICS)

Scalar = str | int | float | bool


class Setting(BaseModel):
    """A value of an axis that sets several keys: `{"label": "TTM", "set": {...}}`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    label: Annotated[str, Field(min_length=1)]
    set: dict[str, Scalar | list[Scalar]]


class Sweep(BaseModel):
    """A file of `config/sweeps/`.

    Attributes:
        base: The configuration that every trial starts from.
        grid: Axes: a key, or any name where the values are settings, and its values.
        datasets: Names of data sets, or paths of your own; each sets its own `out_class_num`.
            Empty: the base's.
        seeds: Seeds of each combination.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    base: str
    grid: dict[str, Annotated[list[Setting | Scalar], Field(min_length=1)]]
    datasets: list[str] = []
    seeds: Annotated[list[int], Field(min_length=1)]


@dataclass(frozen=True)
class Trial:
    """One run of a sweep, trained and scored as any other run.

    Attributes:
        name: Readable and unique; the name of the run's folder.
        labels: The value of each axis, as text.
        overrides: `key=value` texts over the base configuration.
        config: The configuration that they give.
    """

    name: str
    labels: dict[str, str]
    overrides: tuple[str, ...]
    config: Config


def find_sweep(name: str) -> Path:
    """The file of a sweep: a bare name is looked up in `config/sweeps/`."""
    return find_file(name, SWEEP_DIR, "sweep")


def load_sweep(path: Path, base: str | None = None) -> Sweep:
    """Loads and validates a sweep file.

    Args:
        path: The file; keys that start with `_` are comments.
        base: A configuration that takes the place of the file's `base`.

    Returns:
        The sweep.

    Raises:
        InputError: The file cannot be used; one sentence for each fault.
    """
    document = {k: v for k, v in read_json(path).items() if not k.startswith("_")}
    if base is not None:
        document["base"] = base
    try:
        return Sweep.model_validate(document)
    except ValidationError as error:
        faults = dict.fromkeys(
            line for fault in error.errors() for line in sentences(fault, list(Sweep.model_fields))
        )
        raise InputError(f"{path.name}: " + "; ".join(faults)) from None


def make_trials(sweep: Sweep, overrides: list[str], folder: str, folds: int = 0) -> list[Trial]:
    """All runs of a sweep, each with its validated configuration.

    Args:
        sweep: The sweep.
        overrides: `key=value` texts for every trial; they beat the base, the grid beats them.
        folder: The folder of the runs.
        folds: With 2 or more, each trial is cross-validated: a run for each fold.

    Returns:
        The trials: the last axis varies fastest, then the seed, then the fold.

    Raises:
        InputError: A trial's configuration is not valid, two trials are one, or an axis or
            an override would be overruled by another.
    """
    axes: Axes = {
        key: [_setting(key, value) for value in values] for key, values in sweep.grid.items()
    }
    settings = [
        k for k, values in sweep.grid.items() if any(isinstance(v, Setting) for v in values)
    ]
    check_axes(axes, settings, overrides, scores=SCORES, datasets=bool(sweep.datasets))
    if sweep.datasets:
        sets = [_dataset(name, sweep.base, overrides) for name in sweep.datasets]
        axes = {"dataset": sets} | axes
    trials = []
    combinations = itertools.product(*axes.values())
    for chosen, seed, fold in itertools.product(combinations, sweep.seeds, range(folds or 1)):
        labels = dict(zip(axes, (label for label, _ in chosen), strict=True))
        parts = [*(_safe(label) for label in labels.values()), f"s{seed}"]
        texts = [*overrides, *(text for _, texts in chosen for text in texts), f"seed={seed}"]
        if folds:
            parts.append(f"f{fold}")
            texts += [f"folds={folds}", f"fold={fold}"]
        name = "-".join(parts)
        texts += [f"output_dir={folder}", f"train.name={name}"]
        try:
            config, _ = resolved(sweep.base, texts)
        except InputError as error:
            raise InputError(f"trial {name}: {error}") from None
        trials.append(Trial(name, labels, tuple(texts), config))
    configs = {trial.name: trial.config for trial in trials}
    check_names(configs, [trial.name for trial in trials])
    return trials


def _setting(key: str, value: Setting | Scalar) -> tuple[str, list[str]]:
    if isinstance(value, Setting):
        return value.label, [f"{name}={_text(v)}" for name, v in value.set.items()]
    return _text(value), [f"{key}={_text(value)}"]


def _dataset(name: str, base: str, overrides: list[str]) -> tuple[str, list[str]]:
    config, _ = resolved(base, [*overrides, f"dataset_name={name}"])
    classes = len(class_names(config.dataset_name, config.shape))
    texts = [f"dataset_name={config.dataset_name}", f"model.out_class_num={classes}"]
    return config.dataset_name, texts


def _text(value: Scalar | list[Scalar]) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _safe(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", label).strip("_") or "_"
