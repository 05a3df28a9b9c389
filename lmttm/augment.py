"""Random changes of a whole training batch, on the device where it lies."""

import torch
from torch import Tensor
from torch.nn import functional as F

_AXES = {"D": 2, "H": 3, "W": 4}  # of a batch (b c D H W)


class Augment:
    """Draws new flips, quarter turns, shifts and intensities for each volume of a batch.

    Which of them leave a label true depends on the data set: depth flips would swap the
    classes of the phantoms, and any flip the left and right organs of OrganMNIST3D.

    Args:
        flip_axes: Axes (D, H, W) along which a volume is mirrored, each in half the cases.
        turn_planes: Planes (DH, DW, HW) in which a volume is turned by 0 to 3 quarters.
        shift: Largest shift along each axis, in voxels; zeros move in.
        intensity: Intensities are scaled by a factor from 1 - this to 1 + this, then cut
            off at 1.
    """

    def __init__(
        self, *, flip_axes: list[str], turn_planes: list[str], shift: int, intensity: float
    ) -> None:
        self.flip_axes = flip_axes
        self.turn_planes = turn_planes
        self.shift = shift
        self.intensity = intensity

    def __call__(self, volumes: Tensor) -> Tensor:
        """Changes a batch `(b c D H W)` in [0, 1]; shape and range stay."""
        for axis in self.flip_axes:
            flipped = volumes.flip(_AXES[axis])
            volumes = torch.where(_each(volumes, torch.rand) < 0.5, flipped, volumes)
        for plane in self.turn_planes:
            quarters = (4 * _each(volumes, torch.rand)).long()
            dims = [_AXES[axis] for axis in plane]
            turned = [volumes.rot90(number, dims) for number in range(4)]
            for number in range(1, 4):
                volumes = torch.where(quarters == number, turned[number], volumes)
        if self.shift:
            volumes = self._shifted(volumes)
        if self.intensity:
            factor = 1 + self.intensity * (2 * _each(volumes, torch.rand) - 1)
            volumes = (factor * volumes).clamp(max=1)
        return volumes

    def _shifted(self, volumes: Tensor) -> Tensor:
        padded = F.pad(volumes, (self.shift,) * 6)
        for dim in _AXES.values():
            start = torch.randint(2 * self.shift + 1, (len(volumes),), device=volumes.device)
            index = start[:, None] + torch.arange(volumes.shape[dim], device=volumes.device)
            shape = [len(volumes), 1, 1, 1, 1]
            shape[dim] = volumes.shape[dim]
            size = list(padded.shape)
            size[dim] = volumes.shape[dim]
            padded = padded.gather(dim, index.view(shape).expand(size))
        return padded


def _each(volumes: Tensor, draw) -> Tensor:
    """One random number for each volume, shaped to act on all of it."""
    return draw((len(volumes), 1, 1, 1, 1), device=volumes.device)
