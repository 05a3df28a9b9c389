"""Compiling what a training step runs, where a compiler is found; else it runs as it is."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lmttm.errors import one_line

log = logging.getLogger("lmttm")


class Compiled:
    """A function of a batch, compiled for batches of one size.

    On a GPU its hundreds of small kernels are fused and launched as one CUDA graph. A batch of
    another size, such as the last one of an epoch, takes the function as it is: compiling
    for it would take longer than it saves. If compiling fails, that is a warning, and the
    function is taken as it is from then on.

    Args:
        function: Takes one tensor.
        size: Volumes of a full batch.
        graphs: Whether CUDA graphs are captured: then what a call and its backward pass leave,
            gradients included, holds only until the next call.
    """

    def __init__(self, function: Callable[[Tensor], Any], size: int, *, graphs: bool) -> None:
        self.function = function
        self.size = size
        if torch.are_deterministic_algorithms_enabled():  # which the compiler has to be told
            torch.use_deterministic_algorithms(True, warn_only=True)
        mode = "reduce-overhead" if graphs else "default"
        self.compiled: Callable[[Tensor], Any] | None = torch.compile(
            function, dynamic=False, mode=mode
        )

    def __call__(self, batch: Tensor) -> Any:
        """Calls the function, compiled if the batch is a full one."""
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
            log.warning("compiling failed, going on without: %s", one_line(error))
            self.compiled = None
            return self.function(batch)


def _from_compiler(error: RuntimeError) -> bool:
    """Whether an error came up in compiling, not in the function."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "triton"))
