"""Reads the cases of a set into the cache, in parallel, and volumes of bytes out of it."""

import contextlib
import hashlib
import json
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lmttm.config.schema import Config
from lmttm.config.volume import Intensity
from lmttm.data.alignment import cut_case
from lmttm.data.cache import Cache, Case, keys_of
from lmttm.data.cases import at_place, bytes_of
from lmttm.data.checking import SHOWN
from lmttm.data.intensity import intensities_of, notes_on
from lmttm.data.parts import content_digest, stamp_of
from lmttm.data.preparation import Geometry, Region, geometry_of
from lmttm.data.remembered import Remembered
from lmttm.data.scans import read
from lmttm.data.tables import Entry
from lmttm.errors import InputError
from lmttm.storage import write_text

log = logging.getLogger("lmttm")

_ALONE = 16  # scans that are not worth the start of further processes
_MOST_PROCESSES = 8


def summaries_of(entries: Sequence[Entry], geometry: Geometry, cache: Cache) -> list[Case | str]:
    """Prepares cases in parallel, those that the cache lacks.

    Args:
        entries: The cases.
        geometry: What to cut, but for places of their own.
        cache: Where they go.

    Returns:
        For each case what is known of its scans, or the message that says why it cannot be used.
    """
    known = _known_digests(cache)
    stamps = [[_stamp(path) for path in entry.paths] for entry in entries]
    result: list[Case | str | None] = []
    for entry, marks in zip(entries, stamps, strict=True):
        digests = [known[mark] for mark in marks if mark in known]
        whole = len(digests) == len(marks)
        result.append(cache.case(keys_of(digests, at_place(geometry, entry))) if whole else None)
    missing = [index for index, case in enumerate(result) if case is None]
    jobs = [
        (entries[i].paths, entries[i].place, at_place(geometry, entries[i]), cache.folder)
        for i in missing
    ]
    done = _in_parallel(jobs)
    bar = tqdm(
        zip(missing, done, strict=True),
        total=len(missing),
        desc="reading scans",
        unit="scan" if not entries or len(entries[0].paths) == 1 else "case",
        dynamic_ncols=True,
        disable=not (missing and sys.stderr.isatty()),
    )
    for index, case in bar:
        result[index] = case
        if not isinstance(case, str):
            pairs = zip(stamps[index], case, strict=True)
            known |= {mark: summary.digest for mark, summary in pairs if mark}
    if missing:
        write_text(cache.folder / "known.json", json.dumps(known))
    return [case for case in result if case is not None]


def _stamp(path: Path) -> str:
    """What tells whether the files of a scan are as they were; empty where they are missing."""
    try:
        return f"{path.resolve()} {stamp_of(path)}"
    except OSError:
        return ""


def digests_of(entries: Sequence[Entry], cache: Cache) -> list[str | None]:
    """The digest of each case's first scan, where its files are as the cache saw them, else None.

    No scan is read.
    """
    known = _known_digests(cache)
    return [known.get(_stamp(entry.paths[0])) for entry in entries]


def _known_digests(cache: Cache) -> dict[str, str]:
    """Digests by path and stamp, so that unchanged files are not read to know them."""
    try:
        known = json.loads((cache.folder / "known.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


_Job = tuple[tuple[Path, ...], str, Geometry, Path]


def _in_parallel(jobs: Sequence[_Job]) -> Iterator[Case | str]:
    from joblib import Parallel, cpu_count, delayed

    processes = min(cpu_count(), _MOST_PROCESSES, len(jobs))
    if len(jobs) < _ALONE or processes < 2:
        return map(prepare_one, jobs)
    with _interrupts_ignored():
        found: Iterator[Case | str] = Parallel(n_jobs=processes, return_as="generator")(
            delayed(prepare_one)(job) for job in jobs
        )
    return found


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes that start meanwhile ignore interrupts: the one that waits ends them, quietly."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def prepare_one(job: _Job) -> Case | str:
    """Prepares a case into a cache; the message where it cannot be used."""
    paths, place, geometry, folder = job
    cache = Cache(folder)
    names = " or ".join(map(str, paths))
    try:
        for path in paths:
            if not path.exists():
                raise InputError(f"{path} is not there")
        digests = [content_digest(path) for path in paths]
        keys = keys_of(digests, geometry)
        return cache.case(keys) or _into(cache, keys, digests, _regions(paths, geometry))
    except InputError as error:
        return f"{place}: {error}"
    except (OSError, MemoryError) as error:
        return f"{place}: {names} cannot be read: {error}"


def _regions(paths: Sequence[Path], geometry: Geometry) -> tuple[Region, ...]:
    return cut_case(map(read, paths), geometry, [str(path) for path in paths])


def _into(
    cache: Cache, keys: Sequence[str], digests: Sequence[str], regions: Sequence[Region]
) -> Case:
    return tuple(map(cache.put, keys, digests, regions))


def volumes_of(
    entries: Sequence[Entry], cases: Sequence[Case], config: Config, cache: Cache
) -> tuple[NDArray[np.uint8], Remembered]:
    """The bytes of cases, in one file of the cache.

    Args:
        entries: The cases.
        cases: What is known of each, by `summaries_of`.
        config: The configuration, with its section `volume` settled.
        cache: Where the scans lie, and where the file goes.

    Returns:
        `(N D H W)`, or `(N C D H W)` of several scans, memory-mapped, and what is remembered of
        the file.
    """
    geometry, intensities = geometry_of(config), intensities_of(config)
    keys = [summary.key for case in cases for summary in case]
    text = json.dumps([keys, *map(asdict, intensities)])
    key = hashlib.sha256(text.encode()).hexdigest()[:32]

    def fill(volumes: NDArray[np.uint8]) -> None:
        for volume, entry, case in zip(volumes, entries, cases, strict=True):
            volume[:] = _bytes(entry, case, at_place(geometry, entry), intensities, cache)

    unfit = [
        f"{name}: {note}"
        for entry, case in zip(entries, cases, strict=True)
        for name, summary, intensity in zip(entry.names, case, intensities, strict=True)
        for note in notes_on(summary.content, intensity)
    ]
    for sentence in unfit[:SHOWN]:
        log.warning("%s", sentence)
    return cache.volumes(key, (len(entries), *config.grey_shape), fill)


def _bytes(
    entry: Entry,
    case: Case,
    geometry: Geometry,
    intensities: Sequence[Intensity],
    cache: Cache,
) -> NDArray[np.uint8]:
    values = [cache.values(summary) for summary in case]
    regions = [
        Region(of_scan, summary.content)
        for of_scan, summary in zip(values, case, strict=True)
        if of_scan is not None
    ]
    if len(regions) < len(case):  # damaged: made anew
        regions = [*_regions(entry.paths, geometry)]
        _into(cache, [s.key for s in case], [s.digest for s in case], regions)
    return bytes_of(regions, intensities)[0]
