"""Prepared scans on disk: each is read once, whatever its name, and never by other users.

A scan is known by its content and its geometry; the folder holds patients' images. An entry is
written whole or not at all, and one that is damaged is made anew.
"""

import atexit
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmttm.data.content import Content
from lmttm.data.preparation import Geometry, Region
from lmttm.data.remembered import Remembered
from lmttm.errors import InputError
from lmttm.storage import whole_file, write_text

_FORMAT = 5  # raised where preparation changes what it makes of a scan
_NAME = "lmttm"


@dataclass(frozen=True)
class Summary:
    """What is known of a prepared scan without its voxels.

    Attributes:
        key: The name of its entry.
        digest: Of its files.
        pixels: Of its region: equal for one scan in two formats.
        content: Of its values.
        notes: What was repaired or is odd.
        edges: Voxels of the scan along D, H, W.
        spacing: Edges of its voxels, in mm.
    """

    key: str
    digest: str
    pixels: str
    content: Content
    notes: tuple[str, ...]
    edges: tuple[int, ...]
    spacing: tuple[float, ...]


Case = tuple[Summary, ...]  # of the scans of a case, in the order of the model's grey channels


def default_folder() -> Path:
    """Where caches of this user lie: `$XDG_CACHE_HOME/lmttm`, or `~/.cache/lmttm`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / _NAME


def folder_of(cache: str) -> Path:
    """The folder that the key `cache` names, made where it is missing.

    Args:
        cache: A path, `auto` for the default, or `off` for a folder that ends with the process.

    Raises:
        InputError: It cannot be made.
    """
    if cache == "off":
        folder = Path(tempfile.mkdtemp(prefix=f"{_NAME}-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder
    folder = default_folder() if cache == "auto" else Path(cache).expanduser()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            folder.chmod(0o700)
            write_text(folder / "README.txt", "Prepared scans of lmttm: patients' images.\n")
    except OSError as error:
        raise InputError(f"the cache {folder} cannot be made: {error.strerror}") from None
    return folder


def clear(cache: str) -> int:
    """Removes a cache; returns how many bytes that frees.

    Raises:
        InputError: The folder is no cache of this project.
    """
    folder = default_folder() if cache in ("auto", "off") else Path(cache).expanduser()
    if not folder.is_dir():
        return 0
    if not (folder / "README.txt").is_file():
        raise InputError(f"{folder} is not a cache of lmttm: it is left alone")
    freed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    shutil.rmtree(folder)
    return freed


def keys_of(digests: Sequence[str], geometry: Geometry) -> list[str]:
    """The names of the entries of a case's scans; the region of all is that of the first one.

    Args:
        digests: Of the scans.
        geometry: What is cut out of the first one.
    """
    whole = [[_FORMAT, digest, asdict(geometry)] for digest in digests]
    texts = [json.dumps([*parts, *digests[:1]] if n else parts) for n, parts in enumerate(whole)]
    return [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]


class Cache:
    """A folder of prepared scans."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def case(self, keys: Sequence[str]) -> Case | None:
        """What is known of the scans of a case; None where one is missing or damaged."""
        found = [self.summary(key) for key in keys]
        known = tuple(summary for summary in found if summary is not None)
        return known if len(known) == len(found) else None

    def summary(self, key: str) -> Summary | None:
        """What is known of an entry; None where there is none, or it is damaged."""
        try:
            document = json.loads(self._path(key, ".json").read_text(encoding="utf-8"))
            content = document.pop("content")
            for name in ("levels", "padding"):
                content[name] = tuple(content[name])
            for name in ("notes", "edges", "spacing"):
                document[name] = tuple(document[name])
            if not self._path(key, ".npy").is_file():
                return None
            return Summary(content=Content(**content), **document)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def values(self, summary: Summary) -> NDArray[Any] | None:
        """The region of an entry; None where it is damaged."""
        try:
            values: NDArray[Any] = np.load(self._path(summary.key, ".npy"), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return values if digest_of_array(values) == summary.pixels else None

    def put(self, key: str, digest: str, region: Region) -> Summary:
        """Stores a region."""
        summary = Summary(
            key=key,
            digest=digest,
            pixels=digest_of_array(region.values),
            content=region.content,
            notes=region.notes,
            edges=region.edges,
            spacing=region.spacing,
        )
        path = self._path(key, ".npy")
        path.parent.mkdir(exist_ok=True)
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.save(file, region.values)
        write_text(self._path(key, ".json"), json.dumps(asdict(summary)))
        return summary

    def volumes(
        self,
        key: str,
        shape: tuple[int, ...],
        fill: Callable[[NDArray[Any]], None],
        kind: str = "uint8",
    ) -> tuple[NDArray[Any], Remembered]:
        """Volumes in a file, which is not read to be opened.

        Args:
            key: Its name.
            shape: `(N D H W)` or `(N C D H W)`.
            fill: Writes them where they are missing, or the file is not as it was written.
            kind: The type of a voxel.

        Returns:
            The volumes, memory-mapped, and what is remembered of their file.
        """
        path = self.folder / f"volumes-{key}.npy"
        known = Remembered(path, path.with_suffix(".json"))
        if known.get("kept") and (found := _mapped(path, shape, kind)) is not None:
            return found, known
        with whole_file(path) as temporary:
            made = np.lib.format.open_memmap(temporary, "w+", np.dtype(kind), shape)
            fill(made)
            made.flush()
        known.put("kept", "yes")
        mapped = _mapped(path, shape, kind)
        if mapped is None:
            raise InputError(f"{path} cannot be read again")
        return mapped, known

    def _path(self, key: str, ending: str) -> Path:
        return self.folder / key[:2] / f"{key}{ending}"


def _mapped(path: Path, shape: tuple[int, ...], kind: str) -> NDArray[Any] | None:
    try:
        # Copied on write: a tensor must not point at memory that it may not write.
        found: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == np.dtype(kind) else None


def digest_of_array(values: NDArray[Any]) -> str:
    """A digest of what an array holds, whatever its type: equal numbers, equal digests."""
    plain = np.ascontiguousarray(values, dtype=np.float32)
    return hashlib.sha256(plain.tobytes()).hexdigest()[:32]
