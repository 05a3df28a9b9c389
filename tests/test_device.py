"""Devices."""

import pytest
import torch

from lmttm.device import make_deterministic, pick_device
from lmttm.errors import InputError


def test_auto_takes_the_cpu_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    for name in ("cuda", "cuda:1"):
        with pytest.raises(InputError, match=f"got {name} where there is no CUDA; try device=cpu"):
            pick_device(name)


def test_auto_takes_the_first_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("auto") == torch.device("cuda:0")
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="got cuda:2 where there is 2 CUDA devices"):
        pick_device("cuda:2")


def test_a_seed_fixes_what_torch_draws():
    make_deterministic(5)
    first = torch.rand(3)
    make_deterministic(5)
    assert torch.equal(first, torch.rand(3))


def test_deterministic_operations_leave_new_memory_alone():
    """Guards against filling each new tensor before it is written: a tenth of a step."""
    make_deterministic(5)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory
