"""Damaged files: each is refused, and none gives other voxels without a word."""

import gzip
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from lmttm.data.integrity import check_gzip, check_metaimage, check_size
from lmttm.data.scans import read
from lmttm.errors import InputError
from tests.scanned import write_nifti

VOXELS = np.random.default_rng(0).integers(0, 999, (20, 21, 22)).astype(np.int16)
COMPRESSED = ("a.nii.gz", "a.img.gz", "a.mgz", "a.mha", "a.mhd", "a.nrrd", "a.gipl.gz", "a.npz")
PLAIN = ("a.nii", "a.mha", "a.mhd", "a.nrrd", "a.gipl", "a.vtk", "a.tif", "a.npy")


def written(folder, name, compressed):
    """A scan in a file, and the file that holds its voxels."""
    path = folder / name
    if name.endswith(".mgz"):
        nibabel.save(nibabel.MGHImage(VOXELS, np.eye(4)), path)
    elif ".nii" in name or ".img" in name:
        write_nifti(path, VOXELS, kind=nibabel.Nifti1Image if "nii" in name else nibabel.Nifti1Pair)
    elif name.endswith((".npy", ".npz")):
        (np.save if name.endswith("y") else np.savez_compressed)(path, VOXELS)
    else:
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VOXELS), str(path), compressed)
    pairs = {".zraw": ".mhd", ".raw": ".mhd"}
    return path, next((path.with_suffix(s) for s in pairs if path.with_suffix(s).is_file()), path)


def test_a_changed_byte_of_a_compressed_afni_file_is_refused(tmp_path):
    shipped = Path(nibabel.__file__).parent / "tests/data/scaled+tlrc.BRIK"
    shutil.copy(shipped.with_suffix(".HEAD"), tmp_path)
    head, file = tmp_path / "scaled+tlrc.HEAD", tmp_path / f"{shipped.name}.gz"
    file.write_bytes(gzip.compress(shipped.read_bytes()))
    read(head)
    changed = bytearray(file.read_bytes())
    changed[-6] ^= 0x55  # of the checksum
    file.write_bytes(changed)
    with pytest.raises(InputError, match=r"scaled\+tlrc.HEAD cannot be read"):
        read(head)


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_changed_byte_of_a_compressed_scan_is_refused(name, share, tmp_path):
    """Guards against voxels from -8400 to 32160 out of a file of 0 to 998, without a word."""
    path, file = written(tmp_path, name, True)
    whole = file.read_bytes()
    read(path)
    changed = bytearray(whole)
    changed[int(share * len(whole))] ^= 0x55
    file.write_bytes(changed)
    with pytest.raises(InputError, match=r"a\.\w+"):
        read(path)


@pytest.mark.parametrize(
    ("name", "compressed"), [(n, True) for n in COMPRESSED] + [(n, False) for n in PLAIN]
)
def test_a_scan_that_is_cut_short_is_refused(name, compressed, tmp_path):
    """Guards against the lost part being filled with zeros, or with nothing."""
    path, file = written(tmp_path, name, compressed)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "No such file" not in str(caught.value)


@pytest.mark.parametrize("behind", [b"junk", b"\x1f\x8b"])
def test_what_is_behind_a_compressed_scan_is_no_part_of_it(behind, tmp_path):
    """Guards against two halves of two downloads in one file; blocks of zeros are padding."""
    path = write_nifti(tmp_path / "a.nii.gz", VOXELS)
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(512))
    assert np.array_equal(read(path).voxels, VOXELS)
    path.write_bytes(whole + behind)
    with pytest.raises(InputError, match="cannot be read as a volume"):
        read(path)
    with pytest.raises((OSError, EOFError)):
        check_gzip(path)


def test_the_voxels_of_a_metaimage_may_lie_anywhere(tmp_path):
    path, file = written(tmp_path, "a.mhd", False)
    text = path.read_text(encoding="utf-8")
    for other in ("LIST\na.raw", "slice%03d.raw 1 22 1"):  # for ITK to find
        path.write_text(text.replace("a.raw", other), encoding="utf-8")
        check_metaimage(path, 1)
    path.write_text(text.replace("ElementDataFile", "elementdatafile"), encoding="utf-8")
    check_metaimage(path, file.stat().st_size)
    with pytest.raises(InputError, match="is cut short"):
        check_metaimage(path, file.stat().st_size + 1)
    file.unlink()
    with pytest.raises(InputError, match=r"a\.mhd names the file a\.raw, which is not there"):
        check_metaimage(path, 1)


def test_a_text_of_numbers_may_be_shorter_than_its_voxels(tmp_path):
    """A VTK file that spells its voxels out is measured by its reader."""
    spelt = " ".join(["0"] * 27)
    head = "# vtk DataFile Version 3.0\nt\nASCII\nDATASET STRUCTURED_POINTS\nDIMENSIONS 3 3 3\n"
    grid = "SPACING 1 1 1\nORIGIN 0 0 0\nPOINT_DATA 27\nSCALARS s double 1\nLOOKUP_TABLE default\n"
    path = tmp_path / "a.vtk"
    path.write_text(f"{head}{grid}{spelt}\n", encoding="utf-8")
    assert read(path).voxels.shape == (3, 3, 3)
    with pytest.raises(InputError, match=r"is cut short: \d+ bytes for 100000 bytes"):
        check_size(path, 100_000)
