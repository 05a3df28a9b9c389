"""Weights, configuration and training state in one file, from which a model is rebuilt."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lmttm.config import Config, validate
from lmttm.errors import InputError
from lmttm.model import LMTTM, build_model
from lmttm.storage import whole_file

BEST = "best.pth"
LAST = "last.pth"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        config: The configuration that built the model.
        weights: The model's state dict.
        epoch: Epochs done, from 1.
        validation: Scores of the validation split after that epoch.
        training: In `last.pth`: optimizer, random state, best scores; else empty.
    """

    config: Config
    weights: dict[str, torch.Tensor]
    epoch: int
    validation: dict[str, Any]
    training: dict[str, Any]

    def build(self) -> LMTTM:
        """Rebuilds the model with the saved weights, on the CPU, in evaluation mode.

        Raises:
            InputError: The weights do not fit the configuration.
        """
        model = build_model(self.config)
        try:
            model.load_state_dict(self.weights)
        except (RuntimeError, AttributeError, TypeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"the checkpoint's weights do not fit its configuration: {reason}"
            ) from None
        return model.eval()


def save(
    path: Path,
    *,
    config: Config,
    model: nn.Module,
    epoch: int,
    validation: dict[str, Any],
    training: dict[str, Any] | None = None,
) -> None:
    """Writes a checkpoint, whole or not at all. `torch.load(weights_only=True)` reads it.

    Args:
        path: The file; its folder must exist.
        config: The configuration that built the model.
        model: The model.
        epoch: Epochs done.
        validation: Scores of the validation split.
        training: What going on with the training needs.

    Raises:
        RunError: The file can not be written.
    """
    content = {
        "model": model.state_dict(),
        "config": config.model_dump(),
        "epoch": epoch,
        "validation": validation,
        "training": training or {},
    }
    with whole_file(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch's writer tells a full disk so
            raise OSError(str(error)) from None


def load(path: Path) -> Checkpoint:
    """Reads a checkpoint. Nothing in the file can run (`weights_only`).

    Args:
        path: The file.

    Returns:
        Its content, on the CPU; the configuration has passed the schema.

    Raises:
        InputError: There is no such file, or it is damaged, or no checkpoint of this
            project.
    """
    if not path.is_file():
        raise InputError(f"there is no checkpoint {path}; train first: python train.py ...")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file may raise anything
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a readable checkpoint: {reason}") from None
    fields = {"model": dict, "config": dict, "epoch": int, "validation": dict, "training": dict}
    if not isinstance(content, dict) or any(
        not isinstance(content.get(name), kind) for name, kind in fields.items()
    ):
        raise InputError(f"{path} is not a checkpoint of this project")
    return Checkpoint(
        config=validate(content["config"], source=str(path)),
        weights=content["model"],
        epoch=content["epoch"],
        validation=content["validation"],
        training=content["training"],
    )


def load_run(run_dir: str | Path) -> tuple[LMTTM, Config]:
    """Rebuilds the best model of a run.

    Args:
        run_dir: A folder that train.py made, such as `runs/Train`.

    Returns:
        The model in evaluation mode, on the CPU, and its configuration.

    Raises:
        InputError: The run has no sound checkpoint.
    """
    checkpoint = load(Path(run_dir) / BEST)
    return checkpoint.build(), checkpoint.config
