"""Read: what a step takes from the memory and from its input."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lmttm.model.layers import Positions
from lmttm.model.summarizers import Summarizer


class NeighbourMarks(nn.Module):
    """Adds a learned vector to the read tokens of each neighbour.

    Without it, a processing unit cannot distinguish what was read from the current, the past and
    the next unit, because they share one summarizer and one position table.

    Args:
        num_neighbours: Units that a step reads, u.
        dim: Width of a token, d.

    Source: none in the paper, which leaves the reads unmarked.
    """

    def __init__(self, *, num_neighbours: int, dim: int) -> None:
        super().__init__()
        self.marks = nn.Parameter(torch.empty(num_neighbours, dim))
        nn.init.normal_(self.marks, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Marks read tokens `(b u*r d)`, neighbour by neighbour; keeps the shape."""
        each: Tensor = tokens.unflatten(1, (len(self.marks), -1)) + self.marks[:, None]
        return each.flatten(1, 2)


class TriTemporalRead(nn.Module):
    """Reads r tokens from each neighbour: `Z_u = S_r([M_u || I_t] + pos)`, one summarizer.

    Without any unit it reads the input alone: `Z = S_r(I_t + pos)`.

    Args:
        dim: Width of a token, d.
        unit_tokens: Tokens of a memory unit, m; 0 where there is no memory.
        input_tokens: Input tokens of a step, n.
        read_tokens: Tokens that the read of one unit returns, r.
        make_summarizer: Number of summary tokens -> a summarizer.
        positions: Whether a learned position table is added.

    Source: T-TMC module of the paper. The published code draws new random positions at each
    forward pass and reads a single unit three times.
    """

    def __init__(
        self,
        *,
        dim: int,
        unit_tokens: int,
        input_tokens: int,
        read_tokens: int,
        make_summarizer: Callable[[int], Summarizer],
        positions: bool,
    ) -> None:
        super().__init__()
        num_tokens = unit_tokens + input_tokens
        self.positions = Positions(num_tokens=num_tokens, dim=dim) if positions else nn.Identity()
        self.summarize = make_summarizer(read_tokens)

    def forward(self, units: list[Tensor], inputs: Tensor) -> Tensor:
        """Reads.

        Args:
            units: The u neighbours, current unit first, each `(b m d)`; may be empty.
            inputs: Input tokens of the step, `(b n d)`.

        Returns:
            Read tokens `(b u*r d)`, or `(b r d)` without units.
        """
        views = [torch.cat([unit, inputs], dim=1) for unit in units] or [inputs]
        return torch.cat([self.summarize(self.positions(view)) for view in views], dim=1)
