"""Summarizers and position tables, against the equations."""

import numpy as np
import pytest
import torch

from lmttm.layers import AttentionSummarizer, Positions, TokenLearner, make_summarizer
from tests import reference


def weights_of(module, name):
    return {f"{name}.{key}": value.numpy() for key, value in module.state_dict().items()}


def test_token_learner_equals_its_equation():
    layer = TokenLearner(dim=12, num_tokens=3, dropout=0.5).double().eval()
    torch.nn.init.normal_(layer.score[0].weight)
    torch.nn.init.normal_(layer.score[0].bias)
    tokens = torch.randn(2, 7, 12, dtype=torch.float64)
    expected = [reference.summarize(t.numpy(), weights_of(layer, "s"), "s") for t in tokens]
    np.testing.assert_allclose(layer(tokens).detach().numpy(), expected, rtol=1e-12)


def test_attention_summarizer_equals_its_equation():
    layer = AttentionSummarizer(dim=12, num_tokens=3, num_heads=4, dropout=0.5).double().eval()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    tokens = torch.randn(2, 7, 12, dtype=torch.float64)
    w = weights_of(layer, "s")
    expected = [reference.summarize_mha(t.numpy(), w, "s", 4) for t in tokens]
    np.testing.assert_allclose(layer(tokens).detach().numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("kind", ["token_learner", "attention"])
def test_a_summary_does_not_depend_on_the_other_volumes(kind):
    """Guards against attention across the batch instead of across the tokens."""
    layer = make_summarizer(kind, dim=8, num_tokens=2, num_heads=2, dropout=0.0)
    tokens = torch.randn(5, 6, 8)
    alone = torch.cat([layer(tokens[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(layer(tokens), alone)


def test_dropout_is_off_in_evaluation():
    layer = TokenLearner(dim=8, num_tokens=2, dropout=0.9)
    tokens = torch.randn(1, 6, 8)
    assert not torch.equal(layer(tokens), layer(tokens))
    layer.eval()
    assert torch.equal(layer(tokens), layer(tokens))


def test_positions_are_learned_and_stay():
    """Guards against "positional embeddings" that are fresh random numbers at each forward."""
    positions = Positions(num_tokens=5, dim=4)
    tokens = torch.randn(3, 5, 4)
    first = positions(tokens)
    assert torch.equal(first, positions(tokens))
    assert torch.equal(first - tokens, (tokens + positions.table) - tokens)
    assert positions.table.requires_grad
    assert abs(Positions(num_tokens=200, dim=200).table.std().item() - 0.02) < 0.001


def test_heads_must_share_the_width():
    with pytest.raises(ValueError, match="got dim=10, num_heads=4"):
        AttentionSummarizer(dim=10, num_tokens=2, num_heads=4, dropout=0.0)
    with pytest.raises(ValueError, match="token_learner or attention, got 'x'"):
        make_summarizer("x", dim=8, num_tokens=2, num_heads=2, dropout=0.0)
