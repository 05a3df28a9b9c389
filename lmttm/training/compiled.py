"""Compiles the forward pass of training if a compiler works; otherwise runs it uncompiled."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lmttm.errors import one_line

log = logging.getLogger("lmttm")


class Compiled:
    """A function of a batch, compiled for batches of one size.

    On a GPU, its hundreds of small kernels are fused and launched as one CUDA graph. Batches of
    another size, such as the last one of an epoch, run uncompiled: compiling for them would take
    longer than it saves. If compiling fails, a warning says so, and the function runs
    uncompiled from then on.

    Args:
        function: Takes one tensor.
        size: Volumes of a full batch.
        graphs: Whether CUDA graphs are captured: then the results of a call and of its backward
            pass, gradients included, are valid only until the next call.
    """

    def __init__(self, function: Callable[[Tensor], Any], size: int, *, graphs: bool) -> None:
        self.function = function
        self.size = size
        if torch.are_deterministic_algorithms_enabled():  # the compiler reads only this setting
            torch.use_deterministic_algorithms(True, warn_only=True)
        mode = "reduce-overhead" if graphs else "default"
        self.compiled: Callable[[Tensor], Any] | None = torch.compile(
            function, dynamic=False, mode=mode
        )

    def __call__(self, batch: Tensor) -> Any:
        """Calls the function, compiled if the batch is full."""
        if self.compiled is None or len(batch) != self.size:
            return self.function(batch)
        torch.compiler.cudagraph_mark_step_begin()
        try:
            return self.compiled(batch)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if not _from_compiler(error):
                raise
            log.warning("compiling failed, continuing uncompiled: %s", one_line(error))
            self.compiled = None
            return self.function(batch)


def _from_compiler(error: RuntimeError) -> bool:
    """Whether an error comes from the compiler, not from the function."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "triton"))
