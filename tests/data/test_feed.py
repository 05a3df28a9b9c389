"""Batches that are loaded one ahead are those of a split that lies on the device."""

import threading

import pytest
import torch

from lmttm.data import feed as feeding
from lmttm.data.chosen import Chosen
from lmttm.data.dataset import Split
from lmttm.data.feed import feed, one_ahead

CPU = torch.device("cpu")
ORDER = [torch.tensor([3, 1]), slice(0, 3), torch.tensor([4])]


def split_of(chosen=False):
    images = torch.randint(256, (5, 4, 4, 4), dtype=torch.uint8)
    squares = torch.randint(-9, 9, (5, 4, 4, 4), dtype=torch.int16)
    kept = Chosen([images[:2], images[2:]], torch.arange(5)) if chosen else images
    return Split("train", kept, torch.arange(5), squares)


@pytest.mark.parametrize("chosen", [False, True])
def test_one_ahead_gives_the_same_batches(chosen):
    """Guards against a batch that is another's, or comes twice."""
    split = split_of(chosen)
    found = list(one_ahead(split, ORDER, CPU))
    expected = list(feed(split, ORDER, CPU))
    assert len(found) == len(expected) == 3
    for (inputs, labels), (theirs, others), rows in zip(found, expected, ORDER, strict=True):
        assert torch.equal(inputs, theirs)
        assert torch.equal(inputs, split.inputs(rows))
        assert torch.equal(labels, others)
    assert list(one_ahead(split, [], CPU)) == []


def test_a_batch_is_loaded_while_the_one_before_is_used(monkeypatch):
    """Guards against a device that waits for each batch, and against batches that pile up."""
    loaded, load = [], feeding._loaded
    arrived = threading.Semaphore(0)

    def watched(split, rows, device):
        result = load(split, rows, device)
        loaded.append(rows)
        arrived.release()
        return result

    monkeypatch.setattr(feeding, "_loaded", watched)
    coming = one_ahead(split_of(), ORDER, CPU)
    next(coming)
    for _ in range(2):
        assert arrived.acquire(timeout=10)
    assert len(loaded) == 2
    coming.close()  # as a signal does amid an epoch


def test_an_error_in_loading_arrives():
    with pytest.raises(IndexError):
        list(one_ahead(split_of(), [torch.tensor([99])], CPU))


def test_a_split_on_its_device_needs_no_thread(monkeypatch):
    monkeypatch.setattr(feeding, "ThreadPoolExecutor", None)
    assert len(list(feed(split_of(), ORDER, CPU))) == 3
