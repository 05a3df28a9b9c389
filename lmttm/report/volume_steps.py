"""How a scan becomes the volume that a model sees, in sentences."""

from lmttm.config.schema import Config
from lmttm.config.volume import Intensity, VolumeConfig
from lmttm.data.tables import path_columns

_REGIONS = {
    "cube": "the largest centred box of {shape} voxels with equal edges",
    "pad": "the whole scan, padded with its least value to a box of {shape} voxels with equal "
    "edges",
    "stretch": "the whole scan, each axis fitted to {shape} voxels by itself",
}
_RESAMPLING = {
    "linear": "linear between voxels, smoothed against aliasing",
    "nearest": "the nearest voxel",
}
_INTENSITIES = {
    "auto": "settled by the training split",
    "masks": "of two values the smaller becomes 0, the larger 255",
    "bytes": "0 to 255 as they are; 0 to 1 times 255",
    "each": "bytes as they are; in other scans a window of their own becomes 0 to 255 (-160 to 240 "
    "HU in a CT, else the percentiles 0.5 and 99.5)",
}
_ALIGNMENT = (
    "a case is several scans, in the order {columns}, each of which becomes a channel; the region "
    "is that of the first, and the others are sampled at the same places in the patient"
)
_WINDOWS = {
    "hu": "Hounsfield units",
    "percentiles": "percentiles 0.5 and 99.5 of the whole training split",
    "window": "as configured, or the range of label maps",
}


def volume_steps(config: Config) -> dict[str, str]:
    """The steps of the section `volume`, by name and in order.

    Args:
        config: The configuration of a run.

    Returns:
        A sentence for each of orientation, region, resampling and intensity; of cases of several
        scans also one for their alignment, and one for the intensity of each.
    """
    volume, shape = config.volume, " x ".join(map(str, config.shape))
    steps = {
        "orientation": "RAS where the file knows it (x to the right, y to the front, z to the "
        f"head); D, H, W = {', '.join(volume.axes)}",
        "region": _region(volume, shape),
        "resampling": _RESAMPLING[volume.resampling],
    }
    intensities = [_intensity(c) for c in volume.channels(config.model.in_channels)]
    if len(intensities) == 1:
        return steps | {"intensity": intensities[0]}
    columns = path_columns(len(intensities))
    steps["alignment"] = _ALIGNMENT.format(columns=", ".join(columns))
    names = (f"intensity of {column}" for column in columns)
    return steps | dict(zip(names, intensities, strict=True))


def _region(volume: VolumeConfig, shape: str) -> str:
    text = _REGIONS[volume.region].format(shape=shape)
    if volume.extent == "table":
        text = f"{shape} voxels over the extent that the table gives for each scan"
    elif volume.extent is not None:
        edges = volume.extent if isinstance(volume.extent, list) else [volume.extent] * 3
        text = f"{shape} voxels over {' x '.join(f'{edge:g}' for edge in edges)} mm along D, H, W"
    if volume.centre == "table":
        text += ", around the place that the table gives for each scan"
    elif volume.centre is not None:
        at = ", ".join(f"{part:g}" for part in volume.centre)
        text += f", around {at} mm along D, H, W from the middle of the first voxel"
    return text


def _intensity(channel: Intensity) -> str:
    if channel.window is None or channel.kind not in _WINDOWS:
        return _INTENSITIES.get(channel.kind, channel.kind)
    low, high = channel.window
    source = _WINDOWS[channel.kind]
    return (
        f"{low:g} to {high:g} ({source}) become 0 to 255, what lies beyond 0 or 255; padding and "
        "NaN count as the least value"
    )
