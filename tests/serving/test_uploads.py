"""Uploads: a zip is unpacked within limits, and no name in it leads anywhere."""

import stat
import zipfile

import pytest

from lmttm.errors import InputError
from lmttm.serving import uploads


def zipped(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, **options)
    return path


def unpacked(tmp_path, archive, **options):
    folder = tmp_path / "out"
    folder.mkdir()
    uploads.unpack(archive, folder, **options)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("scan.nii.gz", ".nii.gz"),
        ("a b.NII", ".nii"),
        ("dr.who.zip", ".zip"),
        ("no_ending", ""),
        ("../../etc/passwd", ""),
        ("x.npy/../../y", ""),
        ("x.\x00npy", ""),
        ("<script>.npy", ".npy"),
        ("head.mask.nii", ".nii"),
        ("slice.IMA", ".ima"),
        ("1.2.840.113.17", ""),
    ],
)
def test_of_a_name_only_its_ending_is_kept(name, ending):
    assert uploads.ending_of(name) == ending


@pytest.mark.parametrize(
    "name", ["a.mhd", "a.MHA", "a.nhdr", "a.nrrd", "a.b.gipl.gz", "a.hdr", "a.mnc", "a.par"]
)
def test_a_format_that_may_name_other_files_is_refused(tmp_path, name):
    """Guards against a header that names a file of this computer as its voxels."""
    with pytest.raises(InputError, match="must be NIfTI, NumPy or DICOM"):
        uploads.ending_of(name)
    archive = zipped(tmp_path / "a.zip", {"a.dcm": b"", f"folder/{name}": b"x"})
    with pytest.raises(InputError, match="must be NIfTI, NumPy or DICOM"):
        unpacked(tmp_path, archive)


def test_files_are_numbered(tmp_path):
    members = {"a/1.dcm": b"one", "b/scan.nii.gz": b"two", "c/": b"", "c/noending": b"three"}
    found = unpacked(tmp_path, zipped(tmp_path / "a.zip", members))
    assert found == {"00000.dcm": b"one", "00001.nii.gz": b"two", "00002": b"three"}


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:\\evil", "C:evil"]
)
def test_a_name_that_leads_outside_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="leads outside"):
        unpacked(tmp_path, zipped(tmp_path / "a.zip", {name: b"x"}))
    assert not list((tmp_path / "out").iterdir())
    assert not (tmp_path / "evil").exists()


def test_a_link_is_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="a link"):
        unpacked(tmp_path, tmp_path / "a.zip")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    bomb = zipped(tmp_path / "a.zip", {"bomb": bytes(3_000_000)})
    assert bomb.stat().st_size < 10_000
    with pytest.raises(InputError, match="at most 1 MB"):
        unpacked(tmp_path, bomb, largest=2**20)
    assert not list((tmp_path / "out").iterdir())


def test_a_bomb_that_lies_about_its_size_is_stopped(tmp_path):
    """Guards against trust in the sizes that an archive claims."""
    bomb = zipped(tmp_path / "a.zip", {"bomb": bytes(5_000_000)})
    content = bomb.read_bytes()
    size = (5_000_000).to_bytes(4, "little")
    assert content.count(size) == 2
    bomb.write_bytes(content.replace(size, (1000).to_bytes(4, "little")))
    with pytest.raises(InputError, match=r"cannot be unpacked|at most"):
        unpacked(tmp_path, bomb, largest=2**20)
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= 2**21


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 and nothing"])
def test_what_is_no_zip_is_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpacked(tmp_path, tmp_path / "a.zip")


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_FILES", 3)
    archive = zipped(tmp_path / "a.zip", {str(number): b"" for number in range(4)})
    with pytest.raises(InputError, match="at most 3 files"):
        unpacked(tmp_path, archive)


def test_what_macos_adds_to_a_zip_is_no_slice(tmp_path):
    """Guards against a damaged slice for each slice: `._1.dcm` is no DICOM, whatever its ending."""
    members = {"a/1.dcm": b"one", "__MACOSX/a/._1.dcm": b"\0\5\x16\7", "a/.DS_Store": b"x"}
    found = unpacked(tmp_path, zipped(tmp_path / "a.zip", members))
    assert list(found.values()) == [b"one"]
    with pytest.raises(InputError, match="leads outside"):
        uploads.unpack(zipped(tmp_path / "b.zip", {"../.a": b"x", "../a": b"y"}), tmp_path)
