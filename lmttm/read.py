"""Tri-temporal read: each neighbouring unit is summarized together with the input."""

import torch
from torch import Tensor, nn

from lmttm.layers import Positions, TokenLearner


class TriTemporalRead(nn.Module):
    """Reads r tokens from each neighbour: `Z_u = S_r([M_u || I_t] + pos)`, one summarizer.

    Args:
        dim: Width of a token, d.
        unit_tokens: Tokens of a memory unit, m.
        input_tokens: Input tokens of a step, n.
        read_tokens: Tokens that the read of one unit returns, r.
        positions: Whether a learned position table is added.
        dropout: Dropout of the summarizer, in [0, 1).

    Source: T-TMC module of the paper. The published code draws its position numbers anew
    at each forward pass, and reads a single unit three times.
    """

    def __init__(
        self,
        *,
        dim: int,
        unit_tokens: int,
        input_tokens: int,
        read_tokens: int,
        positions: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        num_tokens = unit_tokens + input_tokens
        self.positions = Positions(num_tokens=num_tokens, dim=dim) if positions else nn.Identity()
        self.summarize = TokenLearner(dim=dim, num_tokens=read_tokens, dropout=dropout)

    def forward(self, units: list[Tensor], inputs: Tensor) -> Tensor:
        """Reads.

        Args:
            units: The u neighbours, current unit first, each `(b m d)`.
            inputs: Input tokens of the step, `(b n d)`.

        Returns:
            Read tokens `(b u*r d)`.
        """
        reads = [self.summarize(self.positions(torch.cat([unit, inputs], dim=1))) for unit in units]
        return torch.cat(reads, dim=1)
