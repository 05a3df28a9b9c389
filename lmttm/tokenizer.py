"""Volume -> the input tokens of each step."""

from einops import rearrange
from torch import Tensor, nn


class PatchTokenizer(nn.Module):
    """Tokenizer `3d`: one token for each cubic patch; a slab of patches is a step.

    Voxels behind the last whole patch of an axis are left out.

    Args:
        in_channels: Channels of a volume, c.
        dim: Width of a token, d.
        patch_size: Edge and stride p of a patch, in voxels.

    Source: pre-processing module of the paper, mode `3d`.
    """

    def __init__(self, *, in_channels: int, dim: int, patch_size: int) -> None:
        super().__init__()
        self.project = nn.Conv3d(in_channels, dim, kernel_size=patch_size, stride=patch_size)
        self.activation = nn.ReLU()

    def forward(self, volumes: Tensor) -> Tensor:
        """Tokenizes.

        Args:
            volumes: `(b c D H W)`, intensities in [0, 1].

        Returns:
            `(b t n d)` with t = D // p steps of n = (H // p) * (W // p) tokens.
        """
        patches = self.activation(self.project(volumes))
        return rearrange(patches, "b d t h w -> b t (h w) d")
