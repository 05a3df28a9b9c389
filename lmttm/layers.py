"""Token summarizers and the position table: the small blocks that read and write share."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F


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


class AttentionSummarizer(nn.Module):
    """Summarizes n tokens into j: learned queries attend to the tokens.

    Args:
        dim: Width of a token, d; a multiple of num_heads.
        num_tokens: Tokens that come out, j.
        num_heads: Attention heads.
        dropout: Share of the output that dropout zeroes in training, in [0, 1).

    Raises:
        ValueError: dim is not a multiple of num_heads.

    Source: memory mode `TL-MHA`. The queries start with a standard deviation of 0.02, as
    in TTM's code; the published linked code takes 1. Keys have no bias: the softmax would
    cancel it.
    """

    def __init__(self, *, dim: int, num_tokens: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        check_heads(dim, num_heads)
        self.num_heads = num_heads
        self.queries = nn.Parameter(torch.empty(num_tokens, dim))
        nn.init.normal_(self.queries, std=0.02)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim)
        self.output = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Summarizes tokens `(b n d)`, for any n, into `(b j d)`."""
        return self.pool(*self.embed(tokens))

    def embed(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The part that looks at one token at a time: keys and values, each `(b n d)`."""
        return self.key(tokens), self.value(tokens)

    def pool(self, keys: Tensor, values: Tensor) -> Tensor:
        """The part that joins the tokens: attention over n, `(b j d)`."""
        queries = self.query(self.queries).expand(len(keys), -1, -1)
        heads = [
            rearrange(x, "b n (h e) -> b h n e", h=self.num_heads) for x in (queries, keys, values)
        ]
        attended = rearrange(F.scaled_dot_product_attention(*heads), "b h j e -> b j (h e)")
        return self.dropout(self.output(attended))


def make_summarizer(
    kind: str, *, dim: int, num_tokens: int, num_heads: int, dropout: float
) -> TokenLearner | AttentionSummarizer:
    """The summarizer of a kind: `token_learner` or `attention`."""
    if kind == "token_learner":
        return TokenLearner(dim=dim, num_tokens=num_tokens, dropout=dropout)
    if kind == "attention":
        return AttentionSummarizer(
            dim=dim, num_tokens=num_tokens, num_heads=num_heads, dropout=dropout
        )
    raise ValueError(f"summarizer must be token_learner or attention, got {kind!r}")


def check_heads(dim: int, num_heads: int) -> None:
    """Raises a ValueError unless the heads share a token's width evenly."""
    if dim % num_heads:
        raise ValueError(
            f"dim must be divisible by num_heads, got dim={dim}, num_heads={num_heads}"
        )
