"""Sums of tokens and positions, against the summarizer that embeds each sum by itself."""

from functools import partial

import pytest
import torch

from lmttm.model.summarizers import AttentionSummarizer, TokenLearner
from lmttm.model.sums import make_sums

KINDS = {"TL": TokenLearner, "TL-MHA": partial(AttentionSummarizer, num_heads=4)}


def summarizer(kind):
    layer = KINDS[kind](dim=12, num_tokens=5, dropout=0.0)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


@pytest.mark.parametrize("slots", [[0, 1, 2], [2], [0, 2], [2, 0, 1]])
@pytest.mark.parametrize("volumes", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_each_slot_gets_what_the_summarizer_makes_of_the_sum(kind, volumes, slots):
    layer = summarizer(kind).double()
    tokens = torch.randn(volumes, 7, 12, dtype=torch.float64)
    places = torch.randn(3, 7, 12, dtype=torch.float64)
    got = make_sums(layer, places).embed(tokens, slots)
    for index, slot in enumerate(slots):
        for part, expected in zip(got, layer.embed(tokens + places[slot]), strict=True):
            torch.testing.assert_close(part[index], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sum_without_variance_stays_finite(dtype):
    """Guards against a variance that rounding makes negative, and its root."""
    places = torch.randn(1, 50, 12, dtype=dtype)
    tokens = (-places).requires_grad_()
    sums = make_sums(summarizer("TL").to(dtype), places)
    scores, values = sums.embed(tokens, [0])
    (scores.sum() + values.sum()).backward()
    assert scores.isfinite().all()
    assert tokens.grad.isfinite().all()
