"""Where what a user says of scans must agree with what a run was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lmttm.config.keys import differences
from lmttm.config.schema import Config
from lmttm.config.volume import Intensity, VolumeConfig
from lmttm.errors import InputError
from lmttm.runs.checkpoint import Checkpoint

_VALUES = ("volume.intensity", "volume.window")  # of each grey channel by itself


def agreed(member: Checkpoint, user: Config, keys: Sequence[str]) -> VolumeConfig | None:
    """How scans are prepared for a run, with what the user adds to what the training settled.

    What the training left open may be given: the place of a scan where each had its own, a
    window for scans that are no bytes where the training volumes were bytes, and everything for
    a run from before scans were prepared in one way.

    Args:
        member: The run.
        user: The configuration that the user wants.
        keys: The dotted keys that the user set.

    Returns:
        The section `volume`; None where it is the run's.

    Raises:
        InputError: A key contradicts the training.
    """
    trained = member.config.volume
    changed = differences(member.config, user)
    given = [key for key in keys if key.startswith("volume.") and key in changed]
    if not given:
        return None
    for key in given:
        if key not in _VALUES and not _open(key, member):
            was, now = changed[key]
            raise InputError(f"{key} was {was!r} when the run was trained, got {now!r}")
    places = {key.partition(".")[2]: changed[key][1] for key in given if key not in _VALUES}
    number = member.config.model.in_channels
    pairs = zip(trained.channels(number), user.volume.channels(number), strict=True)
    values = {key: changed[key] for key in given if key in _VALUES}
    channels = [_agreed_channel(*pair, values, member.knows_volume, number) for pair in pairs]
    return trained.model_copy(update=places).with_channels(channels)


def with_volume(member: Checkpoint, volume: VolumeConfig | None) -> Checkpoint:
    """A run with another section `volume`; as it is for None."""
    if volume is None:
        return member
    return replace(member, config=member.config.model_copy(update={"volume": volume}))


def _agreed_channel(
    was: Intensity,
    now: Intensity,
    values: Mapping[str, tuple[Any, Any]],
    knows_volume: bool,
    number: int,
) -> Intensity:
    """How the values of one grey channel become bytes, with what the user adds to it.

    Args:
        was: As the training settled it.
        now: As the user wants it.
        values: Those of `_VALUES` that the user set, with what they were in training.
        knows_volume: Whether the training knew a section `volume`.
        number: Of grey channels; where there are several, null leaves one as it is.
    """
    kind = now.kind if "volume.intensity" in values and now.kind != "auto" else was.kind
    window = now.window if "volume.window" in values else was.window
    if number > 1 and window is None:
        window = was.window
    if (kind, window) == (was.kind, was.window):
        return was
    if knows_volume and was.kind not in ("bytes", "each"):
        key = "volume.intensity" if kind != was.kind else "volume.window"
        before, wanted = values[key]
        raise InputError(f"{key} was {before!r} when the run was trained, got {wanted!r}")
    given = "volume.window" in values and window is not None
    return Intensity("window" if given else kind, window)


def _open(key: str, member: Checkpoint) -> bool:
    if not member.knows_volume:
        return True
    return bool(getattr(member.config.volume, key.partition(".")[2]) == "table")
