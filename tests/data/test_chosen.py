"""Volumes chosen without a copy, against torch's own joining and choosing."""

import numpy as np
import pytest
import torch

from lmttm.data.chosen import Arrays, Chosen, grey_values, in_parts, joined, some

SOURCES = [torch.arange(5 * 8, dtype=torch.uint8).view(5, 2, 2, 2), torch.ones(130, 2, 2, 2).byte()]
SOURCES[1][7] = 9
ROWS = torch.tensor([6, 0, 134, 4, 12, 5])


@pytest.mark.parametrize("which", [3, slice(1, 4), slice(0, 0), torch.tensor([5, 0, 0])], ids=str)
def test_chosen_volumes_are_those_of_a_copy(which):
    """Guards against rows that are counted from the wrong source."""
    expected = torch.cat(SOURCES)[ROWS]
    chosen = Chosen(SOURCES, ROWS)
    assert chosen.shape == tuple(expected.shape)
    assert torch.equal(chosen[which], expected[which])
    within = Chosen([chosen, SOURCES[0]], torch.tensor([7, 2, 6]))
    assert torch.equal(within[:], torch.cat([expected, SOURCES[0]])[[7, 2, 6]])


def test_volumes_stay_where_they_are():
    """Guards against folds that take the memory of all volumes once more."""
    chosen = Chosen(SOURCES, ROWS)
    assert chosen.to(torch.device("cpu")) is chosen
    few = some(chosen, slice(1, 3))
    assert isinstance(few, Chosen)
    assert few.sources is SOURCES
    assert torch.equal(few[:], chosen[1:3])
    assert some(SOURCES[0], slice(1, 3)).data_ptr() == SOURCES[0][1].data_ptr()
    moved = chosen.to(torch.device("meta"))
    assert (moved.shape, moved.device.type) == (torch.Size(chosen.shape), "meta")


def test_parts_hold_each_volume_once_in_order():
    everything = joined(SOURCES)
    parts = list(in_parts(everything))
    assert [len(part) for part in parts] == [64, 64, 7]
    assert torch.equal(torch.cat(parts), torch.cat(SOURCES))


def test_grey_values_of_masks_are_all_found():
    """Guards against a second value that only occurs in a later part."""
    assert grey_values(SOURCES[1]) == {1, 9}
    assert len(grey_values(joined(SOURCES))) > 2
    assert grey_values(SOURCES[0][:0]) == set()


def test_arrays_are_single_volumes():
    assert np.array_equal(Arrays(Chosen(SOURCES, ROWS))[1], SOURCES[0][0].numpy())
