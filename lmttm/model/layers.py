"""Small layers that several parts of the machine share."""

import torch
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """`nn.Dropout` that draws its random numbers quickly on the CPU as well.

    On the CPU, torch draws one number per entry, which takes longer than the matrix product
    before it. Here 64 random bits serve four entries, which rounds the dropout rate to a
    multiple of 1/65536; the remaining entries are scaled up to match it.
    """

    def forward(self, tokens: Tensor) -> Tensor:
        """Zeroes entries of tokens of any shape, in training only; keeps the shape."""
        zeroed = min(round(self.p * 2**16), 2**16 - 1)
        if not (self.training and zeroed) or tokens.device.type != "cpu":
            return super().forward(tokens)
        bits = torch.empty(-(-tokens.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = bits.view(torch.int16)[: tokens.numel()] >= zeroed - 2**15
        return tokens * kept.view(tokens.shape).type_as(tokens).mul_(2**16 / (2**16 - zeroed))


class Positions(nn.Module):
    """A learned position table, added to tokens.

    Args:
        num_tokens: Rows of the table: tokens, n.
        dim: Width of a token, d.

    Source: section 3 of the paper; the published code draws new random numbers at each
    forward pass instead.
    """

    def __init__(self, *, num_tokens: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(num_tokens, dim))
        nn.init.normal_(self.table, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Adds the table to tokens `(... n d)`; keeps the shape."""
        return tokens + self.table.type_as(tokens)


def check_heads(dim: int, num_heads: int) -> None:
    """Raises a ValueError unless `dim` is a multiple of `num_heads`."""
    if dim % num_heads:
        raise ValueError(
            f"dim must be divisible by num_heads, got dim={dim}, num_heads={num_heads}"
        )
