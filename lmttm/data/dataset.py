"""Splits of labelled volumes, and the batches that a model takes of them."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmttm.config.schema import Config
from lmttm.config.volume import VolumeConfig
from lmttm.data.chosen import Images, grey_values, in_parts, some
from lmttm.data.distance import distances_of, signed_squares
from lmttm.data.remembered import Remembered
from lmttm.errors import InputError


@dataclass(frozen=True)
class Split:
    """One split of a data set, in file order.

    Attributes:
        name: train, val or test.
        images: `(N D H W)` uint8, or `(N C D H W)` of C grey channels where there are several;
            they may lie in a file that is larger than memory.
        labels: `(N)` int64, from 0 to the number of classes less 1.
        distances: `(N D H W)`, the signed squares of the distances to the surface of a shape
            mask (`signed_squares`), or `(N M D H W)` of those M grey channels that are masks; None
            where the model does not see them.
        paths: Of the cases, as their table spells them; None where the volumes have no files.
        patients: Likewise, empty where the table does not say; None where it says of none.
        known: What is remembered of the file of the volumes; None where they have none.
    """

    name: str
    images: Images
    labels: Tensor
    distances: Tensor | None = None
    paths: tuple[str, ...] | None = None
    patients: tuple[str, ...] | None = None
    known: Remembered | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_grey(self) -> int:
        """Grey channels of a volume."""
        return 1 if len(self.images.shape) == 4 else self.images.shape[1]

    def __getitem__(self, chosen: slice) -> "Split":
        """Some of the volumes in a row, not copied."""
        distances = None if self.distances is None else self.distances[chosen]
        return Split(self.name, some(self.images, chosen), self.labels[chosen], distances)

    def to(self, device: torch.device) -> "Split":
        """The same split with its tensors on a device."""
        distances = None if self.distances is None else self.distances.to(device)
        return replace(
            self,
            images=self.images.to(device),
            labels=self.labels.to(device),
            distances=distances,
        )

    def inputs(self, chosen: Tensor | slice) -> Tensor:
        """What the model takes for some of the volumes, `(b c D H W)`; see `prepare`."""
        distances = None if self.distances is None else self.distances[chosen]
        return stack(self.images[chosen], distances)

    def counts(self, num_classes: int) -> Tensor:
        """Volumes of each class `(classes)`."""
        return self.labels.bincount(minlength=num_classes)

    def class_weights(self, num_classes: int) -> Tensor:
        """Weights `(classes)` by which each class that occurs weighs the same in a loss.

        They are 1 on average over the volumes, and 0 for a class without volumes.
        """
        counts = self.counts(num_classes)
        return torch.where(counts > 0, len(self) / ((counts > 0).sum() * counts.clamp(min=1)), 0.0)

    def digest(self) -> str:
        """The first 32 digits of the SHA-256 of all volumes and labels.

        Of volumes in a file it is computed once, and again where the file was replaced.
        """
        labels = self.labels.cpu().numpy().tobytes()

        def computed() -> str:
            digest = hashlib.sha256(str(tuple(self.images.shape)).encode())
            for part in in_parts(self.images):
                digest.update(part.cpu().contiguous().numpy().tobytes())
            digest.update(labels)
            return digest.hexdigest()[:32]

        name = f"digest with labels {hashlib.sha256(labels).hexdigest()}"
        found: str = self.remembered(name, computed)
        return found

    def grey_values(self, channel: int = 0) -> set[int]:
        """The grey values of a channel, or the first few of them where there are more than two."""
        name = f"grey values {channel}" if channel else "grey values"
        return set(self.remembered(name, lambda: sorted(grey_values(self.images, channel))))

    def remembered(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` computes of the volumes; of those in a file it is computed once.

        Args:
            name: What it is.
            make: Gives what JSON can hold.
        """
        if self.known is None:
            return make()
        if (text := self.known.get(name)) is not None:
            return json.loads(text)
        found = make()
        self.known.put(name, json.dumps(found))
        return found

    def majority_rate(self) -> float:
        """Share of the most frequent class: what a constant answer scores."""
        return self.labels.bincount().max().item() / len(self)


