"""Convolutions at full resolution, before the volume is cut into patches."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lmttm.model.tokenizer import Tokenizer


class Stem(nn.Module):
    """Two convolutions of 3x3x3 voxels and stride 1, the second of which adds to the first.

    A patch is one linear map of its voxels; here every voxel's neighbourhood passes two
    nonlinear layers before that, whatever patch it falls into.

    Args:
        in_channels: Channels of a volume, c.
        channels: Channels that each voxel gets, e.

    Source: Xiao et al., Early Convolutions Help Transformers See Better, arXiv 2106.14881,
    where the convolutions have strides and replace the patches.
    """

    def __init__(self, *, in_channels: int, channels: int) -> None:
        super().__init__()
        self.first = _layer(in_channels, channels)
        self.second = _layer(channels, channels)
        self.to(memory_format=torch.channels_last_3d)  # faster on a CPU

    def forward(self, volumes: Tensor) -> Tensor:
        """Volumes `(b c D H W)` -> `(b e D H W)`."""
        features = self.first(volumes)
        result: Tensor = features + self.second(features)
        return result


class StemmedTokenizer(Tokenizer):
    """A tokenizer that sees the features of a stem instead of voxels.

    Steps, slabs and the voxels of a token are those of the tokenizer behind the stem, though a
    token also depends on the two voxels next to them.

    Args:
        stem: Volume `(b c D H W)` -> features `(b e D H W)`.
        tokenizer: Features -> input tokens.
    """

    def __init__(self, *, stem: Stem, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.stem = stem
        self.tokenizer = tokenizer

    def grid(self, shape: Sequence[int]) -> tuple[int, int]:
        """Steps t and input tokens n of a volume of this shape, D H W."""
        return self.tokenizer.grid(shape)

    def slices(self, depth: int) -> list[tuple[int, int]]:
        """The first and the last slice of each step's slab, in a volume of that depth."""
        return self.tokenizer.slices(depth)

    def forward(self, volumes: Tensor) -> Tensor:
        """Tokenizes volumes `(b c D H W)`: `(b t n d)`."""
        return self.tokenizer(self.stem(volumes))

    def to_voxels(self, weights: Tensor, shape: torch.Size) -> Tensor:
        """Spreads weights of tokens `(b t n)` over the voxels `(b D H W)` that they cover."""
        return self.tokenizer.to_voxels(weights, shape)


def _layer(in_channels: int, channels: int) -> nn.Sequential:
    """A convolution that keeps the shape; BatchNorm would cancel its bias."""
    return nn.Sequential(
        nn.Conv3d(in_channels, channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm3d(channels),
        nn.ReLU(),
    )
