"""Devices."""

import pytest
import torch

from lmttm.config.files import load_config
from lmttm.device import make_deterministic, pick_device
from lmttm.errors import InputError
from lmttm.training.setup import settle_precision


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


@pytest.mark.parametrize(
    ("found", "precision"),
    [
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, "bf16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, "fp32"),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": False}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_auto_takes_bf16_where_it_is_fast(found, precision, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    settled = {
        asked: settle_precision(
            load_config("base.json", [f"train.precision={asked}"]), torch.device("cpu")
        ).train.precision
        for asked in ("auto", "bf16", "fp32")
    }
    assert settled == {"auto": precision, "bf16": "bf16", "fp32": "fp32"}


def test_deterministic_operations_leave_new_memory_alone():
    """Guards against filling each new tensor before it is written: a tenth of a step."""
    make_deterministic(5)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory
