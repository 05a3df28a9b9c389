"""Token summarizers: n tokens into j, by softmax weightings."""

import functools
from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from lmttm.model.layers import Dropout, check_heads

# What a summarizer makes of tokens one by one: what weighs them, and what is weighed.
Embedded = tuple[Tensor, Tensor]


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
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Summarizes.

        Args:
            tokens: `(b n d)`, for any n.

        Returns:
            `(b j d)`.
        """
        return self.pool(self.embed(tokens))

    def weights(self, tokens: Tensor) -> Tensor:
        """How much each of the j summaries takes of each token: `(b n d)` -> `(b j n)`."""
        return self.score(tokens).mT.softmax(dim=-1)

    def embed(self, tokens: Tensor) -> Embedded:
        """What looks at one token at a time: scores `(... n j)` and values `(... n d)`."""
        return self.score(tokens), self.value(tokens)

    def pool(self, *parts: Embedded) -> Tensor:
        """What joins the tokens: softmax over all parts' tokens, weighted sum `(b j d)`."""
        return self.dropout(_weighted_sum([scores.mT for scores, _ in parts], parts))


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
        self.dim = dim
        self.num_heads = num_heads
        self.queries = nn.Parameter(torch.empty(num_tokens, dim))
        nn.init.normal_(self.queries, std=0.02)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim)
        self.output = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Summarizes tokens `(b n d)`, for any n, into `(b j d)`."""
        return self.pool(self.embed(tokens))

    def weights(self, tokens: Tensor) -> Tensor:
        """How much each of the j summaries takes of each token: the mean over the heads."""
        scores = self._scaled_queries() @ self._heads(self.key(tokens)).mT
        return scores.softmax(dim=-1).mean(dim=-3)

    def embed(self, tokens: Tensor) -> Embedded:
        """What looks at one token at a time: keys and values, each `(... n d)`."""
        return self.key(tokens), self.value(tokens)

    def pool(self, *parts: Embedded) -> Tensor:
        """What joins the tokens: attention over all parts' tokens, `(b j d)`."""
        queries = self._scaled_queries()
        scores = [queries @ self._heads(keys).mT for keys, _ in parts]
        attended = _weighted_sum(scores, [(keys, self._heads(values)) for keys, values in parts])
        return self.dropout(self.output(rearrange(attended, "b h j e -> b j (h e)")))

    def _scaled_queries(self) -> Tensor:
        return self._heads(self.query(self.queries)) / (self.dim / self.num_heads) ** 0.5

    def _heads(self, tokens: Tensor) -> Tensor:
        return rearrange(tokens, "... n (h e) -> ... h n e", h=self.num_heads)


def _weighted_sum(scores: list[Tensor], parts: Sequence[Embedded]) -> Tensor:
    """Softmax of scores `(... j n)` over all parts' tokens, applied to their values."""
    lengths = [part.shape[-1] for part in scores]
    weights = torch.cat(scores, dim=-1).softmax(dim=-1).split(lengths, dim=-1)
    sums = [w @ values for w, (_, values) in zip(weights, parts, strict=True)]
    return functools.reduce(torch.add, sums)
