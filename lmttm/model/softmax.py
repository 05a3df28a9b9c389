"""Means weighted by a softmax, taken part by part.

A softmax over many tokens need not see them at once. If each part of them is pooled by a softmax
of its own (`pool`), which also gives the logarithm of the sum of its exponentials, then a softmax
over these logarithms weights the parts (`join`), and the result is the softmax over all tokens,
to the digits of the logarithms. So a part that several summaries share is pooled once.

Source: the online softmax, arXiv 1805.02867.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Embedded(NamedTuple):
    """Tokens as j summaries see them: scores `(... n j)` and values `(... n e)`.

    With attention heads, the last of the axes `...` are the heads, and e is the width of one.
    """

    scores: Tensor
    values: Tensor


class Pooled(NamedTuple):
    """Tokens of one part, pooled for each of j summaries.

    Attributes:
        means: Weighted means of the values, `(... j e)`.
        logs: The logarithm of the sum of the scores' exponentials, `(... j 1)`, in fp32 or more.
    """

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
    """The means `(... j e)` over the tokens of all parts, whose axes `...` are broadcast."""
    logs = torch.stack(torch.broadcast_tensors(*(part.logs for part in parts)))
    first, *others = logs.softmax(dim=0).type_as(parts[0].means).unbind()
    means = parts[0].means * first
    for part, weight in zip(parts[1:], others, strict=True):
        means = torch.addcmul(means, part.means, weight)
    return means


def stack(parts: Sequence[Pooled], dim: int) -> Pooled:
    """Parts side by side along a new axis, broadcast where one of them is shared by a batch."""
    return Pooled(
        *(
            torch.stack(torch.broadcast_tensors(*tensors), dim=dim)
            for tensors in zip(*parts, strict=True)
        )
    )


def unstack(pooled: Pooled) -> list[Pooled]:
    """The parts that lie side by side along the first axis."""
    return [Pooled(*part) for part in zip(*pooled, strict=True)]
