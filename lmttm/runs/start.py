"""Starts a training from the weights of a trained run, as far as they fit."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from lmttm.config.fields import is_own
from lmttm.config.schema import Config
from lmttm.errors import InputError
from lmttm.runs import checkpoint, pretrained
from lmttm.runs.checkpoint import BEST, LAST, PREVIOUS, Checkpoint
from lmttm.storage import write_text

START = "start.json"
_SHOWN = 4  # tensors that the text names


def load_start(config: Config, *, resume: bool = False) -> Checkpoint | None:
    """Loads what `train.start_from` names.

    Args:
        config: The configuration of the training.
        resume: Whether the training continues, where it can: then it has weights of its own.

    Returns:
        The best checkpoint of that run; None for fresh weights.

    Raises:
        InputError: There is no such run, or it was trained on scans that are to validate this one.
    """
    name = config.train.start_from
    begun = any((config.run_dir / file).exists() for file in (LAST, PREVIOUS))
    if not name or (resume and begun):
        return None
    shipped = pretrained.shipped()
    if name not in shipped and not (Path(name) / BEST).is_file():
        raise InputError(
            "train.start_from must be the folder of a trained run or the name of shipped weights "
            f"({', '.join(shipped) or 'there are none'}), got {name!r}"
        )
    folder = shipped.get(name)
    start = pretrained.load(folder) if folder else checkpoint.load(Path(name) / BEST)
    _refuse_leak(start.config, config)
    return start


def _refuse_leak(there: Config, here: Config) -> None:
    """A run on other folds of the same data may have been trained on what validates this one."""
    was, now = (f"folds={config.folds} fold={config.fold}" for config in (there, here))
    if not _one_set(there.dataset_name, here.dataset_name) or was == now or here.leaks == "allow":
        return
    raise InputError(
        f"train.start_from={here.train.start_from} was trained on other folds of "
        f"{here.dataset_name} ({was}, here {now}), so it has seen volumes of this validation "
        "split; leaks=allow starts from it all the same"
    )


def _one_set(first: str, second: str) -> bool:
    """Whether two names are of one data set; a path may be spelt in many ways."""
    if is_own(first) and is_own(second):
        return Path(first).resolve() == Path(second).resolve()
    return first == second


@dataclass(frozen=True)
class Takeover:
    """What a model took over.

    Attributes:
        source: `train.start_from`.
        epoch: Of the weights there.
        fingerprint: Of the weights there.
        taken: Names of the tensors that were taken over.
        new: By name why a tensor of the model was not.
        left: Names of the tensors there that have no place in the model.
    """

    source: str
    epoch: int
    fingerprint: str
    taken: tuple[str, ...]
    new: dict[str, str]
    left: tuple[str, ...]

    @property
    def text(self) -> str:
        """What was taken over, and what was not, in a few lines."""
        count = len(self.taken) + len(self.new)
        lines = [
            f"starts from {self.source}, epoch {self.epoch}: {len(self.taken)} of {count} tensors "
            "are taken over"
        ]
        lines += [f"- new: {name} ({reason})" for name, reason in list(self.new.items())[:_SHOWN]]
        if len(self.new) > _SHOWN:
            lines.append(f"- and {len(self.new) - _SHOWN} more: see {START}")
        if self.left:
            lines.append(f"- not used: {len(self.left)} tensors, such as {self.left[0]}")
        return "\n".join(lines)

    def write(self, run_dir: Path) -> None:
        """Writes it to the folder of the new run."""
        document = {
            "start_from": self.source,
            "epoch": self.epoch,
            "fingerprint": self.fingerprint,
            "taken": self.taken,
            "new": self.new,
            "not used": self.left,
        }
        write_text(run_dir / START, json.dumps(document, indent=2) + "\n")


def take_over(model: nn.Module, start: Checkpoint, source: str) -> Takeover:
    """Gives a model the weights and buffers that have its names and shapes.

    Args:
        model: With fresh weights.
        start: Where they come from.
        source: `train.start_from`.

    Returns:
        What was taken over.

    Raises:
        InputError: Nothing fits.
    """
    state = model.state_dict()
    new = {}
    for name, tensor in state.items():
        there = start.weights.get(name)
        if not isinstance(there, torch.Tensor):
            new[name] = "it is not there"
        elif there.shape != tensor.shape or there.dtype != tensor.dtype:
            new[name] = f"{tuple(tensor.shape)}, there {tuple(there.shape)}"
    taken = {name: start.weights[name] for name in state if name not in new}
    if not any(name in taken for name, _ in model.named_parameters()):
        raise InputError(f"train.start_from={source}: none of its weights fits this model")
    model.load_state_dict(taken, strict=False)
    left = tuple(name for name in start.weights if name not in state)
    return Takeover(source, start.epoch, start.fingerprint(), tuple(taken), new, left)
