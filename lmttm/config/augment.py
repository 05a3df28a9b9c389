"""The section `augment`: random changes of a training batch."""

from typing import Annotated, Literal

from pydantic import Field

from lmttm.config.fields import Section, Share


class AugmentConfig(Section):
    """Random changes of a training batch. Each data set forbids some of them."""

    flip_axes: list[Literal["D", "H", "W"]] = Field(
        [], description="axes along which a volume may be mirrored"
    )
    turn_planes: list[Literal["DH", "DW", "HW"]] = Field(
        [], description="planes in which a volume may be turned by quarters"
    )
    shift: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="largest shift per axis, in voxels"
    )
    rotate: Annotated[float, Field(ge=0, le=180)] = Field(
        0.0, description="largest angle of a turn about each axis, in degrees"
    )
    scale: Share = Field(0.0, description="the shape is enlarged by a factor 1 - this to 1 + this")
    stretch: Share = Field(
        0.0, description="each axis is enlarged by a factor of its own, 1 - this to 1 + this"
    )
    elastic: Annotated[float, Field(ge=0, le=0.15)] = Field(
        0.0,
        description="largest distance, in edges of the volume, by which the points of a coarse "
        "grid are moved to bend the shape",
    )
    intensity: Share = Field(0.0, description="intensities are scaled by 1 - this to 1 + this")
    noise: Share = Field(0.0, description="largest standard deviation of noise on intensities")
    cutout: Share = Field(0.0, description="edges of a box that is blanked, in edges of the volume")
    mixup: Annotated[float, Field(ge=0, le=10)] = Field(
        0.0, description="alpha of the Beta distribution by which pairs are mixed; 0: off"
    )
