"""Pools the output tokens of each step before the classifier."""

from einops import rearrange
from torch import Tensor, nn

from lmttm.model.summarizers import AttentionSummarizer


class MeanPool(nn.Module):
    """Pools the output tokens of a step by their mean, as in the paper."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens `(b t n d)` -> `(b t d)`."""
        return tokens.mean(dim=2)


class AttentionPool(nn.Module):
    """Pools the output tokens of a step by one learned query that attends to them.

    Args:
        dim: Width of a token, d; a multiple of num_heads.
        num_heads: Attention heads.
    """

    def __init__(self, *, dim: int, num_heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.summarize = AttentionSummarizer(
            dim=dim, num_tokens=1, num_heads=num_heads, dropout=0.0
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens `(b t n d)` -> `(b t d)`."""
        joined: Tensor = self.summarize(self.norm(tokens.flatten(0, 1)))
        return rearrange(joined, "(b t) 1 d -> b t d", b=tokens.shape[0])
