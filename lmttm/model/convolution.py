"""3D convolutions whose gradients are right in bfloat16, also where a volume has few slabs."""

import torch
from torch import Tensor, nn


class Convolution(nn.Conv3d):
    """`nn.Conv3d` that takes inputs less deep than its kernel in fp32, where it runs on the CPU.

    In bfloat16 torch 2.14 reads memory there that does not belong to the input: gradients of the
    weights are wrong, now and then NaN, and larger kernels crash the process. Seen on an AMD EPYC
    with AVX512-BF16; kernel 3 with padding 1 is concerned at a depth of 2.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolves `(b c D H W)`."""
        depth, kernel = input.shape[2], self.kernel_size[0]
        on_cpu = input.device.type == "cpu"
        if depth == 1 or depth >= kernel or not (on_cpu and torch.is_autocast_enabled("cpu")):
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float())


def correct(net: nn.Module) -> None:
    """Makes a `Convolution` of each 3D convolution of another library's network, in place."""
    for module in net.modules():
        if isinstance(module, nn.Conv3d):
            module.__class__ = Convolution
