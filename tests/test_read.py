"""The tri-temporal read."""

import torch

from lmttm.read import TriTemporalRead


def build(unit_tokens=3, **changes):
    settings = {
        "dim": 8,
        "unit_tokens": unit_tokens,
        "input_tokens": 5,
        "read_tokens": 2,
        "summarizer": "token_learner",
        "num_heads": 2,
        "positions": True,
        "dropout": 0.0,
    }
    return TriTemporalRead(**(settings | changes))


def test_one_summarizer_and_one_table_serve_every_neighbour():
    read = build()
    unit, inputs = torch.rand(4, 3, 8), torch.rand(4, 5, 8)
    tokens = read([unit, unit, unit], inputs)
    assert tokens.shape == (4, 6, 8)
    assert torch.equal(tokens[:, :2], tokens[:, 2:4])
    assert torch.equal(tokens[:, :2], read([unit], inputs))


def test_neighbours_are_read_one_by_one_in_order():
    read = build()
    units, inputs = list(torch.rand(3, 4, 3, 8)), torch.rand(4, 5, 8)
    expected = torch.cat([read([unit], inputs) for unit in units], dim=1)
    assert torch.equal(read(units, inputs), expected)


def test_without_units_the_input_alone_is_read():
    read = build(unit_tokens=0)
    inputs = torch.rand(4, 5, 8)
    expected = read.summarize(inputs + read.positions.table)
    assert torch.equal(read([], inputs), expected)


def test_positions_can_be_switched_off():
    read = build(positions=False)
    assert not [name for name, _ in read.named_parameters() if "positions" in name]
    unit, inputs = torch.rand(1, 3, 8), torch.rand(1, 5, 8)
    torch.testing.assert_close(read([unit], inputs), read([unit.flip(1)], inputs.flip(1)))
