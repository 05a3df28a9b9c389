"""What is remembered of a file: for as long as it stays, and no longer."""

import os

import pytest

from lmttm.data.remembered import Remembered, name_of


@pytest.fixture
def known(tmp_path):
    (tmp_path / "volumes.npy").write_bytes(b"12345")
    return Remembered(tmp_path / "volumes.npy", tmp_path / "notes.json")


def test_texts_come_back(known):
    assert known.get("digest") is None
    known.put("digest", "abc")
    known.put("other", "def")
    again = Remembered(known.file, known.notes)
    assert (again.get("digest"), again.get("other"), again.get("third")) == ("abc", "def", None)


@pytest.mark.parametrize("change", ["size", "time", "gone"])
def test_another_file_is_another(known, change):
    """Guards against the digest of a data set that was replaced."""
    known.put("digest", "abc")
    if change == "size":
        known.file.write_bytes(b"123456")
    elif change == "time":
        os.utime(known.file, ns=(0, 0))
    else:
        known.file.unlink()
    assert known.get("digest") is None


@pytest.mark.parametrize("notes", ["", "[]", '{"digest": "abc"}', '{"stamp": 3}'])
def test_damaged_notes_are_none(known, notes):
    known.notes.write_text(notes)
    assert known.get("digest") is None


def test_where_nothing_can_be_written_nothing_is_remembered(known, tmp_path):
    """Guards against a training that a read-only cache stops."""
    away = Remembered(known.file, tmp_path / "no such folder" / "notes.json")
    away.put("digest", "abc")
    assert away.get("digest") is None


def test_names_tell_paths_apart(tmp_path):
    assert name_of(tmp_path / "a") != name_of(tmp_path / "b")
    assert name_of(tmp_path / "a") == name_of(tmp_path / "b" / ".." / "a")
