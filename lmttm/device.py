"""Where a run computes, and that it computes the same each time."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from lmttm.errors import InputError, RunError


def pick_device(name: str) -> torch.device:
    """Finds the device that a configuration names.

    Args:
        name: `auto` (the first CUDA device, else the CPU), `cpu`, `cuda`, `cuda:N`, or `mps`.

    Returns:
        The device.

    Raises:
        InputError: There is no such device here.
    """
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda:0" if available else "cpu"
    device = torch.device(name)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("device must be available, got mps where there is no MPS; try device=cpu")
    if device.type == "cuda" and (device.index or 0) >= available:
        found = f"{available} CUDA device{'s' if available > 1 else ''}" if available else "no CUDA"
        raise InputError(
            f"device (train.gpu in published files) must be available, got {name} where "
            f"there is {found}; try device=cpu"
        )
    return device


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Models built in the block have names and shapes, but no values, and take no memory.

    It is torch's device `meta` without the filling of what is not there: normal numbers on
    `meta` import half of torch's compiler, which takes longer than many a prediction.
    """
    with torch.device("meta"), _Unfilled():
        yield


class _Unfilled(TorchFunctionMode):
    """Leaves out what fills new tensors with numbers."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        fills = getattr(func, "__module__", "") == "torch.nn.init" or func is torch.Tensor.normal_
        given = kwargs or {}
        return (
            (given["tensor"] if "tensor" in given else args[0]) if fills else func(*args, **given)
        )


def describe(device: torch.device) -> str:
    """A device in words, for a person."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "mps":
        return str(device)
    threads = torch.get_num_threads()
    return f"cpu ({threads} thread{'s' if threads > 1 else ''})"


def memory_of(device: torch.device) -> float:
    """The bytes of memory of a device; on the CPU those that the process may take."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[1])
    if device.type == "mps":
        return float(torch.mps.recommended_max_memory())
    whole = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    try:  # a container may take less
        return min(whole, float(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # it is "max" where there is no limit
        return whole


def fast_in_bf16(device: torch.device) -> bool:
    """Whether products in bfloat16 are much faster than in fp32 (docs/performance.md).

    That is so on a GPU of compute capability 8 or more, on a CPU with AMX, and on one of AMD's
    with AVX512-BF16. On Intel's, AVX512-BF16 without AMX was slower than fp32.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "mps":  # not measured
        return False
    found = torch.cpu.get_capabilities()
    amd = str(found.get("cpu_name", "")).startswith("AMD")
    return bool(found.get("amx_bf16") or (amd and found.get("avx512_bf16")))


@contextlib.contextmanager
def enough_memory(batch_size: int) -> Iterator[None]:
    """Turns running out of memory into a sentence that says what to try.

    Args:
        batch_size: Volumes that pass the model at a time.

    Raises:
        RunError: The block took more memory than there is.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        hint = "a smaller model is needed: try a smaller model.dim or model.memory_tokens_size"
        if batch_size > 1:
            hint = (
                f"try batch_size={batch_size // 2}, or train.accumulate=2, which takes the same "
                "batches in parts"
            )
        raise RunError(f"out of memory with batch_size={batch_size}; {hint}") from None


def _is_out_of_memory(error: Exception) -> bool:
    """Whether an error is one of memory; torch has a class for it on CUDA, and texts elsewhere."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    texts = ("can't allocate memory", "out of memory", "ALLOC_FAILED")  # CPU; CUDA, MPS; cuBLAS
    return any(text in str(error) for text in texts)


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The state of torch's random numbers on the host and, by `rng_...`, on the device."""
    state = {"rng": torch.get_rng_state()}
    if device.type == "cuda":
        state["rng_cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["rng_mps"] = torch.mps.get_rng_state()
    return state


def restore_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Goes back to a `random_state`; one of another kind of device sets the host's only."""
    torch.set_rng_state(state["rng"])
    if device.type == "cuda" and "rng_cuda" in state:
        torch.cuda.set_rng_state(state["rng_cuda"], device)
    elif device.type == "mps" and "rng_mps" in state:
        torch.mps.set_rng_state(state["rng_mps"])


def make_deterministic(seed: int, device: torch.device | None = None) -> None:
    """Seeds torch and rules out operations whose result changes from run to run.

    And those that compute something else in inference than in training, or on a GPU than on the
    CPU: TF32 and torch's fused attention layers.

    Args:
        seed: Of torch's random numbers on all devices.
        device: Where the run computes; None stands for the CPU.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.manual_seed(seed)
    # As use_deterministic_algorithms(True, warn_only=True), which imports the compiler: a second.
    torch.set_deterministic_debug_mode("warn")
    # Or every new tensor would be filled before it is written: a tenth of a training step.
    deterministic = torch.utils.deterministic
    # Torch sets this property when it is imported, so that no type checker can see it.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    # What follows concerns networks of others: our attention is written out (lmttm/model/mdu.py).
    if device and device.type == "cuda":  # gradients of its fused attention add up in any order
        torch.backends.cuda.enable_flash_sdp(False)
        torch.backends.cuda.enable_mem_efficient_sdp(False)
        torch.backends.cuda.enable_cudnn_sdp(False)
    # Torch's fused attention layers, which it takes in inference only: on CUDA with another GELU,
    # and compiled they fail in bfloat16.
    torch.backends.mha.set_fastpath_enabled(False)
