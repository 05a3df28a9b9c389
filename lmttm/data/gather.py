"""Reads the scans of a set into the cache, in parallel, and volumes of bytes out of it."""

import hashlib
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lmttm.config.schema import Config
from lmttm.data.cache import Cache, Summary, key_of
from lmttm.data.checking import SHOWN
from lmttm.data.parts import content_digest, stamp_of
from lmttm.data.preparation import (
    Geometry,
    Intensity,
    Region,
    cut,
    geometry_of,
    intensity_of,
    notes_on,
    to_bytes,
)
from lmttm.data.remembered import Remembered
from lmttm.data.scans import read
from lmttm.data.tables import Entry
from lmttm.errors import InputError
from lmttm.storage import write_text

log = logging.getLogger("lmttm")

_ALONE = 16  # scans that are not worth the start of further processes
_MOST_PROCESSES = 8


def placed(geometry: Geometry, entry: Entry) -> Geometry:
    """The geometry for a scan whose table gives it a place of its own."""
    if entry.centre is not None:
        geometry = replace(geometry, centre=entry.centre)
    if entry.extent is not None:
        geometry = replace(geometry, extent=(entry.extent,) * 3)
    return geometry


def summaries_of(entries: Sequence[Entry], geometry: Geometry, cache: Cache) -> list[Summary | str]:
    """Prepares scans in parallel, those that the cache lacks.

    Args:
        entries: The scans.
        geometry: What to cut, but for places of their own.
        cache: Where they go.

    Returns:
        For each scan what is known of it, or the message that says why it cannot be used.
    """
    known = _known_digests(cache)
    stamps = [_stamp(entry) for entry in entries]
    result: list[Summary | str | None] = []
    for entry, stamp in zip(entries, stamps, strict=True):
        digest = known.get(stamp)
        key = key_of(digest, placed(geometry, entry)) if digest else ""
        result.append(cache.summary(key) if key else None)
    missing = [index for index, summary in enumerate(result) if summary is None]
    jobs = [
        (entries[i].path, entries[i].place, placed(geometry, entries[i]), cache.folder)
        for i in missing
    ]
    done = _in_parallel(jobs)
    bar = tqdm(
        zip(missing, done, strict=True),
        total=len(missing),
        desc="reading scans",
        unit="scan",
        dynamic_ncols=True,
        disable=not (missing and sys.stderr.isatty()),
    )
    for index, summary in bar:
        result[index] = summary
        if isinstance(summary, Summary) and stamps[index]:
            known[stamps[index]] = summary.digest
    if missing:
        write_text(cache.folder / "known.json", json.dumps(known))
    return [summary for summary in result if summary is not None]


def digests_of(entries: Sequence[Entry], cache: Cache) -> list[str | None]:
    """The digests of scans whose files are as the cache saw them; None of others. None is read."""
    known = _known_digests(cache)
    return [known.get(_stamp(entry)) for entry in entries]


def _stamp(entry: Entry) -> str:
    """What tells whether the files of a scan are as they were; empty where they are missing."""
    try:
        return f"{entry.path.resolve()} {stamp_of(entry.path)}"
    except OSError:
        return ""


def _known_digests(cache: Cache) -> dict[str, str]:
    """Digests by path and stamp, so that unchanged files are not read to know them."""
    try:
        known = json.loads((cache.folder / "known.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


_Job = tuple[Path, str, Geometry, Path]


def _in_parallel(jobs: Sequence[_Job]) -> Iterator[Summary | str]:
    from joblib import Parallel, cpu_count, delayed

    processes = min(cpu_count(), _MOST_PROCESSES, len(jobs))
    if len(jobs) < _ALONE or processes < 2:
        return map(prepare_one, jobs)
    found: Iterator[Summary | str] = Parallel(n_jobs=processes, return_as="generator")(
        delayed(prepare_one)(job) for job in jobs
    )
    return found


def prepare_one(job: _Job) -> Summary | str:
    """Prepares a scan into a cache; the message where it cannot be used."""
    path, place, geometry, folder = job
    cache = Cache(folder)
    try:
        if not path.exists():
            raise InputError(f"{path} is not there")
        digest = content_digest(path)
        key = key_of(digest, geometry)
        return cache.summary(key) or cache.put(key, digest, cut(read(path), geometry, str(path)))
    except InputError as error:
        return f"{place}: {error}"
    except (OSError, MemoryError) as error:
        return f"{place}: {path} cannot be read: {error}"


def volumes_of(
    entries: Sequence[Entry], summaries: Sequence[Summary], config: Config, cache: Cache
) -> tuple[NDArray[np.uint8], Remembered]:
    """The bytes of scans, in one file of the cache.

    Args:
        entries: The scans.
        summaries: Of each, by `summaries_of`.
        config: The configuration, with its section `volume` settled.
        cache: Where the scans lie, and where the file goes.

    Returns:
        `(N D H W)`, memory-mapped, and what is remembered of the file.
    """
    geometry, intensity = geometry_of(config), intensity_of(config)
    text = json.dumps([[s.key for s in summaries], asdict(intensity)])
    key = hashlib.sha256(text.encode()).hexdigest()[:32]

    def fill(volumes: NDArray[np.uint8]) -> None:
        for volume, entry, summary in zip(volumes, entries, summaries, strict=True):
            volume[:] = _bytes(entry, summary, placed(geometry, entry), intensity, cache)

    unfit = [
        f"{entry.name}: {note}"
        for entry, summary in zip(entries, summaries, strict=True)
        for note in notes_on(summary.content, intensity)
    ]
    for sentence in unfit[:SHOWN]:
        log.warning("%s", sentence)
    return cache.volumes(key, (len(entries), *geometry.shape), fill)


def _bytes(
    entry: Entry, summary: Summary, geometry: Geometry, intensity: Intensity, cache: Cache
) -> NDArray[np.uint8]:
    values = cache.values(summary)
    if values is None:  # damaged: made anew
        region = cut(read(entry.path), geometry, entry.name)
        cache.put(summary.key, summary.digest, region)
        return to_bytes(region, intensity)[0]
    return to_bytes(Region(values, summary.content), intensity)[0]
