"""The tri-temporal read."""

import torch

from lmttm.config.files import load_config
from lmttm.model.build import build_model
from lmttm.model.read import NeighbourMarks, TriTemporalRead
from lmttm.model.summarizers import TokenLearner
from tests.conftest import TINY


def build(unit_tokens=3, **changes):
    settings = {
        "dim": 8,
        "unit_tokens": unit_tokens,
        "input_tokens": 5,
        "read_tokens": 2,
        "make_summarizer": lambda j: TokenLearner(dim=8, num_tokens=j, dropout=0.0),
        "positions": True,
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


def test_marks_tell_the_reads_of_the_neighbours_apart():
    """Each neighbour's r tokens get that neighbour's vector."""
    layer = NeighbourMarks(num_neighbours=3, dim=5)
    tokens = torch.randn(2, 12, 5)
    marked = layer(tokens)
    for unit in range(3):
        part = slice(4 * unit, 4 * unit + 4)
        torch.testing.assert_close(marked[:, part], tokens[:, part] + layer.marks[unit])


def test_unmarked_reads_can_change_places():
    """What marks are for: a transformer without them cannot tell past from next."""
    plain, marked = (
        build_model(load_config("demo.json", [*TINY, f"model.mark_neighbours={on}"])).eval()
        for on in ("false", "true")
    )
    tokens = torch.randn(1, 6, 16)  # three neighbours' two tokens
    swapped = tokens[:, [0, 1, 4, 5, 2, 3]]
    for model, same in ((plain, True), (marked, False)):
        model.double()
        one = model.cell.process(tokens.double()).mean(dim=1)
        two = model.cell.process(swapped.double()).mean(dim=1)
        assert torch.allclose(one, two, rtol=1e-9) == same
