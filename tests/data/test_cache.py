"""The cache: by content, private, and rebuilt where it is damaged."""

import os

import numpy as np
import pytest

from lmttm.data.cache import Cache, clear, default_folder, folder_of, keys_of
from lmttm.data.parts import content_digest
from lmttm.data.preparation import Geometry, cut
from lmttm.data.scans import read
from lmttm.errors import InputError

GEOMETRY = Geometry((8, 8, 8))


@pytest.fixture
def entry(tmp_path):
    """A cache of one scan: the cache, and what it knows of the scan."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.integers(0, 900, (12, 10, 9)).astype(np.int16))
    cache = Cache(folder_of(str(tmp_path / "cache")))
    digest = content_digest(tmp_path / "a.npy")
    region = cut(read(tmp_path / "a.npy"), GEOMETRY)
    return cache, cache.put(keys_of([digest], GEOMETRY)[0], digest, region), region


def test_an_entry_comes_back(entry):
    cache, summary, region = entry
    assert cache.summary(summary.key) == summary
    assert summary.content == region.content
    assert np.array_equal(cache.values(summary), region.values)
    assert cache.summary("0" * 32) is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "text"])
def test_a_damaged_entry_is_none(entry, damage):
    cache, summary, _ = entry
    path = next(cache.folder.rglob("*.json" if damage == "text" else "*.npy"))
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:200])
    elif damage == "text":
        path.write_text("{}")
    else:
        content[-1] ^= 0x40
        path.write_bytes(content)
    known = cache.summary(summary.key)
    assert known is None or cache.values(known) is None


def test_volumes_are_made_once_and_again_where_damaged(entry):
    cache, _, _ = entry
    calls = []

    def fill(volumes):
        calls.append(1)
        volumes[:] = np.arange(24).reshape(2, 3, 2, 2)

    for _ in range(2):
        volumes, known = cache.volumes("k", (2, 3, 2, 2), fill)
        assert np.array_equal(volumes.ravel(), np.arange(24))
    assert len(calls) == 1
    known.put("digest", "of these")
    assert cache.volumes("k", (2, 3, 2, 2), fill)[1].get("digest") == "of these"
    path = cache.folder / "volumes-k.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))  # the clock of a file system may be coarse
    volumes, known = cache.volumes("k", (2, 3, 2, 2), fill)
    assert np.array_equal(volumes.ravel(), np.arange(24))
    assert len(calls) == 2
    assert known.get("digest") is None


@pytest.mark.parametrize(("shape", "kind"), [((3, 2), "uint8"), ((2, 3), "int16")])
def test_volumes_of_another_shape_or_type_are_made_anew(entry, shape, kind):
    cache, _, _ = entry
    cache.volumes("k", (2, 3), lambda volumes: volumes.fill(1))
    volumes, _ = cache.volumes("k", shape, lambda volumes: volumes.fill(2), kind)
    assert volumes.shape == shape
    assert volumes.dtype == np.dtype(kind)
    assert (volumes == 2).all()


def test_nobody_else_may_read_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = folder_of("auto")
    assert folder == default_folder() == tmp_path / "lmttm"
    assert folder.stat().st_mode & 0o077 == 0
    assert folder_of("off") not in (folder, folder_of("off"))


def test_clearing_removes_a_cache_and_nothing_else(entry, tmp_path):
    cache, _, _ = entry
    with pytest.raises(InputError, match="is not a cache of lmttm"):
        clear(str(tmp_path))
    assert clear(str(cache.folder)) > 0
    assert not cache.folder.exists()
    assert clear(str(cache.folder)) == 0


def test_a_scan_behind_another_has_an_entry_of_its_own():
    """Its region is that of the first one, so another first one is another entry."""
    alone = keys_of(["a"], GEOMETRY)
    assert keys_of(["a", "b"], GEOMETRY)[0] == alone[0]
    keys = {keys_of([first, "b"], GEOMETRY)[1] for first in "ac"} | set(keys_of(["b"], GEOMETRY))
    assert len(keys) == 3
    assert len({*keys_of(["a", "a"], GEOMETRY)}) == 2


def test_a_case_is_known_where_all_its_scans_are(entry):
    cache, summary, _ = entry
    assert cache.case([summary.key] * 2) == (summary, summary)
    assert cache.case([summary.key, "0" * 32]) is None
