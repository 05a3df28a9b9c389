"""The header of an NRRD file: what it says of its voxels."""

import pytest

from lmttm.data.nrrd import Nrrd, read_header

HEADER = "NRRD0004\n# a comment\ntype: short\nkey:=data file: no\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_voxels_behind_the_header(end, tmp_path):
    path, text = tmp_path / "a.nrrd", (HEADER + "Encoding: GZIP\n\n").replace("\n", end).encode()
    path.write_bytes(text + b"data file: b.raw\n")  # bytes of voxels
    assert read_header(path) == Nrrd(path, len(text), 0, True)


@pytest.mark.parametrize("field", ["data file", "datafile", "Data File"])
@pytest.mark.parametrize("name", ["b.raw", "b\u00f6sartig 1.raw", "c:1.raw"])
def test_voxels_in_a_file_of_their_own(field, name, tmp_path):
    path = tmp_path / "a.nhdr"
    path.write_text(f"{HEADER}encoding: raw\nline skip: 3\n{field}: {name}", encoding="utf-8")
    assert read_header(path) == Nrrd(tmp_path / name, 0, 3, False)


@pytest.mark.parametrize("data", ["LIST\na.raw", "LIST 2\na.raw", "s%03d.raw 1 9 1"])
def test_voxels_in_several_files(data, tmp_path):
    path = tmp_path / "a.nhdr"
    path.write_text(f"{HEADER}encoding: gz\ndata file: {data}\n")
    assert read_header(path) == Nrrd(None, 0, 0, True)
    (tmp_path / "s%03d.raw 1 9 1").touch()  # a file that is there may be called so
    assert (read_header(path).file is None) == data.startswith("LIST")


def test_a_file_without_a_header(tmp_path):
    for content in (b"", b"\n", bytes(range(256)) * 8192, b"x" * (1 << 21)):
        (tmp_path / "a.nrrd").write_bytes(content)
        assert read_header(tmp_path / "a.nrrd").file == tmp_path / "a.nrrd"