@dataclass(frozen=True)
class Dataset:
    """A data set: its name, the names of its classes, and its splits by name.

    `volume` says how its scans became bytes, settled on the training split.
    """

    name: str
    class_names: tuple[str, ...]
    splits: dict[str, Split]
    volume: VolumeConfig | None = None

    @property
    def num_grey(self) -> int:
        """Grey channels of a volume: the scans of a case."""
        return next(iter(self.splits.values())).num_grey

    def digest(self) -> str:
        """The content of each split, such as `test:c0ffee... train:...`, to notice another one."""
        return " ".join(f"{name}:{split.digest()}" for name, split in sorted(self.splits.items()))


def with_grey(config: Config, number: int, name: str) -> Config:
    """The configuration with the number of grey channels that a data set has.

    Args:
        config: Where `model.in_channels` is 1, the data set decides.
        number: The number.
        name: Of the data set.

    Raises:
        InputError: The configuration is about another number.
    """
    if config.model.in_channels not in (1, number):
        raise InputError(
            f"model.in_channels must be {number} for {name}, got {config.model.in_channels}"
        )
    config.volume.channels(number)
    model = config.model.model_copy(update={"in_channels": number})
    return config.model_copy(update={"model": model})


def prepare(volumes: np.ndarray | Tensor, config: Config) -> Tensor:
    """Makes of stored volumes what the model takes.

    Args:
        volumes: `(b D H W)` uint8, or `(b C D H W)` of several grey channels: each of the shape
            `config.grey_shape`.
        config: The configuration of the model.

    Returns:
        `(b c D H W)` float32 on the device of the volumes: intensities in [0, 1] and, with
        `distance=on`, behind them the signed distances to the surfaces of masks in longest edges
        of the volume.

    Raises:
        InputError: Another type or shape.
    """
    volumes = torch.as_tensor(volumes)
    if volumes.dtype != torch.uint8 or tuple(volumes.shape[1:]) != config.grey_shape:
        raise InputError(
            f"volumes must be uint8 of shape (b, {', '.join(map(str, config.grey_shape))}), "
            f"got {str(volumes.dtype).removeprefix('torch.')} of shape {tuple(volumes.shape)}"
        )
    squares = None
    if config.distance_of:
        squares = signed_squares(volumes, config.distance_of).to(volumes.device)
    return stack(volumes, squares)


def stack(volumes: Tensor, squares: Tensor | None) -> Tensor:
    """What a model takes `(b c D H W)`: the grey channels, and behind them the distances.

    Args:
        volumes: Bytes `(b D H W)`, or `(b C D H W)` of several grey channels.
        squares: Signed squares of distances, likewise; None for no distances.
    """
    channels = [with_channels(volumes).float() / 255]
    if squares is not None:
        channels.append(distances_of(with_channels(squares)))
    return torch.cat(channels, dim=1)


def with_channels(volumes: Tensor) -> Tensor:
    """Volumes `(b C D H W)`, where those of one channel have no axis for it."""
    return volumes.unsqueeze(1) if volumes.ndim == 4 else volumes


def batches(
    num_volumes: int, batch_size: int, generator: torch.Generator | None = None
) -> Iterator[Tensor]:
    """Cuts a split into batches of indices; the last one may be smaller.

    Args:
        num_volumes: Volumes of the split.
        batch_size: Volumes of a batch.
        generator: Shuffles with it; without one the order is the file's.

    Yields:
        Index tensors, int64; together they hold each volume once.
    """
    if generator is None:
        order = torch.arange(num_volumes)
    else:
        order = torch.randperm(num_volumes, generator=generator)
    yield from order.split(batch_size)
