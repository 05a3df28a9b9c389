"""Text for people: the summary of a run, a line for each epoch, tables of scores."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lmttm.config.kinds import METRICS
from lmttm.config.schema import Config
from lmttm.config.shape import in_words
from lmttm.data.dataset import Dataset
from lmttm.data.tables import split_in_words
from lmttm.device import describe
from lmttm.storage import last_part, shown

_WIDTH = 80  # of a line


def number(value: float | None) -> str:
    """A score with three digits, or a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def summary(config: Config, dataset: Dataset, model: nn.Module, device: torch.device) -> str:
    """The run at a glance: data set, model, device, folder."""
    counts = ", ".join(f"{len(split)} {name}" for name, split in dataset.splits.items())
    parameters = sum(p.numel() for p in model.parameters())
    majority = dataset.splits["val"].majority_rate()
    rows = {
        "data set": f"{dataset.name}, {in_words(config.size)} voxels, "
        + (f"{dataset.num_grey} scans for each case, " if dataset.num_grey > 1 else "")
        + f"{len(dataset.class_names)} classes",
        "volumes": f"{counts}; majority rate {majority:.3f} (val)",
        "model": config.model.in_words,
        "parameters": f"{parameters / 1e6:.3f} M",
        "device": f"{describe(device)}, trained in {config.train.precision}",
        "run": str(config.run_dir),
    }
    return "\n".join(f"{name:<11} {text}" for name, text in rows.items())


def epoch_line(record: dict[str, Any], num_epochs: int) -> str:
    """One line about an epoch; a star marks the one whose weights are kept so far."""
    return (
        f"epoch {record['epoch']:>3}/{num_epochs}  loss {record['train_loss']:.4f}  "
        f"val: loss {record['val_loss']:.4f}  AUC {number(record['val_auc'])}  "
        f"ACC {number(record['val_acc'])}  {record['seconds']:.1f} s"
        + ("  *" if record["best"] else "")
    )


def kept_line(keep: str, record: dict[str, Any]) -> str:
    """Which epoch a run keeps, and its validation scores."""
    return (
        f"{keep} epoch {record['epoch']}: validation AUC {number(record['val_auc'])}, "
        f"ACC {number(record['val_acc'])}"
    )


def score_table(scores: dict[str, Any], class_names: tuple[str, ...]) -> str:
    """The scores of a split, with a row for each class."""
    lines = [
        f"{last_part(scores['dataset'])}, {split_in_words(scores['split'])}, {scores['n']} volumes",
        "",
        *(_metric_line(scores, name) for name in METRICS),
        f"  {'majority rate':<18} {number(scores['majority'])}",
        f"  {'calibration error':<18} {number(scores.get('ece'))}",
        *_constant(scores["confusion_matrix"], class_names),
        "",
        f"  {'class':<24} precision  recall     F1  specificity  volumes",
    ]
    columns = scores["per_class"]
    for index, name in enumerate(class_names):
        row = {key: values[index] for key, values in columns.items()}
        lines.append(
            f"  {name[:24]:<24} {number(row['precision']):>9} {number(row['recall']):>7} "
            f"{number(row['f1']):>6} {number(row['specificity']):>12} {row['support']:>8}"
        )
    return "\n".join(lines)


def _metric_line(scores: dict[str, Any], name: str) -> str:
    """A metric with its interval."""
    found = scores.get("interval", {}).get(name)
    beside = f"   (95 %: {found[0]:.3f} to {found[1]:.3f})" if found else ""
    if scores[name] is None:
        beside = "   (not defined: a class has no volume in this split)"
    return f"  {METRICS[name].label:<18} {number(scores[name])}{beside}"


def _constant(confusion: list[list[int]], class_names: tuple[str, ...]) -> list[str]:
    """A line where a model gives all volumes the same answer."""
    answers = [name for i, name in enumerate(class_names) if any(row[i] for row in confusion)]
    volumes = sum(map(sum, confusion))
    if len(answers) > 1 or volumes < 2:
        return []
    return [f"  note: all {volumes} volumes got the same answer, {answers[0]}"]


def calibration_lines(found: dict[str, Any]) -> str:
    """What a temperature changed."""
    return (
        f"  temperature {temperatures(found)}\n  calibration error "
        f"{number(found['ece_uncalibrated'])} -> {number(found['ece'])}"
    )


def temperatures(found: dict[str, Any]) -> str:
    """The temperature of each run, and whether it was fitted."""
    pairs = zip(found["temperature"], found["kept_at_1"], strict=True)
    listed = ", ".join(f"{value:.3f}" + (" (not fitted)" if kept else "") for value, kept in pairs)
    return f"{listed}, fitted on the validation split" if None in found["kept_at_1"] else listed


def threshold_lines(found: dict[str, Any], split: str, class_name: str) -> str:
    """What a threshold finds and misses."""
    rates = found[split]
    shares = ("sensitivity", "specificity", "ppv", "npv")
    listed = "  ".join(
        f"{name if len(name) > 3 else name.upper()} {number(rates[name])}" for name in shares
    )
    return (
        f"  {class_name} from a probability of {found['value']:.3f} on ({found['rule']}, chosen "
        f"on\n  {found['volumes']} validation volumes, {found['positives']} of them "
        f"{class_name}):\n    {listed}"
    )


def inputs_table(rows: list[dict[str, Any]]) -> str:
    """What was found in volumes of the user's own, with the warnings about each."""
    lines = [f"{'volume':<40} {'prediction':<24} probability"]
    for row in rows:
        path, name = row["path"], row["prediction"]
        short = path if len(path) <= 40 else "..." + path[-37:]
        lines.append(f"{short:<40} {name[:24]:<24} {row['probabilities'][name]:>11.3f}")
        if "calibrated" in row:
            lines.append(f"{'':<40} {'  calibrated':<24} {row['calibrated'][name]:>11.3f}")
        if "at_threshold" in row:
            lines.append(f"{'':<40} {'  at the threshold: ' + row['at_threshold']:<24}".rstrip())
        lines += [wrapped(f"warning: {text}", "  ") for text in row["warnings"]]
    return "\n".join(lines)


def counts_table(counts: dict[str, dict[str, int]]) -> str:
    """How many scans of each class a split has."""
    names = list(next(iter(counts.values())))
    lines = [f"{'':<6} {'scans':>6}  " + "  ".join(f"{name[:16]:>16}" for name in names)]
    for split, numbers in counts.items():
        row = "  ".join(f"{numbers[name]:>16}" for name in names)
        lines.append(f"{split:<6} {sum(numbers.values()):>6}  {row}")
    return "\n".join(lines)


def findings_table(rows: list[tuple[str, str]]) -> str:
    """What a check found: the kind, and the sentence."""
    if not rows:
        return "\nno faults were found"
    lines = [f"{kind:<14} {sentence}" for kind, sentence in rows]
    count = "1 finding" if len(rows) == 1 else f"{len(rows)} findings"
    return "\n".join(["", f"{count}:", *lines])


def wrapped(sentence: str, indent: str = "") -> str:
    """A sentence in lines that fit a terminal; those after the first stand further in."""
    return textwrap.fill(
        sentence,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def written(folder: Path, files: Sequence[str]) -> str:
    """Where files were written, in one line or, where that is too long, below each other."""
    where, names = f"written to {shown(folder)}:", ", ".join(files)
    if len(where) + 1 + len(names) <= _WIDTH:
        return f"{where} {names}"
    lines = textwrap.wrap(names, _WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return "\n".join([where, *(f"  {line}" for line in lines)])
