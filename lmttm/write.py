"""Write: one unit of the memory is made anew from what the step saw."""

import torch
from torch import Tensor, nn

from lmttm.layers import Positions, TokenLearner


class SummarizingWrite(nn.Module):
    """Writes the next unit: `M_f <- S_m([M_c || M_p || M_f || I_t || O_t] + pos)`.

    Args:
        dim: Width of a token, d.
        unit_tokens: Tokens of a memory unit, m.
        num_neighbours: Units that the step read, u.
        input_tokens: Input tokens of a step, n.
        output_tokens: Output tokens of a step, u * r.
        positions: Whether a learned position table is added.
        dropout: Dropout of the summarizer, in [0, 1).

    Source: memory write of the paper, mode `TL`.
    """

    def __init__(
        self,
        *,
        dim: int,
        unit_tokens: int,
        num_neighbours: int,
        input_tokens: int,
        output_tokens: int,
        positions: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        num_tokens = num_neighbours * unit_tokens + input_tokens + output_tokens
        self.positions = Positions(num_tokens=num_tokens, dim=dim) if positions else nn.Identity()
        self.summarize = TokenLearner(dim=dim, num_tokens=unit_tokens, dropout=dropout)

    def forward(self, units: list[Tensor], inputs: Tensor, outputs: Tensor) -> Tensor:
        """Writes.

        Args:
            units: The u neighbours, current unit first, each `(b m d)`.
            inputs: Input tokens of the step, `(b n d)`.
            outputs: Output tokens of the step, `(b u*r d)`.

        Returns:
            The new tokens of the next unit, `(b m d)`.
        """
        return self.summarize(self.positions(torch.cat([*units, inputs, outputs], dim=1)))
