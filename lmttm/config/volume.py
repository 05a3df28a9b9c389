"""The section `volume`: how a scan becomes the volume that the model sees."""

import itertools
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

AXES = tuple("".join(order) for order in itertools.permutations("xyz"))


_FORMS = {
    "centre": "three numbers of mm such as 60,60,40, table or null",
    "extent": "a number of mm, three such as 60,60,40, table or null",
    "window": "two numbers such as -160,240, or null",
}


def _numbers(value: Any, info: ValidationInfo) -> Any:
    """`volume.window=-160,240` on the command line is the list [-160.0, 240.0]."""
    if value == "None":
        return None
    if isinstance(value, str) and (value != "table" or info.field_name == "window"):
        try:
            first, *others = [float(part) for part in value.split(",")]
        except ValueError:
            others = []
        if not others:
            forms = _FORMS[str(info.field_name)]
            raise ValueError(f"volume.{info.field_name} must be {forms}, got {value!r}")
        value = [first, *others]
    if isinstance(value, list | tuple):
        return [float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in value]
    return value


def _axes(value: Any) -> Any:
    if value not in AXES:
        raise ValueError(f"volume.axes must be an order of x, y and z, got {value}")
    return value


_Three = Annotated[list[float], Field(min_length=3, max_length=3)]
_Window = Annotated[list[float], Field(min_length=2, max_length=2)]


class VolumeConfig(BaseModel):
    """From a scan to a volume of bytes; what is auto is settled on the training split."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    axes: Annotated[str, BeforeValidator(_axes)] = Field(
        "xyz", description="which axes of the patient (right, front, head) become D, H, W"
    )
    region: Literal["cube", "pad", "stretch"] = Field(
        "cube",
        description="the largest centred box with voxels of equal edges, the whole scan padded "
        "to such a box, or the whole scan with each axis fitted on its own",
    )
    centre: Annotated[_Three | Literal["table"] | None, BeforeValidator(_numbers)] = Field(
        None,
        description="of the box, in mm along D, H, W from the middle of the first voxel; table: "
        "each scan's own, from the columns centre_d, centre_h, centre_w",
    )
    extent: Annotated[_Three | float | Literal["table"] | None, BeforeValidator(_numbers)] = Field(
        None,
        description="edge of the box, or its three edges along D, H, W, in mm; table: each scan's "
        "own, from the column extent; null: as region says",
    )
    resampling: Literal["linear", "nearest"] = Field(
        "linear", description="between voxels; linear smooths against aliasing"
    )
    intensity: Literal["auto", "masks", "bytes", "hu", "percentiles", "each", "window"] = Field(
        "auto",
        description="what becomes 0 to 255: two values, bytes as they are, a window of Hounsfield "
        "units, percentiles of the whole training split, percentiles of each scan, or window",
    )
    window: Annotated[_Window | None, BeforeValidator(_numbers)] = Field(
        None, description="the values that become 0 and 255"
    )

    @model_validator(mode="after")
    def _fits(self) -> "VolumeConfig":
        faults = []
        if self.window is not None and not self.window[0] < self.window[1]:
            faults.append(
                f"volume.window must go from low to high, got {_shown(self.window)}",
            )
        extents = self.extent if isinstance(self.extent, list) else [self.extent]
        if any(isinstance(extent, float) and extent <= 0 for extent in extents):
            faults.append(f"volume.extent must be more than 0 mm, got {_shown(extents)}")
        if self.intensity == "window" and self.window is None:
            faults.append("volume.intensity=window needs volume.window=LOW,HIGH")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def settled(self) -> bool:
        """Whether it is known how values become bytes."""
        return self.intensity != "auto"


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """A run's whole configuration, also where it was written before there was this section.

    Such a run took bytes as they were, and found the window of any other scan in that scan.
    """
    return document if "volume" in document else document | {"volume": {"intensity": "each"}}


def _shown(numbers: list[Any]) -> str:
    return ",".join(f"{number:g}" for number in numbers)
