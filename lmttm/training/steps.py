"""The numbers of a training step, before and after the host has checked them."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from lmttm.errors import RunError
from lmttm.storage import write_text


class NotFinite(RunError):
    """A loss or a gradient norm that is not finite; `write` saves the circumstances."""

    def __init__(self, **fault: Any) -> None:
        self.fault = fault
        super().__init__(
            "the loss or the gradient is not finite at epoch {epoch}, step {step} (loss "
            "{loss:.4g}, gradient norm {gradient_norm:.4g}, learning rate {lr:.3g}, last finite "
            "loss {last_finite_loss:.4g}); lower train.lr or set train.clip_norm".format(**fault)
        )

    def write(self, path: Path) -> None:
        """Writes the numbers of the step, with the indices of its volumes, as JSON."""
        plain = {
            key: value if not isinstance(value, float) or math.isfinite(value) else str(value)
            for key, value in self.fault.items()
        }
        write_text(path, json.dumps(plain, indent=2) + "\n")


class Step(NamedTuple):
    """A step whose numbers the host may not have checked yet."""

    number: int  # within its epoch, from 1
    loss: Tensor  # mean over the volumes
    norm: Tensor  # of the gradient
    lr: float
    indices: Tensor


class CheckedStep(NamedTuple):
    """The numbers of a step that was finite, as the host read them."""

    number: int  # over all epochs, from 1
    loss: float
    gradient_norm: float
    lr: float
