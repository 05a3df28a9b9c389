"""Embeds tokens at several positions each, without a large product for each position.

In the write, a memory unit is the current, the past and the next unit in turn, and its tokens x
get a different position p in each of these slots. A summarizer starts with linear maps of x + p,
and Linear(x + p) = Linear(x) + Linear(p). So the products of the tokens are computed once
(`project`), those of the positions once for all units, and each slot adds the two (`embed`).
The result equals the summarizer's own `embed(x + p)`.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from lmttm.model.summarizers import AttentionSummarizer, Embedded, Summarizer, TokenLearner


class Projected(NamedTuple):
    """Projections of tokens `(b n d)` to which positions will be added."""

    products: tuple[Tensor, Tensor]  # of both linear maps, each (b n d)
    scales: tuple[Tensor, ...]  # for each slot LayerNorm's factor (b n 1), where there is one


class TokenLearnerSums:
    """Sums of tokens and positions for a `TokenLearner`.

    Its LayerNorm precedes a linear map and divides each sum x + p by its standard deviation. So
    LayerNorm's mean and scale are folded into the map's weight, and the standard deviation, from
    Var(x + p) = Var(x) + 2 Cov(x, p) + Var(p), is applied after the product.

    Args:
        summarizer: The summarizer; its weights are used, not copied.
        places: The positions of each slot, `(s n d)`.
    """

    def __init__(self, summarizer: TokenLearner, places: Tensor) -> None:
        norm, linear, *self.score = summarizer.score
        self.value, self.activation = summarizer.value
        assert isinstance(norm, nn.LayerNorm)
        assert isinstance(linear, nn.Linear)
        self.eps = norm.eps
        weight = linear.weight * norm.weight
        self.weight = (weight - weight.mean(dim=1, keepdim=True)).type_as(places)
        self.bias = linear.weight @ norm.bias
        self.places = _centred(places)
        self.slots = [(F.linear(p, self.weight), self.value(p)) for p in places]

    def project(self, tokens: Tensor) -> Projected:
        """Computes the products of tokens `(b n d)`."""
        centred = _centred(tokens)
        # For each token a product of its batch (b d) with its places in all slots (d s).
        dots = centred.transpose(0, 1) @ rearrange(self.places, "s n d -> n d s")
        covariance = rearrange(dots, "n b s -> s b n") / tokens.shape[-1]
        variance = centred.square().mean(dim=-1) + self.places.square().mean(dim=-1)[:, None]
        # Rounding must not make a variance near 0 negative.
        scales = ((variance + 2 * covariance).clamp(min=0) + self.eps).rsqrt()
        products = F.linear(tokens, self.weight), self.value(tokens)
        return Projected(products, scales[..., None].type_as(tokens).unbind())

    def embed(self, projected: Projected, slot: int) -> Embedded:
        """The scores `(b n j)` and values `(b n d)` of tokens in one of their slots."""
        (hidden, values), scale = projected.products, projected.scales[slot]
        hidden_of_places, values_of_places = self.slots[slot]
        scores = torch.addcmul(hidden_of_places * scale + self.bias, hidden, scale)
        for layer in self.score:
            scores = layer(scores)
        return scores, self.activation(values + values_of_places)


class AttentionSums:
    """Sums of tokens and positions for an `AttentionSummarizer`, both of whose maps are linear.

    Takes the arguments of `TokenLearnerSums`.
    """

    def __init__(self, summarizer: AttentionSummarizer, places: Tensor) -> None:
        self.summarizer = summarizer
        without_bias = F.linear(places, summarizer.value.weight)
        self.slots = list(zip(summarizer.key(places), without_bias, strict=True))

    def project(self, tokens: Tensor) -> Projected:
        """Computes the products of tokens `(b n d)`."""
        return Projected(self.summarizer.embed(tokens), ())

    def embed(self, projected: Projected, slot: int) -> Embedded:
        """The keys and values, each `(b n d)`, of tokens in one of their slots."""
        (keys, values), (keys_of_places, values_of_places) = projected.products, self.slots[slot]
        return keys + keys_of_places, values + values_of_places


def make_sums(summarizer: Summarizer, places: Tensor) -> TokenLearnerSums | AttentionSums:
    """The sums of tokens and positions `(s n d)` for a summarizer of these two classes.

    Raises:
        TypeError: It is of another class.
    """
    if type(summarizer) is TokenLearner:
        return TokenLearnerSums(summarizer, places)
    if type(summarizer) is AttentionSummarizer:
        return AttentionSums(summarizer, places)
    raise TypeError(f"there are no sums for {type(summarizer).__name__}")


def _centred(tokens: Tensor) -> Tensor:
    """Tokens minus the mean of each."""
    return tokens - tokens.mean(dim=-1, keepdim=True)
