"""The header of a MetaImage: what it says of its voxels, and what nobody may mean by it."""

import pytest

from lmttm.data.metaimage import MetaImage, read_header


@pytest.fixture
def header(tmp_path):
    """Reads a header of `DimSize = 5 4 3` that says where its voxels lie."""

    def read(data, *fields, end="\n"):
        lines = ["ObjectType = Image", "DimSize = 5 4 3", *fields, f"ElementDataFile = {data}"]
        (tmp_path / "a.mhd").write_bytes(("\n".join(lines) + end).encode())
        return read_header(tmp_path / "a.mhd")

    return read


def names(found):
    return [file.name for file in found.files]


@pytest.mark.parametrize("data", ["LOCAL", "Local", "local"])
def test_voxels_behind_the_header(data, header, tmp_path):
    found = header(data, "CompressedData = True")
    size = (tmp_path / "a.mhd").stat().st_size
    assert found == MetaImage((tmp_path / "a.mhd",), 1, size, True)
    with (tmp_path / "a.mhd").open("ab") as file:
        file.write(b"\nElementDataFile = b.raw\n")  # bytes of voxels
    assert read_header(tmp_path / "a.mhd") == found


@pytest.mark.parametrize("end", ["\n", "\r\n", "", " \n"])
@pytest.mark.parametrize("name", ["a.raw", "b\u00f6sartig a.raw", "LISTED.raw", "50%d.raw"])
def test_voxels_in_a_file_of_their_own(name, end, header, tmp_path):
    """Guards against a name in UTF-8 read as Latin-1, and a last line that must have an end."""
    (tmp_path / name).touch()
    assert header(name, end=end) == MetaImage((tmp_path / name,), 1, 0, False)
    assert header(name, "HeaderSize = 80", "CompressedData = False").start == 80
    assert header(name, "HeaderSize = -1").start == 0


def test_a_list_of_files(header):
    """ITK leaves out a line without its end, and makes the voxels up."""
    found = header("LIST\ns0.raw\ns1.raw\ns2.raw\nno part of it")
    assert (names(found), found.number) == (["s0.raw", "s1.raw", "s2.raw"], 3)
    assert names(header("LIST 2D\ns0.raw\ns1.raw\ns2.raw")) == names(found)
    assert (found := header("LIST\ns0.raw\ns1.raw\ns2.raw", end="")).number == 3
    assert names(found) == ["s0.raw", "s1.raw"]
    assert header("LIST 1\nrow.raw").number == 12


def test_files_by_number(header):
    found = header("s%03d.raw 1 5 2")
    assert (names(found), found.number) == (["s001.raw", "s003.raw", "s005.raw"], 3)


@pytest.mark.parametrize(
    "data",
    ["s%03d.raw", "s%d.raw 0 3", "s%d.raw 0 3 0", "s%s%d.raw 0 3 1", "s%999999999d.raw 0 3 1"],
)
def test_patterns_that_no_reader_survives(data, header):
    """Guards against a division by 0 in ITK, which ends the process, and steps that never end."""
    assert header(data).files[0].name == data
    assert header(data).number == 1


@pytest.mark.parametrize("data", ["s%d.raw 0 999999999 1", "s%d.raw 5 1 1", "LIST\n" * 99])
def test_a_hostile_header_costs_no_memory(data, header):
    assert len(header(data, f"DimSize = {'9' * 5000} 9{'9' * 8} 99").files) <= 1 << 16


def test_a_file_without_a_header(tmp_path):
    for content in (b"", b"\n" * (1 << 20), bytes(range(256)) * 4096, b"ElementDataFile"):
        (tmp_path / "a.mha").write_bytes(content)
        assert read_header(tmp_path / "a.mha").files == ()
