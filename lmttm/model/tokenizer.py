"""Volume -> the input tokens of each step."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from lmttm.config.shape import Shape
from lmttm.errors import InputError
from lmttm.model.convolution import Convolution


class Tokenizer(nn.Module, ABC):
    """Maps volumes to input tokens, and weights of tokens back to voxels."""

    if TYPE_CHECKING:  # `nn.Module` has it, but says nothing of its types

        def __call__(self, volumes: Tensor) -> Tensor:
            """Calls `forward`."""

    @abstractmethod
    def grid(self, shape: Sequence[int]) -> tuple[int, int]:
        """Steps t and input tokens n of a volume of this shape, D H W."""

    @abstractmethod
    def slices(self, depth: int) -> list[tuple[int, int]]:
        """The first and last slice of each step, in a volume of `depth` slices."""

    @abstractmethod
    def forward(self, volumes: Tensor) -> Tensor:
        """Tokenizes.

        Args:
            volumes: `(b c D H W)`, intensities in [0, 1].

        Returns:
            `(b t n d)`.
        """

    @abstractmethod
    def to_voxels(self, weights: Tensor, shape: torch.Size) -> Tensor:
        """Spreads weights of tokens over the voxels that they cover.

        Args:
            weights: `(b t n)`.
            shape: Of a volume, D H W.

        Returns:
            `(b D H W)`.
        """


class PatchTokenizer(Tokenizer):
    """Tokenizer `3d`: one token for each patch; a slab of patches is a step.

    Args:
        in_channels: Channels of a volume, c.
        dim: Width of a token, d.
        patch_size: Edges of a patch along D, H, W, in voxels; a cube in the paper.
        stride: Distances between patches along D, H, W, in voxels; patch_size in the paper.
            Patches overlap if it is smaller.
        border: What happens if the patches do not fill an axis: `crop` drops the voxels after
            the last whole patch (published), `pad` adds zeros on both sides.

    Source: pre-processing module of the paper, mode `3d`.
    """

    def __init__(
        self, *, in_channels: int, dim: int, patch_size: Shape, stride: Shape, border: str
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.stride = stride
        self.border = border
        self.embed = nn.Sequential(
            nn.Conv3d(in_channels, dim, kernel_size=patch_size, stride=stride), nn.ReLU()
        )

    def grid(self, shape: Sequence[int]) -> tuple[int, int]:
        """Steps t and input tokens n of a volume of this shape, D H W."""
        steps, rows, columns = self._patches(shape)
        return steps, rows * columns

    def _patches(self, shape: Sequence[int]) -> list[int]:
        """Patches along each axis."""
        added = self._missing(shape) if self.border == "pad" else (0, 0, 0)
        lines = zip(shape, added, self.patch_size, self.stride, strict=True)
        return [(edge + more - patch) // stride + 1 for edge, more, patch, stride in lines]

    def _missing(self, shape: Sequence[int]) -> list[int]:
        """Voxels by which each axis must grow to be filled with patches."""
        lines = zip(shape, self.patch_size, self.stride, strict=True)
        return [-(edge - patch) % stride for edge, patch, stride in lines]

    def to_voxels(self, weights: Tensor, shape: torch.Size) -> Tensor:
        """Spreads weights of tokens over the voxels of their patches.

        Args:
            weights: `(b t n)`.
            shape: Of a volume, D H W.

        Returns:
            `(b D H W)`: in each voxel the sum of its patches' weights, each divided by the
            voxels of a patch, which keeps the total; 0 outside all patches.
        """
        grid = rearrange(weights, "b t (h w) -> b 1 t h w", h=self._patches(shape)[1])
        kernel = weights.new_full((1, 1, *self.patch_size), 1 / math.prod(self.patch_size))
        spread = F.conv_transpose3d(grid, kernel, stride=self.stride)[:, 0]
        if self.border == "pad":
            before = [missing // 2 for missing in self._missing(shape)]
            cut = [slice(b, b + edge) for b, edge in zip(before, shape, strict=True)]
            return spread[:, cut[0], cut[1], cut[2]]
        behind = [edge - got for edge, got in zip(shape, spread.shape[1:], strict=True)]
        return F.pad(spread, [side for missing in reversed(behind) for side in (0, missing)])

    def slices(self, depth: int) -> list[tuple[int, int]]:
        """The first and the last slice of each step's slab, in a volume of that depth."""
        patch, stride = self.patch_size[0], self.stride[0]
        missing = -(depth - patch) % stride if self.border == "pad" else 0
        before = missing // 2
        starts = range(-before, depth + missing - before - patch + 1, stride)
        slabs = [(start, start + patch - 1) for start in starts]
        return [(max(first, 0), min(last, depth - 1)) for first, last in slabs]

    def forward(self, volumes: Tensor) -> Tensor:
        """Tokenizes.

        Args:
            volumes: `(b c D H W)`, intensities in [0, 1].

        Returns:
            `(b t n d)`: each step is a slab of patches along D.
        """
        if self.border == "pad":
            missing = reversed(self._missing(volumes.shape[2:]))
            volumes = F.pad(volumes, [side for m in missing for side in (m // 2, m - m // 2)])
        first, *layers = self.embed
        # Channels last, as tokens are: else the next layers would get a gradient in another memory
        # order than their input, and copy it.
        embedded: Tensor = first(volumes).contiguous(memory_format=torch.channels_last_3d)
        for layer in layers:
            embedded = layer(embedded)
        return rearrange(embedded, "b d t h w -> b t (h w) d")


class BatchNormTokenizer(PatchTokenizer):
    """Tokenizer `3dBN`: patches of 64 channels, then a 3x3x3 convolution to d, both with BN.

    Takes the arguments of `PatchTokenizer`.

    Source: pre-processing module of the paper, mode `3dBN`. The published TTM builds a
    ResNet under this name. The convolutions have no bias: BatchNorm would cancel it.
    """

    def __init__(
        self, *, in_channels: int, dim: int, patch_size: Shape, stride: Shape, border: str
    ) -> None:
        super().__init__(
            in_channels=in_channels, dim=dim, patch_size=patch_size, stride=stride, border=border
        )
        self.embed = nn.Sequential(
            nn.Conv3d(in_channels, 64, kernel_size=patch_size, stride=stride, bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(),
            Convolution(64, dim, kernel_size=3, padding="same", bias=False),
            nn.BatchNorm3d(dim),
            nn.ReLU(),
        )


class ResNetTokenizer(Tokenizer):
    """Tokenizer `resnet18`: torchvision's ResNet-18 up to layer2, on each slice along D.

    Args:
        in_channels: Channels of a volume, c.
        dim: Width of a token, d.
        pretrained: Whether the weights start from ImageNet's; the first convolution's are
            then summed over its three colours.

    Raises:
        InputError: The ImageNet weights are not cached and cannot be downloaded.

    Source: pre-processing module of the paper, mode `resnet18`. The published code has a
    stem for three channels, projects 512 channels where layer2 gives 128, and takes a view
    where a transpose is needed.
    """

    def __init__(self, *, in_channels: int, dim: int, pretrained: bool) -> None:
        super().__init__()
        from torchvision.models import ResNet18_Weights, resnet18  # slow to import

        try:
            net = resnet18(weights=ResNet18_Weights.IMAGENET1K_V1 if pretrained else None)
        except OSError as error:
            url = ResNet18_Weights.IMAGENET1K_V1.url
            folder = f"{torch.hub.get_dir()}/checkpoints"
            raise InputError(
                f"the ImageNet weights cannot be downloaded ({error}); set "
                f"model.resnet_pretrained=false, or download {url} into {folder}"
            ) from None
        stem = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        if pretrained:
            colours = net.conv1.weight.detach().sum(dim=1, keepdim=True)
            stem.weight = nn.Parameter(colours.repeat(1, in_channels, 1, 1) / in_channels)
        self.backbone = nn.Sequential(stem, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2)
        self.project = nn.Linear(128, dim)

    def grid(self, shape: Sequence[int]) -> tuple[int, int]:
        """Steps t and input tokens n of a volume of this shape, D H W."""
        rows, columns = _eighths(shape)
        return shape[0], rows * columns

    def forward(self, volumes: Tensor) -> Tensor:
        """Tokenizes.

        Args:
            volumes: `(b c D H W)`, intensities in [0, 1].

        Returns:
            `(b t n d)`: each step is one slice along D.
        """
        features = self.backbone(rearrange(volumes, "b c D H W -> (b D) c H W"))
        channels = rearrange(features, "(b t) e h w -> b t (h w) e", b=volumes.shape[0])
        tokens: Tensor = self.project(channels)
        return tokens

    def slices(self, depth: int) -> list[tuple[int, int]]:
        """The first and the last slice of each step, which are the same slice."""
        return [(place, place) for place in range(depth)]

    def to_voxels(self, weights: Tensor, shape: torch.Size) -> Tensor:
        """Spreads weights of tokens `(b t n)` over the voxels `(b D H W)` that they cover."""
        rows, columns = _eighths(shape)
        planes = rearrange(weights, "b t (h w) -> b t h w", h=rows)
        share = rows * columns / (shape[1] * shape[2])
        spread: Tensor = share * F.interpolate(planes, size=tuple(shape[1:]), mode="bilinear")
        return spread


def _eighths(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns that layer2 leaves of a slice of a volume D H W."""
    return -(-shape[1] // 8), -(-shape[2] // 8)
