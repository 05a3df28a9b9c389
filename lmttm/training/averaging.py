"""Averaged weights: a second model that follows the one in training."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """A copy of a model whose weights are an exponential moving average of the model's.

    It saves its state as torch's `AveragedModel` does, but counts on the host: torch's copies its
    counter to the device at each update, for which the host waits.

    Args:
        model: The model. The first update takes its weights as they are.
        decay: Share of the average that an update keeps, in [0, 1).

    Attributes:
        module: The averaged model.
        updates: Updates that are done.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.module = copy.deepcopy(model).requires_grad_(False)
        self.updates = 0
        self._average = get_ema_multi_avg_fn(decay)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes in the model's weights. Its buffers are copied: they are no weights."""
        averages, weights = list(self.module.parameters()), list(model.parameters())
        if self.updates:
            self._average(averages, weights, self.updates)
        else:
            for average, weight in zip(averages, weights, strict=True):
                average.copy_(weight)
        for ours, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
            ours.copy_(theirs)
        self.updates += 1

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights and how many updates made them."""
        module = self.module.state_dict(prefix="module.")
        return {"n_averaged": torch.tensor(self.updates), **module}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state_dict` was taken."""
        weights = {name.removeprefix("module."): value for name, value in state.items()}
        self.updates = int(weights.pop("n_averaged"))
        self.module.load_state_dict(weights)
