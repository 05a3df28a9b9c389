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
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    distance = np.hypot(rows - centre[0], columns - centre[1])

    def disc(share: float) -> np.ndarray:
        inside: np.ndarray = np.clip((share * radius - distance) / _EDGE + 0.5, 0, 1)
        return inside

    shapes = np.concatenate([disc(1.0), disc(1.0) - disc(0.6), disc(0.5)], axis=1)
    slab = np.minimum(np.arange(SIZE) // SLAB, NUM_SLABS - 1)
    direction = np.where(labels == 0, 1, -1)
    cycle = (phases[:, None] + direction[:, None] * slab) % 3
    volumes = (contrast * shapes)[np.arange(num_volumes)[:, None], cycle]
    volumes += 0.1 * rng.standard_normal(volumes.shape, dtype=np.float32)
    grey = np.rint(255 * volumes.clip(0, 1, out=volumes), out=volumes)
    return grey.astype(np.uint8), labels[:, None].astype(np.uint8)
