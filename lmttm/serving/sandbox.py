"""Reads a scan in a process of its own, with limits of time and memory.

The decoders of medical formats are native code: a broken file may crash them, or make them ask
for all memory. What comes back is plain numbers, never a pickle.
"""

import contextlib
import json
import multiprocessing
import struct
from collections.abc import Sequence
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from lmttm.config.volume import Intensity
from lmttm.data.placement import Placement, Prepared, prepared
from lmttm.data.preparation import Geometry
from lmttm.data.scan import Grid
from lmttm.data.scans import find_scans
from lmttm.errors import InputError, one_line

SECONDS = 60
MEMORY = 4 * 2**30
_LONGEST = 2**28  # bytes of an answer


@cache
def _processes() -> Any:
    """Processes that are forked from one that has read these modules, and no upload."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def read_apart(
    path: Path,
    geometry: Geometry,
    intensities: Sequence[Intensity],
    *,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Prepared:
    """Reads and prepares a scan in another process.

    Args:
        path: A file, or a folder that holds one scan.
        geometry: What is cut out of it.
        intensities: How its values become bytes.
        seconds: How long that may take.
        memory: Bytes that it may take.

    Returns:
        The prepared scan.

    Raises:
        InputError: The scan cannot be used, or the process crashed or broke a limit.
    """
    ours, theirs = _processes().Pipe(duplex=False)
    process = _processes().Process(
        target=_work, args=(theirs, path, geometry, intensities, seconds, memory), daemon=True
    )
    process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise InputError(f"it took more than {seconds:g} s to read")
        return _unpacked(ours.recv_bytes(_LONGEST))
    except (EOFError, OSError):
        raise InputError("its reader crashed or took too much memory") from None
    finally:
        ours.close()
        process.kill()
        process.join()
        process.close()


def _work(
    answer: Connection,
    path: Path,
    geometry: Geometry,
    intensities: Sequence[Intensity],
    seconds: float,
    memory: int,
) -> None:
    _limit(seconds, memory)
    try:
        scans = find_scans(path)
        if len(scans) != 1:
            raise InputError(f"it must hold one scan, got {len(scans)}")
        content = _packed(prepared(scans, geometry, intensities))
    except MemoryError:
        content = _failure("it takes too much memory to read")
    except InputError as error:
        content = _failure(str(error).replace(str(path), "the upload"))
    except Exception as error:
        content = _failure(one_line(error))
    with contextlib.suppress(OSError):  # nobody waits any more
        answer.send_bytes(content)


def _limit(seconds: float, memory: int) -> None:
    """Sets the limits of this process, where the system has them."""
    try:
        import resource
    except ImportError:  # Windows
        return
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        used = 0
    cpu = int(seconds) + 1
    for kind, limit in (
        (resource.RLIMIT_AS, used + memory),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))


def _failure(text: str) -> bytes:
    return _framed({"error": text}, b"")


def _framed(head: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(head).encode()
    return struct.pack("<I", len(text)) + text + body


def _packed(scan: Prepared) -> bytes:
    place = scan.place
    head = {
        "shape": scan.volume.shape,
        "notes": scan.notes,
        "source": place.source.shape,
        "affine": place.source.affine.tolist(),
        "to_prepared": place.to_prepared.tolist(),
    }
    return _framed(head, scan.volume.tobytes())


def _unpacked(content: bytes) -> Prepared:
    (length,) = struct.unpack_from("<I", content)
    head = json.loads(content[4 : 4 + length])
    if "error" in head:
        raise InputError(head["error"])
    volume = np.frombuffer(content[4 + length :], np.uint8).reshape(head["shape"])
    grid = Grid(tuple(head["source"]), np.array(head["affine"]))
    return Prepared(
        volume.copy(), tuple(head["notes"]), Placement(grid, np.array(head["to_prepared"]))
    )
