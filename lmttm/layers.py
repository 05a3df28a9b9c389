"""Token summarizers and the position table: the small blocks that read and write share."""

import torch
from torch import Tensor, nn


class Positions(nn.Module):
    """A learned position table, added to the tokens that it numbers.

    Args:
        num_tokens: Tokens it holds a place for, n.
        dim: Width of a token, d.

    Source: section 3 of the paper; the published code draws new random numbers at each
    forward pass instead.
    """

    def __init__(self, *, num_tokens: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(num_tokens, dim))
        nn.init.normal_(self.table, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Adds the table to tokens `(... n d)`; the shape stays."""
        return tokens + self.table


class TokenLearner(nn.Module):
    """Summarizes n tokens into j: each is a softmax-weighted mean of all tokens' values.

    Args:
        dim: Width of a token, d.
        num_tokens: Tokens that come out, j.
        dropout: Share of the output that dropout zeroes in training, in [0, 1).

    Source: `S_j` of the paper; TokenLearner (arXiv 2106.11297) as used by TTM.
    """

    def __init__(self, *, dim: int, num_tokens: int, dropout: float) -> None:
        super().__init__()
        self.score = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, dim, bias=False),
            nn.GELU(),
            nn.Linear(dim, num_tokens, bias=False),
        )
        self.value = nn.Sequential(nn.Linear(dim, dim, bias=False), nn.GELU())
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Summarizes.

        Args:
            tokens: `(b n d)`, for any n.

        Returns:
            `(b j d)`.
        """
        return self.pool(*self.embed(tokens))

    def embed(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The part that looks at one token at a time: scores `(b n j)`, values `(b n d)`."""
        return self.score(tokens), self.value(tokens)

    def pool(self, scores: Tensor, values: Tensor) -> Tensor:
        """The part that joins the tokens: softmax over n, then the weighted sum `(b j d)`."""
        return self.dropout(scores.softmax(dim=1).transpose(1, 2) @ values)
