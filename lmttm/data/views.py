"""The symmetric views of a volume: mirrored and turned by quarters, as its labels allow.

A machine pages through D. Where volumes may be turned in all planes, some of the views make it page
through H and W: for a radiologist, the axial, the coronal and the sagittal walk.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

_AXES = "DHW"


class View(NamedTuple):
    """A volume with its axes in some order, some of them reversed after that.

    Attributes:
        order: The axes of the volume (0, 1, 2 for D, H, W) that become its D, H, W.
        reversed: The axes that are then reversed, ascending.
    """

    order: tuple[int, ...] = (0, 1, 2)
    reversed: tuple[int, ...] = ()

    def of(self, volumes: Tensor) -> Tensor:
        """The view of volumes `(b c D H W)`."""
        turned = volumes.permute(0, 1, *(2 + axis for axis in self.order))
        return turned.flip(tuple(2 + axis for axis in self.reversed))


def symmetric_views(flip_axes: Sequence[str] = (), turn_planes: Sequence[str] = ()) -> list[View]:
    """Every view that flips and quarter turns lead to, each once.

    Args:
        flip_axes: Axes (D, H, W) along which a volume may be mirrored.
        turn_planes: Planes (DH, DW, HW) in which it may be turned; their two edges are equal.

    Returns:
        The views, first the volume as it is: 8 for flips along all axes, 24 for turns in all
        planes, 48 for both.
    """
    found = {View()}
    fresh = [View()]
    while fresh:
        steps = {view for old in fresh for view in _next(old, flip_axes, turn_planes)}
        fresh = list(steps - found)
        found |= steps
    return sorted(found, key=lambda view: (view.order, len(view.reversed), view.reversed))


def _next(view: View, flip_axes: Sequence[str], turn_planes: Sequence[str]) -> Iterator[View]:
    """The views that one flip or quarter turn makes of a view."""
    for axis in map(_AXES.index, flip_axes):
        yield View(view.order, tuple(sorted({axis} ^ set(view.reversed))))
    for plane in turn_planes:
        first, second = map(_AXES.index, plane)
        places = {first: second, second: first}
        order = tuple(view.order[places.get(axis, axis)] for axis in range(3))
        moved = {places.get(axis, axis) for axis in view.reversed}
        yield View(order, tuple(sorted({first} ^ moved)))
