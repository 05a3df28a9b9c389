"""Which files are DICOM images, and which should be."""

import shutil

import numpy as np
import pydicom
import pytest
from pydicom import uid

from lmttm.data.dicom_header import header_of, is_damaged
from lmttm.data.scans import read
from lmttm.errors import InputError
from tests.scanned import write_dicom


def test_series_in_sub_folders_and_files_that_are_no_images(tmp_path):
    """A folder of any depth is one series; reports and text files beside it are skipped."""
    flat = write_dicom(tmp_path / "flat")
    deep = tmp_path / "study" / "a" / "b"
    shutil.copytree(flat, deep)
    (tmp_path / "study" / "notes.txt").write_text("none")
    assert header_of(tmp_path / "study" / "notes.txt") is None
    for number, path in enumerate(sorted(deep.iterdir())[:4]):
        (tmp_path / "study" / str(number)).mkdir()
        path.rename(tmp_path / "study" / str(number) / "IM1")  # without the ending
    assert np.array_equal(read(tmp_path / "study").voxels, read(flat).voxels)


def _lowest(folder):
    """The slice at the end of a stack, which leaves no gap."""
    return min(folder.iterdir(), key=lambda path: pydicom.dcmread(path).ImagePositionPatient[2])


DAMAGES = {
    "empty": lambda whole: b"",
    "cut within the header": lambda whole: whole[:300],
    "cut within the preamble": lambda whole: whole[:100],
    "overwritten": lambda whole: np.random.default_rng(0).bytes(len(whole)),
    "zeros": lambda whole: bytes(len(whole)),
    "cut within the pixels": lambda whole: whole[:-3000],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_slice_is_named(damage, tmp_path):
    """Guards against a stack that is one slice shorter, without a word."""
    folder = write_dicom(tmp_path / "series")
    path = _lowest(folder)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(InputError, match=f"series.*{path.name}"):
        read(folder)


@pytest.mark.parametrize("name", ["IM{}", "MR.1.2.840.{}"])
def test_an_empty_slice_without_an_ending_is_named(name, tmp_path):
    folder = write_dicom(tmp_path / "series")
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / name.format(number))
    path = _lowest(folder)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=f"series has a damaged slice, .*: {path.name}"):
        read(folder)


def test_what_lies_beside_slices_is_not_damaged(tmp_path):
    """Reports, indices, pictures, hidden and text files are skipped."""
    folder = write_dicom(tmp_path / "series")
    plain = read(folder).voxels
    report = pydicom.dcmread(folder / "001.dcm")
    for name in ("Rows", "Columns", "PixelData"):
        delattr(report, name)
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = uid.BasicTextSRStorage
    report.save_as(folder / "report.dcm")
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
    report.save_as(folder / "DICOMDIR")
    (folder / "VERSION").write_text("1\n")
    (folder / "a.png").write_bytes(b"\x89PNG")
    (folder / "a.xml").write_bytes(b"")
    (folder / "DONE").write_bytes(b"")
    (folder / ".001.dcm").write_bytes(b"")
    assert np.array_equal(read(folder).voxels, plain)
    assert not is_damaged(folder / "report.dcm")
    assert header_of(folder / "DICOMDIR") is None


def test_a_text_that_is_called_dcm_is_no_image_and_brings_no_warning(tmp_path, caplog):
    """Guards against pydicom's "Expected implicit VR" above the error of a file that is none."""
    path = tmp_path / "a.dcm"
    path.write_text("# LMTTM: Linked Memory Token Turing Machine")
    assert header_of(path) is None
    assert not caplog.text
