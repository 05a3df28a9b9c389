"""PhantomMNIST3D: an offline data set whose class lies in how slabs follow each other.

Along depth the cross-section of each volume cycles filled disc -> ring -> small disc, one
shape for each slab of three slices; the class is the direction of the cycle. Both classes
show the same shapes equally often, so no slab by itself tells the class: 5 of 8 volumes
is the best that one slab allows.
"""

import numpy as np

SIZE = 28
SLAB = 3
NUM_SLABS = 9
SPLITS = {"train": 800, "val": 100, "test": 200}
CLASS_NAMES = ("disc -> ring -> dot", "dot -> ring -> disc")

_PHASES = (1, 1, 0, 2)  # the first slab is a ring in half of the volumes
_EDGE = 0.7  # width of the soft edges, in voxels
_AT_ONCE = 16  # volumes, so few that they stay in the processor's cache


def generate(num_volumes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws phantom volumes, with equally many of each class and phase as far as possible.

    Args:
        num_volumes: How many, N.
        seed: The same seed gives the same volumes.

    Returns:
        Volumes `(N 28 28 28)` uint8 and labels `(N 1)` uint8 in {0, 1}, in random order.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(num_volumes)
    labels = order % 2
    phases = np.take(_PHASES, order // 2 % len(_PHASES))

    each = (num_volumes, 1, 1, 1)
    radius = rng.uniform(8, 12, each).astype(np.float32)
    centre = (SIZE - 1) / 2 + rng.uniform(-2, 2, (2, *each)).astype(np.float32)
    contrast = rng.uniform(0.05, 0.95, each).astype(np.float32)
    slab = np.minimum(np.arange(SIZE) // SLAB, NUM_SLABS - 1)
    direction = np.where(labels == 0, 1, -1)
    cycle = (phases[:, None] + direction[:, None] * slab) % 3

    volumes = np.empty((num_volumes, SIZE, SIZE, SIZE), np.uint8)
    for first in range(0, num_volumes, _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        shapes = contrast[part] * _shapes(radius[part], centre[:, part])
        grey = shapes[np.arange(len(shapes))[:, None], cycle[part]]
        noise = rng.standard_normal(grey.shape, dtype=np.float32)
        grey += np.multiply(0.1, noise, out=noise)
        grey.clip(0, 1, out=grey)
        volumes[part] = np.rint(np.multiply(255, grey, out=grey), out=grey)
    return volumes, labels[:, None].astype(np.uint8)


def _shapes(radius: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The disc, the ring and the dot of each volume, `(N 3 28 28)` from 0 to 1."""
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    distance = np.hypot(rows - centre[0], columns - centre[1])

    def disc(share: float) -> np.ndarray:
        inside: np.ndarray = np.clip((share * radius - distance) / _EDGE + 0.5, 0, 1)
        return inside

    return np.concatenate([disc(1.0), disc(1.0) - disc(0.6), disc(0.5)], axis=1)
