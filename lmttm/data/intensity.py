"""From the values of a region to bytes, in the way that the training split settled."""

import numpy as np
from numpy.typing import NDArray

from lmttm.config.schema import Config
from lmttm.config.volume import Intensity
from lmttm.data.content import HU_WINDOW, Content, percentile_window
from lmttm.data.preparation import Region


def intensities_of(config: Config, number: int | None = None) -> tuple[Intensity, ...]:
    """How a configuration makes bytes of each scan of a case; their own way where it is open.

    Args:
        config: The configuration.
        number: Scans of a case; None for as many as its model takes.

    Raises:
        InputError: The section `volume` is about another number of scans.
    """
    channels = config.volume.channels(number or config.model.in_channels)
    return tuple(channel.in_force for channel in channels)


def to_bytes(region: Region, intensity: Intensity) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Maps a region to bytes; step 5 of `lmttm.data.preparation`.

    Args:
        region: As `cut` gives it.
        intensity: As the training split settled it.

    Returns:
        `(D H W)` uint8, and the notes of the region, more where its values do not fit.
    """
    (low, high), notes = _window(region.content, intensity)
    values = region.values
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return np.ascontiguousarray(values), (*region.notes, *notes)
    scaled = (values.astype(np.float64) - low) / max(high - low, 1e-12)
    return np.rint(255 * scaled.clip(0, 1)).astype(np.uint8), (*region.notes, *notes)


def notes_on(content: Content, intensity: Intensity) -> tuple[str, ...]:
    """What is worth a warning where values of this content become bytes this way."""
    return _window(content, intensity)[1]


def _window(content: Content, intensity: Intensity) -> tuple[tuple[float, float], tuple[str, ...]]:
    if intensity.kind == "masks" and content.two_valued:
        if content.low == content.high:  # all background, or all shape
            return (content.low - 1, content.low) if content.low > 0 else (0.0, 1.0), ()
        return (content.low, content.high), ()
    if intensity.kind in ("masks", "bytes"):
        notes = ("it is no mask, as the training volumes are",) * (intensity.kind == "masks")
        if content.byte_window:
            return content.byte_window, notes
        low, high = own = _own_window(content)
        found = f"its values run from {content.low:g} to {content.high:g}, those in training "
        return own, (*notes, f"{found}from 0 to 255: mapped from {low:g} to {high:g}")
    if intensity.kind == "each":
        return _own_window(content), ()
    return intensity.window or HU_WINDOW, ()


def _own_window(content: Content) -> tuple[float, float]:
    """A window for a scan that has to speak for itself."""
    if content.is_labels and content.high > 1:
        return (0.0, content.high)
    if content.is_hounsfield and not content.byte_window:
        return HU_WINDOW
    return content.byte_window or percentile_window([content.levels])
