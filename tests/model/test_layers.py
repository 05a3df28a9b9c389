"""Summarizers and position tables, against the equations."""

import numpy as np
import pytest
import torch

from lmttm.model.layers import Dropout, Positions
from lmttm.model.summarizers import AttentionSummarizer, TokenLearner, make_summarizer
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


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.9999999])
def test_dropout_zeroes_its_share_and_keeps_the_mean(share):
    dropout = Dropout(share)
    tokens = torch.ones(3, 77, 4111, requires_grad=True)
    dropped = dropout(tokens)
    dropped.sum().backward()
    assert torch.equal(dropped, tokens.grad)
    kept = dropped != 0
    error = 6 * (share * (1 - share) / tokens.numel()) ** 0.5 + 2**-16
    assert abs(kept.double().mean().item() - (1 - share)) < error
    if share < 0.99:
        assert dropped[kept].unique().item() == pytest.approx(1 / (1 - share), rel=1e-4)
    assert torch.equal(dropout.eval()(tokens), tokens)


def test_dropout_draws_each_entry_by_itself():
    """Guards against entries that share random bits: neighbours at any of the four places."""
    kept = (Dropout(0.5)(torch.ones(400_000)) != 0).double().view(-1, 4)
    assert (torch.corrcoef(kept.T) - torch.eye(4)).abs().max() < 0.02
    after = torch.stack([kept[:-1, 3], kept[1:, 0]])
    assert torch.corrcoef(after)[0, 1].abs() < 0.02


def test_dropout_repeats_with_the_seed_and_not_otherwise():
    dropout, tokens = Dropout(0.3), torch.ones(5, 6)
    torch.manual_seed(7)
    first, second = dropout(tokens), dropout(tokens)
    torch.manual_seed(7)
    assert torch.equal(dropout(tokens), first)
    assert not torch.equal(first, second)
    assert torch.equal(Dropout(0.0)(tokens), tokens)
