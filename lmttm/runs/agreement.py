"""Where what a user says of scans must agree with what a run was trained on."""

from collections.abc import Sequence

from lmttm.config.keys import differences
from lmttm.config.schema import Config
from lmttm.config.volume import VolumeConfig
from lmttm.errors import InputError
from lmttm.runs.checkpoint import Checkpoint

_VALUES = ("volume.intensity", "volume.window")


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
        was, now = changed[key]
        if now != "auto" and not _open(key, member):
            raise InputError(f"{key} was {was!r} when the run was trained, got {now!r}")
    update = {key.partition(".")[2]: changed[key][1] for key in given if changed[key][1] != "auto"}
    if update.get("window") is not None:
        update["intensity"] = "window"
    return trained.model_copy(update=update)


def _open(key: str, member: Checkpoint) -> bool:
    trained = member.config.volume
    if not member.knows_volume:
        return True
    if key in _VALUES:
        return trained.intensity in ("bytes", "each")
    return bool(getattr(trained, key.partition(".")[2]) == "table")
