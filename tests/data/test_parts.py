"""Which files make up a scan."""

import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK

from lmttm.data.cache import Cache
from lmttm.data.gather import summaries_of
from lmttm.data.parts import content_digest, files_of, stamp_of
from lmttm.data.preparation import Geometry
from lmttm.data.tables import Entry
from tests.scanned import write_dicom, write_nifti


def test_a_scan_is_known_by_its_content(tmp_path):
    """Names and the order of files do not matter; one changed byte does."""
    one = write_dicom(tmp_path / "one", spacing=(6.0, 6.0, 6.0))
    two = tmp_path / "two"
    (two / "deep").mkdir(parents=True)
    for number, path in enumerate(sorted(one.iterdir(), reverse=True)):
        shutil.copy(path, two / "deep" / f"IM{number}")
    assert content_digest(one) == content_digest(two)
    stamp = stamp_of(two)
    changed = two / "deep" / "IM0"
    changed.write_bytes(changed.read_bytes() + b"\0")
    assert content_digest(one) != content_digest(two)
    assert stamp_of(two) != stamp


def test_a_header_and_its_image_are_one_scan(tmp_path):
    (tmp_path / "a.hdr").write_bytes(b"1")
    (tmp_path / "a.img").write_bytes(b"2")
    before = content_digest(tmp_path / "a.hdr")
    assert before == content_digest(tmp_path / "a.img")
    (tmp_path / "a.img").write_bytes(b"3")
    assert content_digest(tmp_path / "a.hdr") != before


PAIRS = {
    "a.hdr": nibabel.Nifti1Pair,
    "a.hdr.gz": nibabel.Nifti1Pair,
    "a.HDR": nibabel.Nifti1Pair,
    "a.mhd": None,
    "a.nhdr": None,
}


@pytest.mark.parametrize("name", PAIRS)
def test_scans_of_one_patient_are_not_one_scan(name, tmp_path):
    """Guards against p1.1.img and p1.2.img taken for one scan, with the voxels of one."""
    rng, entries = np.random.default_rng(0), []
    for scan in ("p1.1", "p1.2"):
        path = tmp_path / name.lower().replace("a.", f"{scan}.")
        voxels = rng.integers(0, 900, (9, 9, 9)).astype(np.int16)
        if PAIRS[name]:
            write_nifti(path, voxels, kind=PAIRS[name])
        else:
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(path))
        if name.isupper():
            path = path.rename(path.with_suffix(".HDR"))
        assert len(files_of(path)) == 2
        entries.append(Entry((path,), (path.name,), "0", "train", "", ""))
    ((one,), (two,)) = summaries_of(entries, Geometry((9, 9, 9)), Cache(tmp_path))
    assert one.pixels != two.pixels


@pytest.mark.parametrize("header", ["mhd", "nhdr"])
def test_headers_that_differ_in_their_voxels_only_are_two_scans(header, tmp_path):
    """Guards against one header in many folders, each with its voxels, taken for one scan."""
    entries = []
    for patient in ("p1", "p2"):
        (tmp_path / patient).mkdir()
        path = tmp_path / patient / f"scan.{header}"
        voxels = np.random.default_rng(len(entries)).integers(0, 900, (9, 9, 9)).astype(np.int16)
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(path))
        raw = next(file for file in path.parent.iterdir() if file != path)
        raw.rename(path.parent / "voxels of it.dat")
        text = path.read_text(encoding="utf-8").replace(raw.name, "voxels of it.dat")
        path.write_text(text, encoding="utf-8")
        entries.append(Entry((path,), (path.name,), "0", "train", "", ""))
    assert entries[0].paths[0].read_bytes() == entries[1].paths[0].read_bytes()
    ((one,), (two,)) = summaries_of(entries, Geometry((9, 9, 9)), Cache(tmp_path))
    assert one.pixels != two.pixels
    before = stamp_of(entries[0].paths[0])
    voxels = tmp_path / "p1" / "voxels of it.dat"
    voxels.write_bytes(bytes(voxels.stat().st_size))
    assert stamp_of(entries[0].paths[0]) != before
    ((again,),) = summaries_of(entries[:1], Geometry((9, 9, 9)), Cache(tmp_path))
    assert again.pixels != one.pixels


def test_a_list_of_slices_belongs_to_its_header(tmp_path):
    slices = [tmp_path / f"s{number}.raw" for number in range(3)]
    for path in (*slices, tmp_path / "other.raw"):
        path.touch()
    names = "s0.raw\ns1.raw\ns2.raw\n"
    for text in (
        f"DimSize = 2 2 3\nElementDataFile = LIST\n{names}",
        "ElementDataFile = s%d.raw 0 2 1",
    ):
        (tmp_path / "a.mhd").write_text(text)
        assert files_of(tmp_path / "a.mhd") == [tmp_path / "a.mhd", *slices]
    (tmp_path / "a.nhdr").write_text("data file: LIST\ns0.raw\n")
    assert len(files_of(tmp_path / "a.nhdr")) == 6
    (tmp_path / "a.mha").write_bytes(b"ElementDataFile = LOCAL\n" + bytes(range(256)))
    assert files_of(tmp_path / "a.mha") == [tmp_path / "a.mha"]
