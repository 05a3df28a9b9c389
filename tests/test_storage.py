"""Files that appear whole or not at all, and their checksums."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from lmttm import storage
from lmttm.errors import InputError, RunError


def test_a_path_is_one_line_that_commands_nothing():
    """Guards against a file name that colours the terminal, or adds a row to a list."""
    for name, seen in {
        os.fsdecode(b"a\xff.nii"): "a\\xff.nii",
        "new\nline\t.nii": "new\\nline\\t.nii",
        "\x1b[31mred": "\\x1b[31mred",
        "Ünï 漢字 $x$ \\ 'q'": "Ünï 漢字 $x$ \\ 'q'",
    }.items():
        assert storage.printable(name) == seen


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    storage.write_text(path, "first")

    def broken():
        with storage.whole_file(path) as temporary:
            temporary.write_text("sec")
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        broken()
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
    storage.write_text(path, "grün")
    assert path.read_bytes() == "grün".encode()


def test_until_the_block_ends_the_former_file_stays(tmp_path):
    path = tmp_path / "a.txt"
    storage.write_text(path, "first")
    with storage.whole_file(path) as temporary:
        temporary.write_text("second")
        assert path.read_text() == "first"
        assert temporary.parent == tmp_path  # a rename across file systems would not be atomic
        assert storage.is_unfinished(temporary)
        assert not storage.is_unfinished(path)
    assert path.read_text() == "second"


def test_a_folder_that_is_not_there_is_the_users_fault(tmp_path):
    with pytest.raises(InputError, match=r"a\.txt cannot be written: No such file"):
        storage.write_text(tmp_path / "missing" / "a.txt", "x")


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, RunError), (errno.EIO, RunError), (errno.EROFS, InputError)],
)
def test_a_failed_write_is_one_message_and_leaves_nothing(tmp_path, monkeypatch, number, kind):
    def fails(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(RunError, match=os.strerror(number)) as caught:
        storage.write_text(tmp_path / "a.txt", "x")
    assert type(caught.value) is kind
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_follow_the_umask(tmp_path, umask):
    """Guards against private files in a folder that a group shares."""
    former = os.umask(umask)
    try:
        storage.write_text(tmp_path / "a.txt", "x")
        assert os.umask(umask) == umask
    finally:
        os.umask(former)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
@pytest.mark.parametrize("size", [0, 5, (1 << 20) + 1])
def test_digests_are_hashlibs(tmp_path, algorithm, size):
    """Also of a file longer than one chunk."""
    content = os.urandom(size)
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    assert storage.digest_of(path, algorithm) == hashlib.new(algorithm, content).hexdigest()


def test_a_path_is_shown_from_the_working_folder(tmp_path, monkeypatch):
    """Guards against `runs/demo` that is answered with a path from the root, as long as a line."""
    monkeypatch.chdir(tmp_path)
    assert storage.shown(tmp_path / "runs" / "a\nb") == "runs/a\\nb"
    assert storage.shown(Path("runs") / "demo") == "runs/demo"
    assert storage.shown(tmp_path.parent / "other") == str(tmp_path.parent / "other")


def test_a_title_names_the_last_part_of_a_path():
    names = {"/a/b/set/": "set", "my_set/": "my_set", "PhantomMNIST3D": "PhantomMNIST3D"}
    names |= {"C:\\x\\set": "set", "/": "/"}
    for name, last in names.items():
        assert storage.last_part(name) == last
