"""Statistics of a training split, which tell a volume that is unlike it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Statistics:
    """Ranges over the volumes of a training split, to tell a volume that is unlike them."""

    brightness: tuple[float, float]
    foreground: tuple[float, float]

    @classmethod
    def of(cls, images: Any) -> "Statistics":
        """Of volumes `(N D H W)` uint8, a tensor or an array."""
        flat = np.asarray(images).reshape(len(images), -1)
        bright, share = flat.mean(axis=1), (flat > 0).mean(axis=1)
        return cls(_pair((bright.min(), bright.max())), _pair((share.min(), share.max())))

    @classmethod
    def from_dict(cls, ranges: dict[str, Any]) -> "Statistics | None":
        """Of what a checkpoint holds; None where it holds none."""
        try:
            return cls(_pair(ranges["brightness"]), _pair(ranges["foreground"]))
        except (KeyError, TypeError, ValueError):
            return None

    def warnings(self, cube: np.ndarray) -> list[str]:
        """What is unlike the training data, as sentences; none where a cube is like them."""
        found = {
            "mean intensity": (cube.mean(), self.brightness),
            "share of voxels above 0": ((cube > 0).mean(), self.foreground),
        }
        told = []
        for name, (value, (low, high)) in found.items():
            margin = 0.25 * (high - low)
            if not low - margin <= value <= high + margin:
                told.append(f"{name}: {value:.3g}, in training {low:.3g} to {high:.3g}")
        return told


def _pair(bounds: Iterable[float]) -> tuple[float, float]:
    low, high = map(float, bounds)
    return low, high
