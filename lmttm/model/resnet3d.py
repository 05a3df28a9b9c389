"""The baseline: a 3D ResNet-18, which sees the whole volume at once."""

import torch
from torch import Tensor, nn

from lmttm.model.convolution import correct
from lmttm.model.trace import OneStep


class ResNet3D(OneStep):
    """Torchvision's video network `r3d_18`, for volumes instead of videos.

    Its first convolution takes a volume's channels instead of three colours. It has no
    steps and no memory, so its trace has one step and an empty memory.

    Args:
        input_shape: Channels and voxels of a volume, c D H W.
        num_classes: Classes.

    Source: Tran et al., arXiv 1711.11248; as a baseline for these data sets, MedMNIST v2,
    Scientific Data 10:41 (2023), with another stem.
    """

    def __init__(self, *, input_shape: tuple[int, int, int, int], num_classes: int) -> None:
        super().__init__(input_shape)
        from torchvision.models.video import r3d_18  # slow to import

        self.net = r3d_18(weights=None, num_classes=num_classes)
        stem = self.net.stem[0]
        self.net.stem[0] = nn.Conv3d(
            input_shape[0],
            stem.out_channels,
            kernel_size=stem.kernel_size,
            stride=stem.stride,
            padding=stem.padding,
            bias=False,
        )
        nn.init.kaiming_normal_(self.net.stem[0].weight, mode="fan_out", nonlinearity="relu")
        correct(self.net)
        self.to(memory_format=torch.channels_last_3d)  # faster on a CPU

    @property
    def mapped_layer(self) -> nn.Module:
        """The layer for Grad-CAM: 7 x 4 x 4 places for 28^3, where the last has 4 x 2 x 2."""
        layer: nn.Module = self.net.layer3
        return layer

    def forward(self, volumes: Tensor) -> Tensor:
        """Classifies volumes `(b c D H W)` in [0, 1]: logits `(b classes)`. Changes nothing."""
        self.check(volumes)
        logits: Tensor = self.net(volumes)
        return logits
