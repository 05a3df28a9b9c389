"""Means weighted by a softmax, taken part by part.

A softmax over many tokens need not see them at once. If each part of them is pooled by a softmax
of its own (`pool`), which also gives the logarithm of the sum of its exponentials, then a softmax
over these logarithms weights the parts (`join`), and the result is the softmax over all tokens.
So a part that several summaries share is pooled once.

Source: the online softmax, arXiv 1805.02867.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Embedded(NamedTuple):
    """Tokens, as j summaries see them: scores `(... n j)`, and values `(... n d)`."""

    scores: Tensor
    values: Tensor


class Pooled(NamedTuple):
    """A part's tokens, pooled: means `(... j d)`, and logarithms `(... j 1)` in fp32 or more."""

    means: Tensor
    logs: Tensor


def pool(tokens: Embedded) -> Pooled:
    """Pools the tokens of one part by a softmax over them alone."""
    # In fp32, as logarithms have no digits to spare; in bf16 it would be slower on the CPU, too.
    scores = tokens.scores.type(torch.promote_types(tokens.scores.dtype, torch.float32))
    shares = scores.log_softmax(dim=-2)
    means = shares.exp().type_as(tokens.values).mT @ tokens.values
    logs = scores[..., :1, :] - shares[..., :1, :]  # the same for each token
    return Pooled(means, logs.mT)


def join(parts: Sequence[Pooled]) -> Tensor:
    """The means `(... j d)` over the tokens of all parts, whose leading axes are broadcast."""
    logs = torch.stack(torch.broadcast_tensors(*(part.logs for part in parts)))
    (first, weight), *others = zip(
        (part.means for part in parts),
        logs.softmax(dim=0).type_as(parts[0].means).unbind(),
        strict=True,
    )
    means = first * weight
    for part, weight in others:
        means = torch.addcmul(means, part, weight)
    return means
