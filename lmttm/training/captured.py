"""Captures the pass of training as a CUDA graph: its kernels are launched at once."""

import logging
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from lmttm.device import random_state, restore_random_state
from lmttm.errors import one_line
from lmttm.model.trace import Classifier, Trace

log = logging.getLogger("lmttm")


class Captured:
    """A model's run, forward and backward, captured for batches of one size.

    A small model is thousands of kernels of microseconds, which a host launches more slowly than
    a GPU computes them. A captured pass replays them without the host, and needs no compiler.
    Batches of another size, such as the last one of an epoch, run uncaptured. If capturing fails,
    a warning says so, and all of them do.

    The results of a call and the gradients of its backward pass are valid until the next call.

    Args:
        model: On a CUDA device, in training mode. What capturing changes (random numbers,
            statistics of batch norm) is put back.
        size: Volumes of a full batch.
        bf16: Whether its products are taken in bfloat16.
    """

    def __init__(self, model: Classifier, size: int, *, bf16: bool) -> None:
        self.model = model
        self.size = size
        self.graphed = _capture(model, size, bf16)

    def __call__(self, volumes: Tensor) -> Trace:
        """Runs the model, replayed if the batch `(b c D H W)` is full."""
        if self.graphed is None or len(volumes) != self.size:
            return self.model.run(volumes)
        return Trace(*self.graphed(volumes))


class _Pass(nn.Module):
    """The run as a module: the form that torch captures. Only its logits have a gradient."""

    def __init__(self, model: Classifier, bf16: bool) -> None:
        super().__init__()
        self.model = model
        self.bf16 = bf16

    def forward(self, volumes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # Inside, so that the weights that autocast has converted belong to the graph.
        with torch.autocast(volumes.device.type, torch.bfloat16, enabled=self.bf16):
            trace = self.model.run(volumes)
        return trace.logits, trace.step_logits.detach(), trace.memory.detach()


def _capture(model: Classifier, size: int, bf16: bool) -> Any:
    device = next(model.parameters()).device
    random, buffers = random_state(device), [buffer.clone() for buffer in model.buffers()]
    sample = torch.zeros(size, *model.input_shape, device=device)
    # A replay's gradients come from the capture's stream, which torch takes for a mistake.
    torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
    try:
        with warnings.catch_warnings():
            # Of the thread of the first backward pass; it then finds the context by itself.
            warnings.filterwarnings("ignore", "Attempting to run cuBLAS")
            return torch.cuda.make_graphed_callables(_Pass(model, bf16).train(), (sample,))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        log.warning("capturing failed, continuing uncaptured: %s", one_line(error))
        return None
    finally:
        restore_random_state(random, device)
        for buffer, old in zip(model.buffers(), buffers, strict=True):
            buffer.detach().copy_(old)
