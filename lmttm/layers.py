"""Token summarizers and the position table: the small blocks that read and write share."""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

# What a summarizer makes of tokens one by one: what weighs them, and what is weighed.
Embedded = tuple[Tensor, Tensor]
# What is left of tokens to which positions will be added: two products, a scale for each slot.
Projected = tuple[tuple[Tensor, Tensor], tuple[Tensor, ...]]


class Dropout(nn.Dropout):
    """`nn.Dropout` that draws its random numbers quickly on the CPU as well.

    Torch draws one number per entry there and takes longer than for the matrix product
    before it. Here 64 random bits serve four entries, which rounds the share that is zeroed to
    a multiple of 1/65536; the others are enlarged by what that share asks for.
    """

    def forward(self, tokens: Tensor) -> Tensor:
        """Zeroes entries of tokens of any shape, in training only; the shape stays."""
        zeroed = min(round(self.p * 2**16), 2**16 - 1)
        if not (self.training and zeroed) or tokens.device.type != "cpu":
            return super().forward(tokens)
        bits = torch.empty(-(-tokens.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = bits.view(torch.int16)[: tokens.numel()] >= zeroed - 2**15
        return tokens * kept.view(tokens.shape).type_as(tokens).mul_(2**16 / (2**16 - zeroed))


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

    def products(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The large products of `embed` but for LayerNorm's scale; tokens `(... n d)`."""
        norm, linear = self.score[0], self.score[1]
        # LayerNorm subtracts a token's mean; the weight may do so as well.
        weight = linear.weight * norm.weight
        weight = weight - weight.mean(dim=1, keepdim=True)
        return F.linear(tokens, weight), self.value[0](tokens)

    def project(self, tokens: Tensor, places: Tensor) -> Projected:
        """What `embed_sum` needs of tokens `(b n d)` for all their places `(s n d)`.

        Beside the products that is the scale by which LayerNorm would divide each sum x + p,
        from Var(x + p) = Var(x) + 2 Cov(x, p) + Var(p).
        """
        centred = places - places.mean(dim=-1, keepdim=True)
        covariance = torch.einsum("bnd,snd->sbn", tokens, centred) / tokens.shape[-1]
        variance = tokens.var(dim=-1, correction=0) + centred.square().mean(dim=-1)[:, None]
        scales = (variance + 2 * covariance + self.score[0].eps).rsqrt()
        return self.products(tokens), scales[..., None].unbind()

    def embed_sum(self, projected: Projected, places: tuple[Tensor, Tensor], slot: int) -> Embedded:
        """`embed(x + p)` without any large product: Linear(x + p) = Linear(x) + Linear(p).

        Args:
            projected: What `project` made of tokens `(b n d)`.
            places: What `products` made of their positions in this slot `(n d)`.
            slot: Which of the places they have.

        Returns:
            Scores `(b n j)` and values `(b n d)`.
        """
        (hidden, values), scales = projected
        hidden_of_places, values_of_places = places
        norm, linear = self.score[0], self.score[1]
        normed = (hidden + hidden_of_places) * scales[slot] + linear.weight @ norm.bias
        return self.score[2:](normed), self.value[1](values + values_of_places)


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

    def products(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The large products of `embed`; tokens `(... n d)`."""
        return self.embed(tokens)

    def project(self, tokens: Tensor, places: Tensor) -> Projected:
        """What `embed_sum` needs of tokens `(b n d)` for all their places `(s n d)`."""
        return self.products(tokens), ()

    def embed_sum(self, projected: Projected, places: tuple[Tensor, Tensor], slot: int) -> Embedded:
        """`embed(x + p)` without any large product, since both maps are linear.

        Takes the arguments of `TokenLearner.embed_sum`.
        """
        (keys, values), _ = projected
        keys_of_places, values_of_places = places
        return keys + keys_of_places, values + (values_of_places - self.value.bias)

    def _scaled_queries(self) -> Tensor:
        return self._heads(self.query(self.queries)) / (self.dim / self.num_heads) ** 0.5

    def _heads(self, tokens: Tensor) -> Tensor:
        return rearrange(tokens, "... n (h e) -> ... h n e", h=self.num_heads)


def _weighted_sum(scores: list[Tensor], parts: Sequence[Embedded]) -> Tensor:
    """Softmax of scores `(... j n)` over all parts' tokens, applied to their values."""
    lengths = [part.shape[-1] for part in scores]
    weights = torch.cat(scores, dim=-1).softmax(dim=-1).split(lengths, dim=-1)
    return sum(w @ values for w, (_, values) in zip(weights, parts, strict=True))


class MeanPool(nn.Module):
    """Joins the output tokens of a step by their mean (the paper's way)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens `(b t n d)` -> `(b t d)`."""
        return tokens.mean(dim=2)


class AttentionPool(nn.Module):
    """Joins the output tokens of a step by one learned query that attends to them.

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
        joined = self.summarize(self.norm(tokens.flatten(0, 1)))
        return joined.unflatten(0, tokens.shape[:2])[:, :, 0]


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
