"""How far each voxel of a shape mask is from the shape's surface."""

import numpy as np
import torch
from torch import Tensor

MASK_THRESHOLD = 128


def is_mask(volumes: Tensor) -> bool:
    """Whether uint8 volumes hold two grey values, one of them a shape: masks, not images."""
    values = volumes.unique().tolist()
    return len(values) == 2 and values[0] < MASK_THRESHOLD <= values[1]


def signed_distance(volumes: Tensor) -> Tensor:
    """The signed Euclidean distance of each voxel to the surface of the shape.

    A network that sees only a mask has to discover how thick a shape is; this tells it.

    Args:
        volumes: Masks `(b D H W)` uint8; voxels of at least 128 are the shape.

    Returns:
        `(b D H W)` float32 on the same device, in units of the volume's edge: positive
        inside the shape, negative outside; 0 everywhere where there is no surface.
    """
    from scipy.ndimage import distance_transform_edt  # slow to import

    def one(mask: np.ndarray) -> np.ndarray:
        if mask.all() or not mask.any():
            return np.zeros(mask.shape)
        signed: np.ndarray = distance_transform_edt(mask) - distance_transform_edt(~mask)
        return signed

    masks = volumes.cpu().numpy() >= MASK_THRESHOLD
    edge = volumes.shape[-1]
    result = np.stack([one(mask) for mask in masks]) if len(masks) else np.zeros(masks.shape)
    return torch.from_numpy((result / edge).astype(np.float32)).to(volumes.device)
