"""Devices."""

import operator
from functools import partial

import numpy as np
import pytest
import torch

from lmttm.config.files import load_config
from lmttm.device import (
    describe,
    enough_memory,
    fast_in_bf16,
    make_deterministic,
    memory_of,
    pick_device,
    shapes_only,
)
from lmttm.errors import InputError, RunError
from lmttm.model.build import build_model
from tests.conftest import TINY


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
    with pytest.raises(
        InputError,
        match=r"^device \(train\.gpu in published files\) must be .* got cuda:2 where there is 2",
    ):
        pick_device("cuda:2")


def test_mps_is_taken_where_torch_has_it(monkeypatch):
    """Guards against a schema that knows no device but CUDA's."""
    for there in (True, False):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=there: there)
        name = load_config("base.json", ["device=mps"]).device
        if there:
            assert pick_device(name) == torch.device("mps")
            assert describe(pick_device(name)) == "mps"
            assert not fast_in_bf16(pick_device(name))
        else:
            with pytest.raises(InputError, match="got mps where there is no MPS; try device=cpu"):
                pick_device(name)


@pytest.mark.skipif(not torch.backends.mps.is_available(), reason="needs Apple's MPS")
def test_a_run_trains_on_mps(tmp_path):
    import train

    arguments = ["demo.json", *TINY, "device=mps", f"output_dir={tmp_path}"]
    assert train.main(arguments) == 0
    assert train.main([*arguments, "train.epoch=2", "--resume"]) == 0


MEMORY_ERRORS = [
    MemoryError("no more"),
    np.zeros,  # numpy's own class
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize("error", MEMORY_ERRORS, ids=lambda error: str(error)[:30])
def test_out_of_memory_says_what_to_try(error):
    def too_much():
        if isinstance(error, Exception):
            raise error
        error(2**60, dtype=np.uint8)

    told = "out of memory with batch_size=8; try batch_size=4, or train.accumulate=2, which"
    with pytest.raises(RunError, match=told), enough_memory(8):
        too_much()
    told = "out of memory with batch_size=1; a smaller model is needed: try a smaller model.dim"
    with pytest.raises(RunError, match=told), enough_memory(1):
        too_much()


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: device-side assert triggered"),
        RecursionError("maximum recursion depth exceeded"),
        NotImplementedError("Could not run 'aten::_sample_dirichlet' with arguments from 'MPS'"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x2 and 9x9)"),
        RunError("the outputs for the validation split are not finite"),
        OSError(28, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_another_error_stays_what_it_is(error):
    """Guards against "out of memory" for every subclass of RuntimeError: seen with these."""
    with pytest.raises(type(error)) as caught, enough_memory(8):
        raise error
    assert caught.value is error


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


@pytest.mark.parametrize(("device", "fused"), [("cuda", False), ("cpu", True)])
def test_attention_is_not_fused_on_cuda(device, fused, monkeypatch):
    """Guards against gradients that add up in another order at each training."""
    taken = {"flash": True, "mem_efficient": True, "cudnn": True}
    for name in taken:
        switch = partial(operator.setitem, taken, name)
        monkeypatch.setattr(torch.backends.cuda, f"enable_{name}_sdp", switch)
    make_deterministic(5, torch.device(device))
    assert set(taken.values()) == {fused}


@pytest.mark.parametrize("kind", ["lmttm", "resnet3d"])
def test_a_model_of_shapes_only_has_the_real_ones_names_and_shapes(kind):
    config = load_config("base.json", [*TINY, f"model.model={kind}", "model.memory_mode=TL-MHA"])
    before = torch.get_rng_state()
    with shapes_only():
        empty = build_model(config).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    real = build_model(config).state_dict()
    assert {name: part.shape for name, part in empty.items()} == {
        name: part.shape for name, part in real.items()
    }
    assert {part.device.type for part in empty.values()} == {"meta"}


def test_nothing_computes_something_else_on_a_gpu(monkeypatch):
    """Guards against TF32 in products and convolutions, and torch's fused layers in inference."""
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.mha.set_fastpath_enabled(True)
    make_deterministic(5)
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()  # torch's own ReLU
    for name in ("_transformer_encoder_layer_fwd", "_native_multi_head_attention"):
        monkeypatch.delattr(torch, name)
    with torch.no_grad():
        assert layer(torch.rand(2, 6, 8)).shape == (2, 6, 8)


def test_memory_of_the_host_is_what_the_process_may_take(monkeypatch):
    """Guards against a container's limit that is taken for the memory of its machine."""
    cpu = torch.device("cpu")
    monkeypatch.setattr("lmttm.device.Path.read_text", lambda _: "max\n")
    whole = memory_of(cpu)
    assert 2**28 < whole < 2**50
    monkeypatch.setattr("lmttm.device.Path.read_text", lambda _: "1000000\n")
    assert memory_of(cpu) == 1_000_000
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1, 80))
    assert memory_of(torch.device("cuda:0")) == 80
