"""Embeds tokens at several positions each, without a large product for each position.

In the write, a memory unit is the current, the past and the next unit in turn, and its tokens x
get a different position p in each of these slots. A summarizer starts with linear maps of x + p,
and Linear(x + p) = Linear(x) + Linear(p). So the products of the tokens are computed once for all
slots, those of the positions once for all units, and each slot adds the two. The result equals
the summarizer's own `embed(x + p)`.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from lmttm.model.softmax import Embedded
from lmttm.model.summarizers import AttentionSummarizer, Summarizer, TokenLearner


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
        norm, linear = summarizer.score[:2]
        self.score = summarizer.score[2:]
        self.value, self.activation = summarizer.value
        assert isinstance(norm, nn.LayerNorm)
        assert isinstance(linear, nn.Linear)
        self.eps = norm.eps
        weight = linear.weight * norm.weight
        self.weight = (weight - weight.mean(dim=1, keepdim=True)).type_as(places)
        self.bias = (linear.weight @ norm.bias).type_as(places)
        places = places[:, None]  # s 1 n d: the same for all volumes
        self.places = _centred(places)
        self.hidden, self.values = F.linear(places, self.weight), self.value(places)

    def embed(self, tokens: Tensor, slots: Sequence[int]) -> Embedded:
        """The scores `(s b n j)` and values `(s b n d)` of tokens `(b n d)` in some slots."""
        hidden = F.linear(tokens, self.weight) + _chosen(self.hidden, slots)
        scores = self.score(torch.addcmul(self.bias, hidden, self._scale(tokens, slots)))
        return Embedded(scores, self.activation(self.value(tokens) + _chosen(self.values, slots)))

    def _scale(self, tokens: Tensor, slots: Sequence[int]) -> Tensor:
        """LayerNorm's factor `(s b n 1)` for each sum."""
        centred, places = _centred(tokens), _chosen(self.places, slots)
        # For each token a product of its batch (b d) with its places in the slots (d s).
        dots = centred.transpose(0, 1) @ rearrange(places, "s 1 n d -> n d s")
        covariance = rearrange(dots, "n b s -> s b n") / tokens.shape[-1]
        variance = centred.square().mean(dim=-1) + places.square().mean(dim=-1)
        # Rounding must not make a variance near 0 negative.
        factor = ((variance + 2 * covariance).clamp(min=0) + self.eps).rsqrt()
        return factor[..., None].type_as(tokens)


class AttentionSums:
    """Sums of tokens and positions for an `AttentionSummarizer`, whose embedding is linear.

    Takes the arguments of `TokenLearnerSums`.
    """

    def __init__(self, summarizer: AttentionSummarizer, places: Tensor) -> None:
        self.summarizer = summarizer
        scores, values = summarizer.embed(places[:, None])  # s 1 n d: the same for all volumes
        # The values of zeros are their map's bias, which the tokens' own values bring with them.
        _, bias = summarizer.embed(torch.zeros_like(places[:1, None, :1]))
        self.places = Embedded(scores, values - bias)

    def embed(self, tokens: Tensor, slots: Sequence[int]) -> Embedded:
        """The scores `(s b h n j)` and values `(s b h n d/h)` of tokens `(b n d)` in some slots."""
        scores, values = self.summarizer.embed(tokens)
        return Embedded(
            scores + _chosen(self.places.scores, slots), values + _chosen(self.places.values, slots)
        )


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


def _chosen(places: Tensor, slots: Sequence[int]) -> Tensor:
    """The rows of a table `(s ...)` that belong to some of its slots, in the order of these."""
    if list(slots) == list(range(len(places))):
        return places
    # Not `places[slots]`: a GPU would wait until the list of indices is copied to it.
    return torch.stack([places[slot] for slot in slots])
