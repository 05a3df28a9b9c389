"""Position tables and dropout."""

import pytest
import torch

from lmttm.model.layers import Dropout, Positions


def test_positions_are_learned_and_stay():
    """Guards against "positional embeddings" that are fresh random numbers at each forward."""
    positions = Positions(num_tokens=5, dim=4)
    tokens = torch.randn(3, 5, 4)
    first = positions(tokens)
    assert torch.equal(first, positions(tokens))
    assert torch.equal(first - tokens, (tokens + positions.table) - tokens)
    assert positions.table.requires_grad
    assert abs(Positions(num_tokens=200, dim=200).table.std().item() - 0.02) < 0.001


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
