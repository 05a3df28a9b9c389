"""Random changes of a whole training batch, on the device where it lies."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lmttm.data.distance import without_cube

_AXES = {"D": 2, "H": 3, "W": 4}  # of a batch (b c D H W)
_BENDS = 4  # points along each axis that an elastic deformation moves


class Augment:
    """Draws new changes for each volume of a batch.

    Which of them leave a label true depends on the data set: depth flips would swap the
    classes of the phantoms, and any flip the left and right organs of OrganMNIST3D. All
    channels move together; where a volume is enlarged, its distances are as well, by the mean
    factor of its axes (a bend leaves them as they are). What moves in from outside repeats the
    voxels of the border. A mask, which has two grey values, keeps these two. Changes of intensity
    are drawn for each grey channel by itself.

    Args:
        flip_axes: Axes (D, H, W) along which a volume is mirrored, each in half the cases.
        turn_planes: Planes (DH, DW, HW) in which a volume is turned by 0 to 3 quarters; their
            two edges are equal.
        rotate: Largest angle of a turn about each of the three axes, in degrees.
        scale: Volumes are enlarged by a factor from 1 - this to 1 + this.
        stretch: Each axis is enlarged by another such factor of its own, after the turn.
        elastic: Largest distance along each axis, in edges of the volume, by which the points of
            a grid of 4 x 4 x 4 that spans the volume are moved; between them the volume
            is bent linearly.
        shift: Largest shift along each axis, in voxels.
        intensity: Intensities are scaled by a factor from 1 - this to 1 + this.
        noise: Largest standard deviation of the normal noise on intensities.
        cutout: Edges of a box that is blanked, as a share of the volume's edges; a distance
            channel is that of the shape without it (see `without_cube`).
        mixup: Each volume is mixed with another; the share of the first is drawn for the
            batch from Beta(mixup, mixup). 0: no mixing.
        num_grey: Grey channels; those behind them are distances.
        distance_of: For each distance channel the grey channel whose shape it is about.

    Source: mixup, arXiv 1710.09412; cutout, arXiv 1708.04552.
    """

    def __init__(
        self,
        *,
        flip_axes: Sequence[str] = (),
        turn_planes: Sequence[str] = (),
        rotate: float = 0.0,
        scale: float = 0.0,
        stretch: float = 0.0,
        elastic: float = 0.0,
        shift: int = 0,
        intensity: float = 0.0,
        noise: float = 0.0,
        cutout: float = 0.0,
        mixup: float = 0.0,
        num_grey: int = 1,
        distance_of: Sequence[int] = (),
    ) -> None:
        self.flip_axes = flip_axes
        self.turn_planes = turn_planes
        self.rotate = rotate
        self.scale = scale
        self.stretch = stretch
        self.elastic = elastic
        self.shift = shift
        self.intensity = intensity
        self.noise = noise
        self.cutout = cutout
        self.mixup = mixup
        self.num_grey = num_grey
        self.distance_of = distance_of

    def __call__(self, volumes: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Changes a batch.

        Args:
            volumes: `(b c D H W)`; the grey channels hold intensities in [0, 1], those behind
                them, if there are any, distances.

        Returns:
            The changed batch, of the same shape and range, and how it was mixed: the index
            `(b)` of each volume's partner and the volume's own share, or None.
        """
        if self.flip_axes or self.turn_planes or self.shift:
            volumes = self._moved(volumes)
        if self.rotate or self.scale or self.stretch or self.elastic:
            volumes = self._resampled(volumes)
        shapes, distances = self._parts(volumes)
        if self.intensity or self.noise:
            volumes = torch.cat([self._toned(shapes), distances], dim=1)
        if self.cutout:
            volumes = self._cut_out(volumes, shapes)
        return self._mixed(volumes) if self.mixup else (volumes, None)

    def _parts(self, volumes: Tensor) -> tuple[Tensor, Tensor]:
        """The grey channels and the distance channels."""
        return volumes[:, : self.num_grey], volumes[:, self.num_grey :]

    def _moved(self, volumes: Tensor) -> Tensor:
        """Flips, turns by quarters and shifts, in one go: each voxel comes from another's place.

        What a voxel's coordinate along one axis says of the place it comes from does not depend
        on the other two. So there is a table for each axis, of parts of a place `(b edge)`; a flip
        reverses one, a quarter turn exchanges two, and the place is the sum of the three parts.
        """
        shape = volumes.shape[2:]
        strides = {"D": shape[1] * shape[2], "H": shape[2], "W": 1}
        parts = {
            axis: (stride * torch.arange(edge, device=volumes.device)).expand(len(volumes), edge)
            for (axis, stride), edge in zip(strides.items(), shape, strict=True)
        }
        for axis in self.flip_axes:
            parts[axis] = _reversed(parts[axis], _draw(volumes) < 0.5)
        for plane in self.turn_planes:
            first, second = plane[0], plane[1]
            quarters = (4 * _draw(volumes)).long()
            odd = quarters % 2 == 1
            a, b = parts[first], parts[second]
            exchanged = torch.where(odd, b, a), torch.where(odd, a, b)
            parts[first] = _reversed(exchanged[0], (quarters == 1) | (quarters == 2))
            parts[second] = _reversed(exchanged[1], quarters >= 2)
        if self.shift:
            for axis, part in parts.items():
                by = torch.randint_like(part[:, :1], -self.shift, self.shift + 1)
                place = torch.arange(part.shape[1], device=part.device) + by
                parts[axis] = part.gather(1, place.clamp(0, part.shape[1] - 1))
        depth, height, width = parts.values()
        source = depth[:, :, None, None] + height[:, None, :, None] + width[:, None, None, :]
        source = source.flatten(1)[:, None].expand(-1, volumes.shape[1], -1)
        return volumes.flatten(2).gather(2, source).view_as(volumes)

    def _resampled(self, volumes: Tensor) -> Tensor:
        """Turns about all three axes, enlarges, stretches and bends, in one resampling."""
        angles = math.radians(self.rotate) * _uniform(volumes, 3)
        factor = 1 + self.scale * _uniform(volumes, 1)
        if self.stretch:
            factor = factor * (1 + self.stretch * _uniform(volumes, 3))
        edges = volumes.shape[:1:-1]  # W H D, as a grid counts
        planes = ((0, 1), (0, 2), (1, 2))
        first, second, third = (_turn(angles[:, n], *p, edges) for n, p in enumerate(planes))
        turns = first @ second @ third
        # The grid says where each voxel comes from: an enlarged volume from a smaller cube.
        where = turns / factor[:, None, :]
        no_shift = where.new_zeros(len(where), 3, 1)
        grid = F.affine_grid(torch.cat([where, no_shift], 2), list(volumes.shape), False)
        if self.elastic:
            grid = grid + 2 * self.elastic * _bends(volumes)  # a grid counts in half edges
        moved = F.grid_sample(volumes, grid, padding_mode="border", align_corners=False)
        mean_factor = factor.prod(dim=1) ** (1 / factor.shape[1])
        before, _ = self._parts(volumes)
        grey, distances = self._parts(moved)
        distances = distances * mean_factor[:, None, None, None, None]
        return _with_sharp_masks(before, grey, distances, self.distance_of)

    def _toned(self, grey: Tensor) -> Tensor:
        if self.intensity:
            grey = grey * (1 + self.intensity * (2 * _each(grey) - 1))
        if self.noise:
            grey = grey + self.noise * _each(grey) * torch.randn_like(grey)
        return grey.clamp(0, 1)

    def _cut_out(self, volumes: Tensor, shapes: Tensor) -> Tensor:
        """Blanks a cube; distances become those of the shapes without it.

        The shapes are the intensities before they were changed: a mask that was darkened is one.
        """
        inside = []
        for dim in _AXES.values():
            edge = volumes.shape[dim]
            place = torch.arange(edge, device=volumes.device) + 0.5
            inside.append((place - edge * _draw(volumes)).abs() < self.cutout * edge / 2)
        depth, height, width = inside
        cube = depth[:, :, None, None] & height[:, None, :, None] & width[:, None, None, :]
        grey, distances = self._parts(volumes)
        left = [
            without_cube(shapes[:, number], channel, inside)[:, None]
            for number, channel in zip(self.distance_of, distances.unbind(1), strict=True)
        ]
        return torch.cat([grey.masked_fill(cube[:, None], 0), *left], dim=1)

    def _mixed(self, volumes: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        partner = torch.randperm(len(volumes), device=volumes.device)
        share = _beta(self.mixup)
        return share * volumes + (1 - share) * volumes[partner], (partner, share)


def _each(grey: Tensor) -> Tensor:
    """One random number in [0, 1) for each channel of each volume, shaped to act on all of it."""
    return torch.rand(*grey.shape[:2], 1, 1, 1, device=grey.device)


def _draw(volumes: Tensor) -> Tensor:
    """One random number in [0, 1) for each volume, `(b 1)`."""
    return torch.rand(len(volumes), 1, device=volumes.device)


def _reversed(table: Tensor, chosen: Tensor) -> Tensor:
    """A table `(b edge)` with the rows of the chosen volumes `(b 1)` in reverse order."""
    return torch.where(chosen, table.flip(1), table)


def _uniform(volumes: Tensor, numbers: int) -> Tensor:
    """Numbers from -1 to 1 for each volume, `(b numbers)`."""
    return 2 * torch.rand(len(volumes), numbers, device=volumes.device) - 1


def _with_sharp_masks(
    before: Tensor, grey: Tensor, distances: Tensor, distance_of: Sequence[int]
) -> Tensor:
    """Resampled volumes, of which masks have two grey values again, as those of a test have.

    Args:
        before: Intensities `(b C D H W)` before the resampling. A channel of two values is a mask.
        grey: The same after it.
        distances: The distance channels after it, `(b M D H W)`; or no channel.
        distance_of: For each of them the grey channel whose shape it is about.

    Returns:
        `(b c D H W)`. In a mask no distance is below one voxel, as in one that was not resampled.
    """
    volume = (2, 3, 4)
    low, high = before.amin(volume, keepdim=True), before.amax(volume, keepdim=True)
    two_values = ((before == low) | (before == high)).all(volume, keepdim=True) & (low < high)
    shape = grey > (low + high) / 2
    voxel = 1 / max(before.shape[2:])
    channels = [torch.where(two_values, torch.where(shape, high, low), grey)]
    for number, own in zip(distance_of, distances.unbind(1), strict=True):
        sharp = torch.where(shape[:, number], own.clamp(min=voxel), own.clamp(max=-voxel))
        channels.append(torch.where(two_values[:, number], sharp, own)[:, None])
    return torch.cat(channels, dim=1)


def _bends(volumes: Tensor) -> Tensor:
    """By how much each voxel is moved along W, H, D, from -1 to 1: `(b D H W 3)`."""
    points = _uniform(volumes, 3 * _BENDS**3).unflatten(1, (3, _BENDS, _BENDS, _BENDS))
    smooth = F.interpolate(points, size=volumes.shape[2:], mode="trilinear", align_corners=True)
    return smooth.movedim(1, -1)


def _turn(angles: Tensor, first: int, second: int, edges: Sequence[int]) -> Tensor:
    """Rotation matrices `(b 3 3)` in the plane of two axes, in units of half an edge of each."""
    matrices = torch.eye(3, device=angles.device).repeat(len(angles), 1, 1)
    matrices[:, first, first] = matrices[:, second, second] = angles.cos()
    matrices[:, first, second] = -angles.sin() * (edges[second] / edges[first])
    matrices[:, second, first] = angles.sin() * (edges[first] / edges[second])
    return matrices


def _beta(alpha: float) -> Tensor:
    """A number from Beta(alpha, alpha), on the host, whence an operation takes it as it is."""
    parameter = torch.tensor(alpha)
    return torch.distributions.Beta(parameter, parameter, validate_args=False).sample()
