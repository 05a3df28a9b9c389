"""A GPU that is not there: torch's fake tensors, and a watch on what makes the host wait.

Fake tensors have a device, a shape and a type, but no content. Torch checks their devices
as a GPU would, so a tensor that was left on the host is an error. Autograd's engine needs a
real device: a backward pass gives gradients of zeros here.
"""

import contextlib
import gc
import warnings
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DEVICE = torch.device("cuda:0")
_COPIES = ("aten._to_copy.default", "aten.copy_.default")


@contextlib.contextmanager
def fake_cuda() -> Iterator[None]:
    """Makes every new tensor a fake one, and `cuda:0` a device to put it on."""
    with contextlib.ExitStack() as stack:
        for target, stub in {
            "torch.cuda.get_device_capability": lambda *_: (9, 0),
            "torch.cuda.is_bf16_supported": lambda *_: True,
            "torch.cuda.mem_get_info": lambda *_: (80 * 2**30, 80 * 2**30),
            "torch.cuda.amp.common.amp_definitely_not_available": lambda: False,
        }.items():
            stack.enter_context(patch(target, stub))
        # Fake parameters cannot be moved: a model is built where it is to be.
        stack.enter_context(patch("torch.nn.Module.to", lambda module, *_, **__: module))
        stack.enter_context(warnings.catch_warnings())
        # Torch says so of each fake parameter that is copied.
        warnings.filterwarnings("ignore", "Accessing the data pointer of FakeTensor")
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        # A collection amid torch's bookkeeping of fake storages has failed an assertion of torch's.
        gc.collect()
        gc.disable()
        stack.callback(gc.enable)
        yield


@contextlib.contextmanager
def no_backward(model: nn.Module) -> Iterator[None]:
    """A backward pass sets zeros as gradients of the model."""

    def backward(loss: Tensor) -> None:
        assert loss.device == DEVICE
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)

    with patch("torch.Tensor.backward", backward):
        yield


class HostWaits(TorchDispatchMode):
    """Fails at an operation for which the host would wait for the device.

    These are copies between host and device, unless they are asynchronous, and operations that
    mix tensors of both, such as an index that lies on the host. What reads a value back (`item`,
    `tolist`, a truth value, a mask as index) fails by itself on a fake tensor.

    Args:
        results: Copies to the host that are wanted, such as that of an evaluation's logits.
    """

    def __init__(self, results: int = 0) -> None:
        super().__init__()
        self.results = results

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, Tensor)]
        if str(func) in _COPIES:
            asynchronous = (kwargs or {}).get("non_blocking") or (len(args) > 2 and args[2])
            waits = len({t.device for t in tensors}) > 1 and not asynchronous
        else:  # a number, as a tensor without axes, may come from the host
            waits = len({t.device for t in tensors if t.ndim}) > 1
        if waits and self.results and str(func) == _COPIES[0] and result.device.type == "cpu":
            self.results -= 1
        elif waits:
            seen = ", ".join(f"{tuple(t.shape)} on {t.device}" for t in tensors)
            raise AssertionError(f"the host waits for the device: {func} of {seen}")
        return result
