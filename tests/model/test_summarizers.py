"""Token summarizers, against their equations."""

from functools import partial

import numpy as np
import pytest
import torch

from lmttm.model.softmax import join, pool
from lmttm.model.summarizers import AttentionSummarizer, TokenLearner
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


@pytest.mark.parametrize("kind", [TokenLearner, partial(AttentionSummarizer, num_heads=2)])
def test_a_summary_does_not_depend_on_the_other_volumes(kind):
    """Guards against attention across the batch instead of across the tokens."""
    layer = kind(dim=8, num_tokens=2, dropout=0.0)
    tokens = torch.randn(5, 6, 8)
    alone = torch.cat([layer(tokens[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(layer(tokens), alone)


@pytest.mark.parametrize("kind", [TokenLearner, partial(AttentionSummarizer, num_heads=2)])
def test_dropout_is_off_in_evaluation(kind):
    layer = kind(dim=8, num_tokens=2, dropout=0.9)
    tokens = torch.randn(1, 6, 8)
    assert not torch.equal(layer(tokens), layer(tokens))
    layer.eval()
    assert torch.equal(layer(tokens), layer(tokens))


def test_heads_must_share_the_width():
    with pytest.raises(ValueError, match="got dim=10, num_heads=4"):
        AttentionSummarizer(dim=10, num_tokens=2, num_heads=4, dropout=0.0)


@pytest.mark.parametrize("kind", [TokenLearner, partial(AttentionSummarizer, num_heads=2)])
def test_weights_say_what_each_summary_takes_of_each_token(kind):
    """Guards against an explanation that shows other weights than those that were applied."""
    layer = kind(dim=8, num_tokens=3, dropout=0.0)
    tokens = torch.randn(2, 6, 8)
    weights = layer.weights(tokens)
    assert weights.shape == (2, 3, 6)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 3))
    if kind is TokenLearner:
        torch.testing.assert_close(weights @ layer.value(tokens), layer(tokens))
    else:
        heads = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        with torch.no_grad():
            heads.in_proj_weight.copy_(
                torch.cat([layer.query.weight, layer.key.weight, layer.value.weight])
            )
            heads.in_proj_bias.copy_(
                torch.cat([layer.query.bias, torch.zeros(8), layer.value.bias])
            )
            heads.out_proj.load_state_dict(layer.output.state_dict())
        expected, theirs = heads(layer.queries.expand(2, -1, -1), tokens, tokens)
        torch.testing.assert_close(weights, theirs)
        torch.testing.assert_close(layer(tokens), expected)


@pytest.mark.parametrize("kind", [TokenLearner, partial(AttentionSummarizer, num_heads=2)])
def test_parts_are_pooled_as_if_they_were_one(kind):
    """What the fast form rests on: one softmax over the tokens of all parts."""
    layer = kind(dim=8, num_tokens=3, dropout=0.0)
    tokens = torch.randn(2, 6, 8)
    parts = [pool(layer.embed(part)) for part in tokens.split([1, 3, 2], dim=1)]
    torch.testing.assert_close(layer.finish(join(parts)), layer(tokens))
