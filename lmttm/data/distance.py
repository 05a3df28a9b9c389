"""How far each voxel of a shape mask is from the shape's surface."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lmttm.data.chosen import Images, grey_values, in_parts

MASK_THRESHOLD = 128


def is_mask(volumes: Images) -> bool:
    """Whether uint8 volumes hold two grey values, one of them a shape: masks, not images."""
    values = grey_values(volumes)
    return len(values) == 2 and min(values) < MASK_THRESHOLD <= max(values)


def signed_distance(volumes: Tensor) -> Tensor:
    """The signed Euclidean distance of each voxel to the surface of the shape.

    A network that sees only a mask has to discover how thick a shape is; this tells it.

    Args:
        volumes: Masks `(b D H W)` uint8; voxels of at least 128 are the shape.

    Returns:
        `(b D H W)` float32 on the same device, in units of the volume's longest edge: positive
        inside the shape, negative outside; 0 everywhere where there is no surface.
    """
    return distances_of(signed_squares(volumes).to(volumes.device))


def signed_squares(volumes: Images, channels: Sequence[int] = (0,)) -> Tensor:
    """The squares of the signed distances in voxels, with their signs: whole numbers.

    They take half the memory of the distances, or as much in large volumes, and are exact.

    Args:
        volumes: Masks `(b D H W)` uint8; voxels of at least 128 are the shape. Or `(b C D H W)`
            of several grey channels.
        channels: Which of several grey channels are masks.

    Returns:
        `(b D H W)`, or `(b M D H W)` of the masks among several grey channels; on the host, int16
        where that holds the longest diagonal, else int32.
    """
    from scipy.ndimage import distance_transform_edt  # slow to import

    shape = shape_of(volumes.shape, channels)
    result = torch.zeros(shape, dtype=kind_of(shape[-3:]))
    places = iter(result.view(-1, *shape[-3:]).numpy())
    for part in in_parts(volumes):
        masks = part if part.ndim == 4 else part[:, list(channels)].flatten(0, 1)
        for volume in masks.cpu().numpy():
            mask, place = volume >= MASK_THRESHOLD, next(places)
            if mask.any() and not mask.all():
                inside, outside = distance_transform_edt(mask), distance_transform_edt(~mask)
                place[:] = np.rint(inside**2) - np.rint(outside**2)
    return result


def shape_of(volumes: Sequence[int], channels: Sequence[int]) -> tuple[int, ...]:
    """The shape of the signed squares of volumes of a shape; see `signed_squares`."""
    return tuple(volumes) if len(volumes) == 4 else (volumes[0], len(channels), *volumes[2:])


def kind_of(shape: Sequence[int]) -> torch.dtype:
    """The type that holds the squared distances within a volume `(D H W)`."""
    longest = sum((edge - 1) ** 2 for edge in shape)
    return torch.int16 if longest <= torch.iinfo(torch.int16).max else torch.int32


def distances_of(squares: Tensor) -> Tensor:
    """The signed distances, in longest edges of the volume, of their squares in voxels.

    Args:
        squares: `(b D H W)` or `(b M D H W)`, as `signed_squares` gives them.

    Returns:
        As many float32 on their device.
    """
    exact = squares.float()
    return exact.abs().sqrt() * exact.sign() / max(squares.shape[-3:])


def without_cube(grey: Tensor, distances: Tensor, inside: Sequence[Tensor]) -> Tensor:
    """The signed distances of shapes from which a cube was cut, on their device.

    The least of two signed distances, to the shape's surface and to the cube's, is exact within
    the shape that is left. Outside of it the sign is right, and the distance never more than
    the true one: what was nearest may have been cut away.

    Args:
        grey: Intensities `(b D H W)` in [0, 1] before the cut.
        distances: `(b D H W)`, as `signed_distance` gives them for these.
        inside: For the axes D, H, W: which coordinates the cube covers `(b edge)`, without
            gaps; none where it has no voxel.

    Returns:
        `(b D H W)`, in units of the volume's longest edge; 0 everywhere where no surface is left.
    """
    far, deep = [], []
    for axis, covered in enumerate(inside):
        view = [len(covered), 1, 1, 1]
        view[axis + 1] = -1
        gap, exit_ = _along(covered)
        far.append(gap.view(view))
        deep.append(exit_.view(view))
    outside = far[0] ** 2 + far[1] ** 2 + far[2] ** 2
    depth = torch.minimum(torch.minimum(deep[0], deep[1]), deep[2])
    cube = outside == 0
    to_cube = torch.where(cube, -depth, outside.sqrt()) / max(grey.shape[1:])  # negative within it
    shape = grey >= MASK_THRESHOLD / 255
    axes = (1, 2, 3)
    # A volume that is nothing but shape has no surface, and so no distances, before the cut.
    distances = torch.where(shape.all(axes, keepdim=True), torch.inf, distances)
    left = shape & ~cube
    surface = left.any(axes, keepdim=True) & ~left.all(axes, keepdim=True)
    return torch.where(surface, torch.minimum(distances, to_cube), 0.0)


def _along(covered: Tensor) -> tuple[Tensor, Tensor]:
    """How far each coordinate `(b edge)` is from those that are covered, and from the others.

    Both in voxels, 0 for a coordinate that is itself one of them; infinite where there are none
    on either side.
    """
    edge = covered.shape[1]
    place = torch.arange(edge, device=covered.device, dtype=torch.float32)
    some = covered.any(dim=1, keepdim=True)
    first = torch.where(covered, place, torch.inf).amin(dim=1, keepdim=True)
    last = torch.where(covered, place, -torch.inf).amax(dim=1, keepdim=True)
    gap = torch.maximum(first - place, place - last).clamp(min=0)
    gap = torch.where(some, gap, torch.inf)
    below = torch.where(first > 0, place - first + 1, torch.inf)
    above = torch.where(last < edge - 1, last - place + 1, torch.inf)
    exit_ = torch.where(covered, torch.minimum(below, above), 0.0)
    return gap, exit_
