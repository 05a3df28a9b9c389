"""A softmax taken part by part, against torch's over all tokens."""

import pytest
import torch

from lmttm.model.softmax import Embedded, join, pool, stack, unstack


def embedded(num_tokens, *leading, scale=1.0, dtype=torch.float64):
    scores = scale * torch.randn(*leading, num_tokens, 3, dtype=torch.float64)
    values = torch.randn(*leading, num_tokens, 5, dtype=torch.float64)
    return Embedded(scores.to(dtype).requires_grad_(), values.to(dtype).requires_grad_())


def at_once(parts):
    scores = torch.cat([part.scores for part in parts], dim=-2)
    values = torch.cat([part.values for part in parts], dim=-2)
    return scores.softmax(dim=-2).mT @ values


def gradients(outputs, parts):
    torch.manual_seed(1)
    weight = torch.randn(outputs.shape, dtype=torch.float64)
    tensors = [tensor for part in parts for tensor in part]
    return torch.autograd.grad((outputs.double() * weight).sum(), tensors)


@pytest.mark.parametrize("leading", [(), (2,), (2, 4)])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_parts_joined_equal_one_softmax(leading, scale):
    parts = [embedded(n, *leading, scale=scale) for n in (1, 4, 7)]
    got, expected = join([pool(part) for part in parts]), at_once(parts)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(gradients(got, parts), gradients(expected, parts), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_scores_far_apart_stay_finite():
    """Guards against exponentials that overflow, and against a part that loses all its weight."""
    parts = [embedded(4), embedded(4), embedded(4)]
    parts = [
        Embedded((part.scores + shift).detach().requires_grad_(), part.values)
        for part, shift in zip(parts, (-2000.0, 2000.0, 0.0), strict=True)
    ]
    got = join([pool(part) for part in parts])
    torch.testing.assert_close(got, at_once(parts[1:2]))
    assert all(gradient.isfinite().all() for gradient in gradients(got, parts))


def test_leading_axes_are_broadcast():
    """What several summaries share is pooled once."""
    several, shared = embedded(4, 2, 6), embedded(7, 2, 1)
    got = join([pool(several), pool(shared)])
    repeated = Embedded(*(part.expand(2, 6, -1, -1) for part in shared))
    torch.testing.assert_close(got, at_once([several, repeated]))


def test_parts_side_by_side_are_joined_alike():
    several = [pool(embedded(4, 2)) for _ in range(3)]
    several[1] = pool(embedded(4, 1))  # shared by the batch
    other = pool(embedded(7, 2))
    beside = stack(several, dim=1)
    assert beside.means.shape == (2, 3, 3, 5)
    got = join([beside, stack([other], dim=1)])
    for index, part in enumerate(several):
        torch.testing.assert_close(got[:, index], join([part, other]))
    first, *_ = unstack(stack(several, dim=0))
    assert torch.equal(first.means, several[0].means)


def test_bfloat16_weights_its_parts_in_float32():
    """Guards against logarithms in bfloat16, whose last digit at 100 is a half."""
    parts = [embedded(n, scale=0.3, dtype=torch.bfloat16) for n in (5, 6)]
    parts = [Embedded(part.scores + 100, part.values) for part in parts]
    got = join([pool(part) for part in parts])
    exact = at_once([Embedded(*(tensor.double() for tensor in part)) for part in parts])
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.double(), exact, rtol=0.02, atol=0.02)
