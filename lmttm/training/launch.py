"""How the passes of training are launched: kernel by kernel, captured or compiled."""

from collections.abc import Callable

import torch
from torch import Tensor

from lmttm.config.schema import Config
from lmttm.errors import InputError
from lmttm.model.trace import Classifier, Trace
from lmttm.training.captured import Captured
from lmttm.training.compiled import Compiled
from lmttm.training.distributed import Alone


def settle_compile(config: Config, device: torch.device, team: Alone) -> str:
    """How the passes of training are launched: `train.compile`, with `auto` decided.

    `auto` captures them on a GPU where that can be: parts of a batch would overwrite each other's
    gradients, and what processes say to each other is not captured.

    Raises:
        InputError: They cannot be captured, though the configuration asks for it.
    """
    chosen = config.train.compile
    if chosen not in ("auto", "graph"):
        return chosen
    obstacles = {
        f"needs a CUDA device, got device={config.device}": device.type != "cuda",
        f"takes whole batches, got train.accumulate={config.train.accumulate}": (
            config.train.accumulate > 1
        ),
        f"is for one process, got {team.size}": team.size > 1,
    }
    found = [text for text, present in obstacles.items() if present]
    if found and chosen == "graph":
        raise InputError(f"train.compile=graph {found[0]}")
    return "off" if found else "graph"


def launched(
    model: Classifier, compile: str, *, size: int, whole: bool, bf16: bool
) -> Callable[[Tensor], Trace]:
    """A model's run, launched in one of three ways.

    Args:
        model: The model, on its device.
        compile: `off`, kernel by kernel; `graph`, see `Captured`; `on`, see `Compiled`.
        size: Volumes of a full pass.
        whole: Whether such a pass is a whole batch, and not one of several parts of it.
        bf16: Whether products are taken in bfloat16.
    """
    if compile == "graph":
        return Captured(model, size, bf16=bf16)
    if compile == "on":
        # Graphs would overwrite the gradients that a batch's parts add up.
        return Compiled(model.run, size, graphs=whole)
    return model.run
