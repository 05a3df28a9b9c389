"""The data sets that have a name: MedMNIST 3D, and the phantoms."""

from pathlib import Path
from typing import Protocol

import numpy as np

from lmttm.config.kinds import DATASETS, find
from lmttm.config.schema import Config
from lmttm.data import phantoms
from lmttm.data.download import fetch
from lmttm.data.labelled import Labelled, read_npz
from lmttm.data.tables import SPLITS
from lmttm.errors import InputError
from lmttm.storage import digest_of


class Source(Protocol):
    """What loads a data set with a name; `lmttm.config.kinds` lists them.

    Args:
        name: The name of the data set.
    """

    def __init__(self, name: str) -> None: ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""

    def is_local(self, config: Config) -> bool:
        """Whether `load` needs no download."""

    def load(self, config: Config) -> Labelled:
        """Loads the three splits, in the size and from the root that a configuration names."""


def source_of(dataset_name: str) -> Source:
    """What loads the data set of a name."""
    source: Source = find(DATASETS[dataset_name].source)(dataset_name)
    return source


class Phantoms:
    """PhantomMNIST3D, which is drawn on the spot; see `Source`."""

    def __init__(self, name: str) -> None:
        self.class_names = phantoms.CLASS_NAMES

    def is_local(self, config: Config) -> bool:
        """Always."""
        return True

    def load(self, config: Config) -> Labelled:
        """Draws the three splits."""
        drawn = {}
        for seed, split in enumerate(SPLITS):
            images, labels = phantoms.generate(phantoms.SPLITS[split], seed)
            drawn[split] = images, labels[:, 0].astype(np.int64)
        return drawn


class MedMNIST:
    """A data set of MedMNIST 3D, which is downloaded on first use; see `Source`."""

    def __init__(self, name: str) -> None:
        from medmnist import INFO  # brings pandas and scikit-learn along

        self.file_name = name.lower()
        self.info = INFO[self.file_name]
        names = self.info["label"]
        self.class_names = tuple(names[key] for key in sorted(names, key=int))

    def is_local(self, config: Config) -> bool:
        """Whether the file is there."""
        return self._path(config).exists()

    def _path(self, config: Config) -> Path:
        return Path(config.root) / f"{self.file_name}{_suffix(config)}.npz"

    def load(self, config: Config) -> Labelled:
        """Loads the official file, and holds it to its MD5."""
        suffix, path = _suffix(config), self._path(config)
        url, md5 = self.info[f"url{suffix}"], self.info[f"MD5{suffix}"]
        if not path.exists():
            fetch(url, path, md5)
        elif (got := digest_of(path, "md5")) != md5:
            raise InputError(
                f"{path} is damaged or altered: its MD5 is {got}, not {md5}; "
                f"delete it, and it is fetched again from {url}"
            )
        return read_npz(path, config.shape, self.info["n_samples"])


def _suffix(config: Config) -> str:
    """What MedMNIST adds to the names of its files of other sizes."""
    return "" if config.size == 28 else f"_{config.size}"
