"""A sweep: a base configuration, axes of overrides, data sets and seeds -> cells -> tables."""

import csv
import io
import itertools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lmttm.config import Config
from lmttm.config_file import CONFIG_DIR, load_config, read_json, sentences
from lmttm.data import class_names
from lmttm.errors import InputError
from lmttm.memory import InitialMemory
from lmttm.model import build_model

SWEEP_DIR = CONFIG_DIR / "sweeps"
SCORES = ("auc", "acc", "balanced_acc")

Scalar = str | int | float | bool


class Setting(BaseModel):
    """A value of an axis that sets several keys: `{"label": "TTM", "set": {...}}`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    label: Annotated[str, Field(min_length=1)]
    set: dict[str, Scalar | list[Scalar]]


class Sweep(BaseModel):
    """A file of `config/sweeps/`.

    Attributes:
        base: The configuration that every cell starts from.
        grid: Axes: a key, or any name where the values are settings, and its values.
        datasets: Names of data sets; each sets its own `out_class_num`. Empty: the base's.
        seeds: Seeds of each combination.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    base: str
    grid: dict[str, Annotated[list[Setting | Scalar], Field(min_length=1)]]
    datasets: list[str] = []
    seeds: Annotated[list[int], Field(min_length=1)]


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

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
    shipped = SWEEP_DIR / name
    path = shipped if len(Path(name).parts) == 1 and shipped.is_file() else Path(name)
    if not path.is_file():
        names = ", ".join(sorted(file.name for file in SWEEP_DIR.glob("*.json")))
        raise InputError(f"there is no sweep {name}; config/sweeps/ holds {names}")
    return path


def load_sweep(path: Path, base: str | None = None) -> Sweep:
    """Loads and validates a sweep file.

    Args:
        path: The file; keys that start with `_` are comments.
        base: A configuration that takes the place of the file's `base`.

    Returns:
        The sweep.

    Raises:
        InputError: The file can not be used; one sentence for each fault.
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


def make_cells(sweep: Sweep, overrides: list[str], folder: str, folds: int = 0) -> list[Cell]:
    """All runs of a sweep, each with its validated configuration.

    Args:
        sweep: The sweep.
        overrides: `key=value` texts for every cell; they beat the base, the grid beats them.
        folder: The folder of the runs.
        folds: With 2 or more, each cell is cross-validated: a run for each fold.

    Returns:
        The cells: the last axis varies fastest, then the seed, then the fold.

    Raises:
        InputError: A cell's configuration is not valid, or two cells have one name.
    """
    axes = {key: [_setting(key, value) for value in values] for key, values in sweep.grid.items()}
    if sweep.datasets:
        axes = {"dataset": [_dataset(name) for name in sweep.datasets]} | axes
    cells = []
    for combination in itertools.product(*axes.values(), sweep.seeds, range(folds or 1)):
        *settings, seed, fold = combination
        labels = dict(zip(axes, (label for label, _ in settings), strict=True))
        parts = [*(_safe(label) for label in labels.values()), f"s{seed}"]
        texts = [*overrides, *(text for _, texts in settings for text in texts), f"seed={seed}"]
        if folds:
            parts.append(f"f{fold}")
            texts += [f"folds={folds}", f"fold={fold}"]
        name = "-".join(parts)
        texts = (*texts, f"output_dir={folder}", f"train.name={name}")
        try:
            config = load_config(sweep.base, texts)
        except InputError as error:
            raise InputError(f"cell {name}: {error}") from None
        cells.append(Cell(name, labels, texts, config))
    names = [cell.name for cell in cells]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise InputError(f"two cells of the sweep have the name {twice[0]}")
    return cells


def is_finished(cell: Cell, split: str) -> bool:
    """Whether a cell has been trained with this configuration and scored on a split."""
    return (cell.config.run_dir / split / "metrics.json").is_file() and is_begun(cell)


def is_begun(cell: Cell) -> bool:
    """Whether the folder of a cell holds a run, or a part of one, with its configuration."""
    try:
        begun = load_config((cell.config.run_dir / "config.json").resolve())
    except InputError:
        return False
    return begun == _settled_as(begun, cell.config)


def _settled_as(begun: Config, asked: Config) -> Config:
    """A configuration with what it leaves to data and device decided as in a run."""
    distance = begun.distance if asked.distance == "auto" else asked.distance
    train = asked.train
    if train.precision == "auto":
        train = train.model_copy(update={"precision": begun.train.precision})
    return asked.model_copy(update={"distance": distance, "train": train})


def cost(config: Config) -> tuple[int, float]:
    """What a model takes, found without allocating it.

    Args:
        config: The configuration of the model.

    Returns:
        Its parameters, and the GFLOP of one volume's forward pass by torch's counter.

    Raises:
        InputError: The model can not be built.
    """
    from torch.utils.flop_counter import FlopCounterMode

    if config.distance == "auto":  # as if off: the data decide when the run starts
        config = config.model_copy(update={"distance": "off"})
    channels = 2 if config.distance == "on" else 1
    # One volume: a batch would share what is embedded once for all of its volumes.
    volumes = torch.empty(1, channels, *[config.size] * 3, device="meta")
    with torch.device("meta"):
        model = build_model(config).requires_grad_(False)
    # In training mode, since the counter does not see torch's fused attention layer; without
    # the noise on a carried memory, which can not be drawn without memory.
    for module in model.modules():
        module.training = not isinstance(module, InitialMemory)
    with FlopCounterMode(display=False) as counter:
        model(volumes)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return parameters, counter.get_total_flops() / 1e9


def collect(
    cells: Iterable[Cell], splits: list[str], costs: dict[str, tuple[int, float]]
) -> list[dict]:
    """A row for each finished cell: labels, seed, scores, parameters, GFLOP, seconds.

    Args:
        cells: The cells.
        splits: Splits that were scored.
        costs: What `cost` gives, by the cell's name.

    Returns:
        The rows of `results.csv`.
    """
    rows = []
    for cell in cells:
        if not all(is_finished(cell, split) for split in splits):
            continue
        folder = cell.config.run_dir
        row: dict[str, Any] = {"cell": cell.name, **cell.labels, "seed": cell.config.seed}
        row |= {"fold": cell.config.fold} if cell.config.folds else {}
        for split in splits:
            scores = json.loads((folder / split / "metrics.json").read_text(encoding="utf-8"))
            row |= {f"{split}_{score}": scores[score] for score in SCORES}
        records = map(json.loads, (folder / "log.jsonl").read_text(encoding="utf-8").splitlines())
        seconds = [record["seconds"] for record in records]
        row |= {
            "epoch": scores["epoch"],
            "parameters": costs[cell.name][0],
            "gflop": round(costs[cell.name][1], 4),
            "seconds_per_epoch": round(float(np.median(seconds)), 3),
        }
        rows.append(row)
    return rows


def to_csv(rows: list[dict]) -> str:
    """The rows as a CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["cell"])
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


def _setting(key: str, value: Setting | Scalar) -> tuple[str, list[str]]:
    if isinstance(value, Setting):
        return value.label, [f"{name}={_text(v)}" for name, v in value.set.items()]
    return _text(value), [f"{key}={_text(value)}"]


def _dataset(name: str) -> tuple[str, list[str]]:
    config = load_config("base.json", [f"dataset_name={name}"])
    classes = len(class_names(config.dataset_name))
    texts = [f"dataset_name={config.dataset_name}", f"model.out_class_num={classes}"]
    return config.dataset_name, texts


def _text(value: Scalar | list[Scalar]) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _safe(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", label).strip("_") or "_"
