"""Where a run computes, and that it computes the same each time."""

import os

import torch

from lmttm.errors import InputError


def pick_device(name: str) -> torch.device:
    """Finds the device that a configuration names.

    Args:
        name: `auto` (the first GPU, else the CPU), `cpu`, `cuda` or `cuda:N`.

    Returns:
        The device.

    Raises:
        InputError: There is no such device here.
    """
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda:0" if available else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= available:
        found = f"{available} CUDA device{'s' if available > 1 else ''}" if available else "no CUDA"
        raise InputError(f"device must be there, got {name} where there is {found}; try device=cpu")
    return device


def describe(device: torch.device) -> str:
    """A device in words, for a person."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"


def make_deterministic(seed: int) -> None:
    """Seeds torch and rules out operations whose result changes from run to run."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
