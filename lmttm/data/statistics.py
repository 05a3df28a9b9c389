"""Statistics of a training split, which tell a volume that is unlike it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmttm.data.chosen import Images, in_parts
from lmttm.data.tables import path_columns

_MARGIN = 0.25  # share of a range by which a volume may lie outside of it
_NEARER = 0.1  # the same of the extent, whose range leaves out the rarest


@dataclass(frozen=True)
class Statistics:
    """Ranges over the volumes of a training split, to tell a volume that is unlike them.

    Attributes:
        brightness: Mean intensity.
        foreground: Share of voxels above 0.
        extent: Longest edge of the box around these voxels, as a share of the volume's; from
            the first percentile on, since a few shapes are tiny. None in runs of before it.
    """

    brightness: tuple[float, float]
    foreground: tuple[float, float]
    extent: tuple[float, float] | None = None

    @classmethod
    def of(cls, images: Images, channel: int = 0) -> "Statistics":
        """Of volumes `(N D H W)` uint8, or of one grey channel of `(N C D H W)`."""
        bright, share, extent = [], [], []
        for part in in_parts(images):
            volumes = (part if part.ndim == 4 else part[:, channel]).numpy()
            flat = volumes.reshape(len(volumes), -1)
            bright += [flat.mean(axis=1)]
            share += [(flat > 0).mean(axis=1)]
            extent += [_extents(volumes)]
        brightness, foreground, extents = map(np.concatenate, (bright, share, extent))
        return cls(
            _pair((brightness.min(), brightness.max())),
            _pair((foreground.min(), foreground.max())),
            _pair((np.percentile(extents, 1), extents.max())),
        )

    @classmethod
    def from_dict(cls, ranges: dict[str, Any]) -> "Statistics | None":
        """Of what a checkpoint holds; None where it holds none."""
        try:
            extent = ranges.get("extent")
            return cls(
                _pair(ranges["brightness"]),
                _pair(ranges["foreground"]),
                None if extent is None else _pair(extent),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def warnings(self, cube: NDArray[np.uint8]) -> list[str]:
        """What is unlike the training data, as sentences; none where a cube is like them."""
        found = {
            "mean intensity": (cube.mean(), self.brightness, _MARGIN),
            "share of voxels above 0": ((cube > 0).mean(), self.foreground, _MARGIN),
        }
        if self.extent is not None:
            name = "longest edge of the box around voxels above 0, as a share of the volume's,"
            found[name] = (_extents(cube[None])[0], self.extent, _NEARER)
        unlike = []
        for name, (value, (low, high), share) in found.items():
            margin = share * (high - low)
            # Half of the least at most: of little, a margin would leave nothing to fall short of.
            if not max(low - margin, low / 2) <= value <= high + margin:
                unlike.append(
                    f"its {name} is {value:.3g}; in training it was {low:.3g} to {high:.3g}"
                )
        return unlike


def statistics_of(images: Images) -> dict[str, Any]:
    """What a checkpoint holds: the statistics of volumes, of several channels those of each."""
    if len(images.shape) == 4:
        return asdict(Statistics.of(images))
    return {"channels": [asdict(Statistics.of(images, n)) for n in range(images.shape[1])]}


def unlike_training(stored: dict[str, Any], volume: NDArray[np.uint8]) -> list[str]:
    """What is unlike the training volumes in a volume, as sentences.

    Args:
        stored: What a checkpoint holds, by `statistics_of`.
        volume: `(D H W)` or `(C D H W)` uint8.
    """
    if volume.ndim == 3:
        found = Statistics.from_dict(stored)
        return found.warnings(volume) if found else []
    every = stored.get("channels")
    known = [Statistics.from_dict(part) for part in every] if isinstance(every, Sequence) else []
    return [
        f"{column}: {sentence}"
        for column, grey, statistics in zip(path_columns(len(volume)), volume, known, strict=False)
        for sentence in (statistics.warnings(grey) if statistics else [])
    ]


def _extents(volumes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Longest edge of the box around the voxels above 0 of each volume; 0 of an empty one."""
    edges = []
    for axis in (1, 2, 3):
        others = tuple(other for other in (1, 2, 3) if other != axis)
        lines = np.asarray(volumes.any(axis=others))
        length = lines.shape[1]
        first, last = lines.argmax(axis=1), length - lines[:, ::-1].argmax(axis=1)
        edges.append(np.where(lines.any(axis=1), (last - first) / length, 0.0))
    longest: NDArray[np.float64] = np.max(edges, axis=0)
    return longest


def _pair(bounds: Iterable[float]) -> tuple[float, float]:
    low, high = map(float, bounds)
    return low, high
