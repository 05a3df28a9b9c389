"""Batch normalisation over a batch that several processes share.

Torch's `SyncBatchNorm` refuses tensors on the CPU. The sums that a mean and a variance need can
be added up over the processes on any device.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lmttm.training.distributed import Alone, all_reduce


class SharedBatchNorm(_BatchNorm):
    """A batch norm whose mean and variance are those of all processes' volumes.

    Takes over the weights and buffers of the layer that it replaces, under the same names.

    Args:
        layer: A batch norm that tracks running statistics, with weights.
        team: The processes.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(self, layer: _BatchNorm, team: Alone) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(layer.__dict__)
        self.team = team

    def forward(self, values: Tensor) -> Tensor:
        """Normalises `(b c ...)`; in evaluation as any batch norm does."""
        if not self.training:
            return super().forward(values)
        exact = values.to(torch.promote_types(values.dtype, torch.float32))
        shape = [1, -1] + [1] * (values.ndim - 2)
        others = [dim for dim in range(values.ndim) if dim != 1]
        # Sums about the running mean: squares of large numbers would cancel.
        centred = exact - self.running_mean.view(shape)
        count = exact.new_full((1,), values.numel() / values.shape[1])
        sums = total_of(torch.cat([centred.sum(others), centred.square().sum(others), count]))
        count = sums[-1].detach()
        mean, square = (sums[:-1] / count).chunk(2)
        variance = (square - mean.square()).clamp(min=0)
        scale = self.weight * (variance + self.eps).rsqrt()
        self._track(mean.detach(), variance.detach(), count / self.team.copies)
        normalised = (centred - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)
        result: Tensor = normalised.to(values.dtype)
        return result

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Takes a batch's mean, about the running one, and variance into the statistics."""
        # A batch of one value has no unbiased variance.
        unbiased = variance * count / (count - 1).clamp(min=1)
        self.running_mean.add_(mean, alpha=self.momentum)
        self.running_var.lerp_(unbiased, self.momentum)
        self.num_batches_tracked.add_(1)

    def _check_input_dim(self, values: Tensor) -> None:
        """Accepts any number of axes: the layer that it replaces may be for one, two or three."""


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        all_reduce(total)
        return total


@torch.compiler.disable  # type: ignore[untyped-decorator]
def total_of(values: Tensor) -> Tensor:
    """The sum over all processes; a gradient flows back to each from the losses of all.

    A compiler leaves it out: it cannot look into another process.
    """
    total: Tensor = _Sum.apply(values)
    return total


def share_batch_norm(module: nn.Module, team: Alone) -> None:
    """Replaces each batch norm in a model by one over all processes' volumes."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, SharedBatchNorm(child, team))
        else:
            share_batch_norm(child, team)
