"""The section `volume`: how a scan becomes the volume that the model sees."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from lmttm.config.fields import Section
from lmttm.errors import InputError

AXES = tuple("".join(order) for order in itertools.permutations("xyz"))

Kind = Literal["auto", "masks", "bytes", "hu", "percentiles", "each", "window"]


@dataclass(frozen=True)
class Intensity:
    """How the values of a scan become bytes.

    Attributes:
        kind: masks, bytes, hu, percentiles, window, each (the window of each scan is found in its
            own values), or auto where that is not settled yet.
        window: Values that become 0 and 255, where the kind has such.
    """

    kind: str
    window: tuple[float, float] | None = None

    @property
    def settled(self) -> bool:
        """Whether it is known how values become bytes."""
        return self.kind != "auto" and (self.kind != "percentiles" or self.window is not None)

    @property
    def in_force(self) -> "Intensity":
        """What holds where nothing is settled: the window that is given, or each scan's own."""
        if self.settled:
            return self
        return Intensity("each" if self.window is None else "window", self.window)


_FORMS = {
    "centre": "three numbers of mm such as 60,60,40, table or null",
    "extent": "a number of mm, three such as 60,60,40, table or null",
    "window": "two numbers such as -160,240, or null; or one of these for each scan of a case, "
    "such as [[-160,240],null]",
}


def _numbers(value: Any, info: ValidationInfo) -> Any:
    """`volume.centre=1,2,3` on the command line is the list [1.0, 2.0, 3.0]."""
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


def _windows(value: Any, info: ValidationInfo) -> Any:
    """One window, or a list of them: one for each scan of a case."""
    value = _numbers(value, info)
    if not isinstance(value, list):
        return value
    several = any(part is None or isinstance(part, list | tuple) for part in value)
    windows = [_numbers(part, info) for part in value] if several else [value]
    for window in windows:
        numbers = window if isinstance(window, list) else []
        if window is not None and (len(numbers) != 2 or any(type(n) is not float for n in numbers)):
            raise ValueError(f"volume.window must be {_FORMS['window']}, got {value!r}")
    return windows[0] if len(windows) == 1 else windows


def _kinds(value: Any) -> Any:
    """`volume.intensity=hu,masks` on the command line is the list [hu, masks]."""
    kinds = value.strip("[]").split(",") if isinstance(value, str) else value
    kinds = [str(kind).strip() for kind in kinds] if isinstance(kinds, list | tuple) else [kinds]
    if not kinds or any(kind not in get_args(Kind) for kind in kinds):
        raise ValueError(
            f"volume.intensity must be one of {', '.join(get_args(Kind))}, or such as hu,masks one "
            f"for each scan of a case, got {value!r}"
        )
    return kinds[0] if len(kinds) == 1 else kinds


def _axes(value: Any) -> Any:
    if value not in AXES:
        raise ValueError(f"volume.axes must be an order of x, y and z, got {value}")
    return value


_Three = Annotated[list[float], Field(min_length=3, max_length=3)]
_Window = Annotated[list[float], Field(min_length=2, max_length=2)]


class VolumeConfig(Section):
    """From a scan to a volume of bytes; what is auto is settled on the training split."""

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
    intensity: Annotated[Kind | list[Kind], BeforeValidator(_kinds)] = Field(
        "auto",
        description="what becomes 0 to 255: two values, bytes as they are, a window of Hounsfield "
        "units, percentiles of the whole training split, percentiles of each scan, or window; of "
        "cases of several scans one for all, or one for each",
    )
    window: Annotated[_Window | list[_Window | None] | None, BeforeValidator(_windows)] = Field(
        None, description="the values that become 0 and 255; likewise"
    )

    @model_validator(mode="after")
    def _fits(self) -> "VolumeConfig":
        faults = []
        kinds, windows = _each(self.intensity), _each_window(self.window)
        faults += [
            f"volume.window must go from low to high, got {_shown(window)}"
            for window in windows
            if window is not None and not window[0] < window[1]
        ]
        extents = self.extent if isinstance(self.extent, list) else [self.extent]
        if any(isinstance(extent, float) and extent <= 0 for extent in extents):
            faults.append(f"volume.extent must be more than 0 mm, got {_shown(extents)}")
        if 1 < len(kinds) != len(windows) > 1:
            faults.append(
                "volume.intensity and volume.window must be about as many scans of a case, got "
                f"{len(kinds)} and {len(windows)}"
            )
        elif any(pair == ("window", None) for pair in _pairs(kinds, windows)):
            faults.append("volume.intensity=window needs volume.window=LOW,HIGH")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def settled(self) -> bool:
        """Whether it is known how values become bytes."""
        return all(channel.settled for channel in self._channels)

    @property
    def _channels(self) -> list[Intensity]:
        """As many as the section is about; one where it says the same of all."""
        return [
            Intensity(kind, None if window is None else (window[0], window[1]))
            for kind, window in _pairs(_each(self.intensity), _each_window(self.window))
        ]

    def channels(self, number: int) -> tuple[Intensity, ...]:
        """How the values of each grey channel become bytes.

        Args:
            number: Of grey channels: the scans of a case.

        Raises:
            InputError: The section is about another number of them.
        """
        channels = self._channels
        if len(channels) not in (1, number):
            own = f" or {number}, for each scan of a case its own" if number > 1 else ""
            name = "intensity" if isinstance(self.intensity, list) else "window"
            raise InputError(f"volume.{name} must be one value{own}, got {len(channels)}")
        return tuple(channels * (number // len(channels)))

    def with_channels(self, channels: Sequence[Intensity]) -> "VolumeConfig":
        """The section with how the values of each grey channel become bytes; one stands alone."""
        kinds = [channel.kind for channel in channels]
        windows = [None if c.window is None else list(c.window) for c in channels]
        update = {"intensity": kinds, "window": windows}
        if len(channels) == 1:
            update = {"intensity": kinds[0], "window": windows[0]}
        return self.model_copy(update=update)


def _each(kinds: str | list[Kind]) -> list[str]:
    return [*kinds] if isinstance(kinds, list) else [kinds]


def _each_window(
    windows: list[float] | list[list[float] | None] | None,
) -> list[list[float] | None]:
    """The windows of the scans of a case; one that holds for all stands alone."""
    if windows is None:
        return [None]
    several = [part for part in windows if not isinstance(part, float)]
    return several or [[part for part in windows if isinstance(part, float)]]


def _pairs(
    kinds: list[str], windows: list[list[float] | None]
) -> list[tuple[str, list[float] | None]]:
    number = max(len(kinds), len(windows))
    kinds = kinds * number if len(kinds) == 1 else kinds
    windows = windows * number if len(windows) == 1 else windows
    return list(zip(kinds, windows, strict=True))


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """A run's whole configuration, also where it was written before there was this section.

    Such a run took bytes as they were, and found the window of any other scan in that scan.
    """
    return document if "volume" in document else document | {"volume": {"intensity": "each"}}


def _shown(numbers: list[Any]) -> str:
    return ",".join(f"{number:g}" for number in numbers)
