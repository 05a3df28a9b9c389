"""How the output tokens of a step are joined, against torch's own layers."""

import torch
from torch import nn
from torch.nn import functional as F

from lmttm.model.pool import AttentionPool, MeanPool


def test_the_mean_is_that_of_each_step():
    tokens = torch.randn(2, 4, 5, 8)
    joined = MeanPool()(tokens)
    assert joined.shape == (2, 4, 8)
    torch.testing.assert_close(joined[1, 2], tokens[1, 2].mean(dim=0))


def attention_pool():
    """A pool at whose weights no term vanishes."""
    pool = AttentionPool(dim=8, num_heads=2)
    for parameter in pool.parameters():
        nn.init.normal_(parameter)
    return pool


def test_attention_is_one_querys_over_normalised_tokens():
    """Guards against a pool that skips its LayerNorm, or shares one query's view of all steps."""
    pool, tokens = attention_pool(), 5 + 3 * torch.randn(2, 4, 5, 8)
    summarize = pool.summarize
    heads = nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        heads.in_proj_weight.copy_(
            torch.cat([summarize.query.weight, summarize.key.weight, summarize.value.weight])
        )
        heads.in_proj_bias.copy_(
            torch.cat([summarize.query.bias, torch.zeros(8), summarize.value.bias])
        )
        heads.out_proj.load_state_dict(summarize.output.state_dict())
    joined = pool(tokens)
    assert joined.shape == (2, 4, 8)
    for volume in range(2):
        for step in range(4):
            seen = F.layer_norm(tokens[volume, step], (8,), pool.norm.weight, pool.norm.bias)
            expected, _ = heads(summarize.queries, seen, seen)
            torch.testing.assert_close(joined[volume, step], expected[0], rtol=1e-4, atol=1e-5)


def test_the_size_of_the_tokens_does_not_matter():
    """What the norm is for: outputs of a post-norm and of a pre-norm unit differ in size."""
    pool, tokens = attention_pool(), torch.randn(2, 4, 5, 8)
    torch.testing.assert_close(pool(100 * tokens), pool(tokens), rtol=1e-3, atol=1e-3)


def test_the_order_of_the_tokens_does_not_matter():
    tokens = torch.randn(2, 4, 5, 8)
    for pool in (MeanPool(), attention_pool()):
        torch.testing.assert_close(pool(tokens.flip(2)), pool(tokens))
