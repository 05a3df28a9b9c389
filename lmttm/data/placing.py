"""Where the volumes of a split lie while a model takes them: on its device, or in a file."""

import hashlib
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from lmttm.config.schema import Config
from lmttm.data.cache import Cache, folder_of
from lmttm.data.chosen import in_parts
from lmttm.data.dataset import Split
from lmttm.data.distance import kind_of, shape_of, signed_squares
from lmttm.device import memory_of


def placed(split: Split, config: Config, device: torch.device) -> Split:
    """The split with its distance channel, where it can be taken from fastest.

    A split that takes more than `memory_share` of the device's memory stays on the host, and its
    distances go to a file of the cache. On the CPU volumes stay where they are in any case.

    Args:
        split: Its volumes are on the host.
        config: `distance_of`, `memory_share` and `cache` matter.
        device: Of the model.
    """
    masks = config.distance_of
    grey = torch.Size(split.images.shape).numel()
    squared = torch.Size(shape_of(split.images.shape, masks)).numel()
    each = torch.empty(0, dtype=kind_of(split.images.shape[-3:])).itemsize
    taken = (squared * each if masks else 0) + (0 if device.type == "cpu" else grey)
    fits = taken <= config.memory_share * memory_of(device)
    if masks:
        squares = signed_squares(split.images, masks) if fits else _in_a_file(split, config)
        split = replace(split, distances=squares)
    return split.to(device) if fits else split


def _in_a_file(split: Split, config: Config) -> Tensor:
    """The signed squares of the distances of a split's volumes, in a file of the cache."""
    shape = shape_of(split.images.shape, config.distance_of)
    kind = kind_of(shape[-3:])
    text = f"signed squares {kind} {split.digest()}"
    if split.num_grey > 1:
        text += f" of {config.distance_of}"
    key = hashlib.sha256(text.encode()).hexdigest()[:32]

    def fill(squares: NDArray[Any]) -> None:
        start = 0
        for part in in_parts(split.images):
            squares[start : start + len(part)] = signed_squares(part, config.distance_of).numpy()
            start += len(part)

    name = str(kind).removeprefix("torch.")
    file, _ = Cache(folder_of(config.cache)).volumes(key, shape, fill, name)
    return torch.from_numpy(file)
