"""Statistics of a training split, which tell a volume that is unlike it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmttm.data.chosen import Images, in_parts


@dataclass(frozen=True)
class Statistics:
    """Ranges over the volumes of a training split, to tell a volume that is unlike them."""

    brightness: tuple[float, float]
    foreground: tuple[float, float]

    @classmethod
    def of(cls, images: Images) -> "Statistics":
        """Of volumes `(N D H W)` uint8."""
        bright, share = [], []
        for part in in_parts(images):
            flat = part.numpy().reshape(len(part), -1)
            bright += [flat.mean(axis=1)]
            share += [(flat > 0).mean(axis=1)]
        brightness, foreground = np.concatenate(bright), np.concatenate(share)
        return cls(
            _pair((brightness.min(), brightness.max())),
            _pair((foreground.min(), foreground.max())),
        )

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
        unlike = []
        for name, (value, (low, high)) in found.items():
            margin = 0.25 * (high - low)
            # Half of the least at most: of little, a margin would leave nothing to fall short of.
            if not max(low - margin, low / 2) <= value <= high + margin:
                unlike.append(
                    f"its {name} is {value:.3g}; in training it was {low:.3g} to {high:.3g}"
                )
        return unlike


def _pair(bounds: Iterable[float]) -> tuple[float, float]:
    low, high = map(float, bounds)
    return low, high
