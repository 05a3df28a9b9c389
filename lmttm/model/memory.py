"""The ring of memory units: which a step reads, which it replaces, and the initial memory."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def neighbours(step: int, *, num_units: int, radius: int) -> list[int]:
    """The distinct units that a step reads, in the order c, c-1, c+1, c-2, c+2, ...

    Args:
        step: Index of the step, from 0; the current unit c is step mod k.
        num_units: Units of the ring, k.
        radius: Neighbours on each side; 1 in the paper.

    Returns:
        min(2 * radius + 1, k) unit indices.

    Source: the T-TMC module of the paper, for any k and radius.
    """
    offsets = [0] + [sign * away for away in range(1, radius + 1) for sign in (-1, 1)]
    return list(dict.fromkeys((step + offset) % num_units for offset in offsets))


def next_unit(step: int, *, num_units: int) -> int:
    """The unit that a step replaces: c+1 in the ring."""
    return (step + 1) % num_units


def replace(memory: Tensor, unit: int, tokens: Tensor) -> Tensor:
    """The memory `(b k m d)` with one unit replaced by tokens `(b m d)`."""
    return torch.cat([memory[:, :unit], tokens[:, None], memory[:, unit + 1 :]], dim=1)


NOISE_SCALE = 0.2


class InitialMemory(nn.Module):
    """The memory that every volume starts from.

    Args:
        num_units: Units of the ring, k.
        unit_tokens: Tokens of a unit, m.
        dim: Width of a token, d.
        start: `zeros`; `learned`, a parameter; or `carried`, a buffer that the training
            loop fills by `store`. The last is the published `load_memory_tokens`.
        noise: Draws noise of a tensor's shape (`lmttm.model.noise`), which is scaled by 0.2 and
            added to a carried memory, in training only. None: no noise.

    Source: section 3 of the paper. The published code takes one batch's final memory,
    volume by volume, into the next batch and into validation, and adds the noise in
    evaluation too.
    """

    learned_memory: nn.Parameter
    carried_memory: Tensor

    def __init__(
        self,
        *,
        num_units: int,
        unit_tokens: int,
        dim: int,
        start: str,
        noise: Callable[[Tensor], Tensor] | None,
    ) -> None:
        super().__init__()
        self.start = start
        self.noise = noise
        shape = (num_units, unit_tokens, dim)
        if start == "learned":
            self.learned_memory = nn.Parameter(torch.empty(shape))
            nn.init.normal_(self.learned_memory, std=0.02)
        else:
            # Zeros are no state: only a carried memory is saved with the weights.
            self.register_buffer("carried_memory", torch.zeros(shape), start == "carried")

    def forward(self, batch: int) -> Tensor:
        """The memory `(b k m d)` that a batch of b volumes starts from."""
        origin = self.learned_memory if self.start == "learned" else self.carried_memory
        memory = origin.expand(batch, -1, -1, -1)
        if self.start == "carried" and self.noise and self.training:
            memory = memory + NOISE_SCALE * self.noise(memory)
        return memory

    @torch.no_grad()
    def store(self, mean: Tensor, *, num_steps: int, finite: Tensor) -> None:
        """Carries the mean of final memories over to the next volumes.

        Only the units that were written are stored, and nothing if the mean is not finite.
        Without effect unless `start` is carried.

        Args:
            mean: The mean over a batch of its final memories `(k m d)`.
            num_steps: Steps that were taken, t.
            finite: A boolean tensor `()` on the device: whether the step was finite.
        """
        if self.start != "carried":
            return
        num_units = len(self.carried_memory)
        # Units 1, 2, ... in turn: one slice, since a list of them would be copied from the host.
        written = slice(1, num_steps + 1) if num_steps < num_units else slice(None)
        kept, new = self.carried_memory[written], mean[written]
        self.carried_memory[written] = torch.where(finite & new.isfinite().all(), new, kept)
