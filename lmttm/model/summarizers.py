"""Token summarizers: n tokens into j, by softmax weightings."""

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from einops import rearrange
from torch import Tensor, nn

from lmttm.model.layers import Dropout, check_heads
from lmttm.model.softmax import Embedded


class Summarizer(nn.Module, ABC):
    """Summarizes n tokens into j."""

    if TYPE_CHECKING:  # `nn.Module` has it, but says nothing of its types

        def __call__(self, tokens: Tensor) -> Tensor:
            """Calls `forward`."""

    @abstractmethod
    def forward(self, tokens: Tensor) -> Tensor:
        """Summarizes tokens `(b n d)`, for any n, into `(b j d)`."""

    @abstractmethod
    def weights(self, tokens: Tensor) -> Tensor:
        """How much each of the j summaries takes of each token: `(b n d)` -> `(b j n)`."""


class EmbeddingSummarizer(Summarizer):
    """Embeds tokens one by one, then pools them: the form that `lmttm.model.fast` relies on.

    `forward(tokens)` equals `finish(join([pool(embed(part)) for part in parts]))`, whatever the
    parts of the tokens; `pool` and `join` are those of `lmttm.model.softmax`.
    """

    @abstractmethod
    def embed(self, tokens: Tensor) -> Embedded:
        """Maps each token by itself: `(... n d)` to scores `(... n j)` and values `(... n e)`."""

    @abstractmethod
    def finish(self, means: Tensor) -> Tensor:
        """Makes the summary `(... j d)` of the values' weighted means `(... j e)`."""


class TokenLearner(EmbeddingSummarizer):
    """Summarizes n tokens into j: each is a softmax-weighted mean of all tokens' values.

    Args:
        dim: Width of a token, d.
        num_tokens: Summary tokens, j.
        dropout: Dropout rate of the output, in [0, 1).

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

    def weights(self, tokens: Tensor) -> Tensor:
        """How much each of the j summaries takes of each token: `(b n d)` -> `(b j n)`."""
        scores: Tensor = self.score(tokens)
        return scores.mT.softmax(dim=-1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Summarizes tokens `(b n d)`, for any n, into `(b j d)`."""
        return self.finish(self.weights(tokens) @ self.value(tokens))

    def embed(self, tokens: Tensor) -> Embedded:
        """Embeds tokens one by one: scores `(... n j)` and values `(... n d)`."""
        return Embedded(self.score(tokens), self.value(tokens))

    def finish(self, means: Tensor) -> Tensor:
        """Drops out entries of the means; keeps the shape."""
        summary: Tensor = self.dropout(means)
        return summary


class AttentionSummarizer(EmbeddingSummarizer):
    """Summarizes n tokens into j: learned queries attend to the tokens.

    Args:
        dim: Width of a token, d; a multiple of num_heads.
        num_tokens: Summary tokens, j.
        num_heads: Attention heads.
        dropout: Dropout rate of the output, in [0, 1).

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

    def weights(self, tokens: Tensor) -> Tensor:
        """How much each of the j summaries takes of each token: the mean over the heads."""
        return self._weights(tokens).mean(dim=-3)

    def forward(self, tokens: Tensor) -> Tensor:
        """Summarizes tokens `(b n d)`, for any n, into `(b j d)`."""
        return self.finish(self._weights(tokens) @ self._heads(self.value(tokens)))

    def embed(self, tokens: Tensor) -> Embedded:
        """Embeds tokens one by one: scores `(... h n j)` and values `(... h n e)`, e = d/h."""
        keys, values = self._heads(self.key(tokens)), self._heads(self.value(tokens))
        return Embedded(keys @ self._scaled_queries().mT, values)

    def finish(self, means: Tensor) -> Tensor:
        """Maps the means of all heads `(... h j e)` to the summary `(... j d)`."""
        summary: Tensor = self.dropout(self.output(rearrange(means, "... h j e -> ... j (h e)")))
        return summary

    def _weights(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self._scaled_queries() @ self._heads(self.key(tokens)).mT
        return scores.softmax(dim=-1)

    def _scaled_queries(self) -> Tensor:
        return self._heads(self.query(self.queries)) / math.sqrt(self.dim / self.num_heads)

    def _heads(self, tokens: Tensor) -> Tensor:
        return rearrange(tokens, "... n (h e) -> ... h n e", h=self.num_heads)
