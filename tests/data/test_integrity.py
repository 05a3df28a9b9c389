"""Damaged files: each is refused, and none gives other voxels without a word."""

import gzip
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from lmttm.data.integrity import check_gzip, check_metaimage, check_nrrd, check_size
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


@pytest.mark.parametrize("kept", [lambda size: size * 2 // 3, lambda size: size - 1])
@pytest.mark.parametrize(
    ("name", "compressed"), [(n, True) for n in COMPRESSED] + [(n, False) for n in PLAIN]
)
def test_a_scan_that_is_cut_short_is_refused(name, compressed, kept, tmp_path):
    """Guards against the lost part being filled with zeros, or with nothing.

    Also where it is shorter than the header, whose bytes were counted as voxels.
    """
    path, file = written(tmp_path, name, compressed)
    file.write_bytes(file.read_bytes()[: kept(file.stat().st_size)])
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


@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr"])
def test_no_bit_of_a_compressed_nrrd_file_may_change(name, tmp_path):
    """Guards against other voxels at one bit in twenty: teem does not read the checksum always."""
    path = tmp_path / name
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VOXELS), str(path), True)
    file = path if name == "a.nrrd" else tmp_path / "a.raw.gz"
    content = file.read_bytes()
    whole = read(path).voxels
    rng = np.random.default_rng(0)
    for at in rng.integers(len(content) - 9000, len(content), 60):
        changed = bytearray(content)
        changed[at] ^= 1 << int(rng.integers(8))
        file.write_bytes(changed)
        with pytest.raises(InputError, match=re.escape(str(path))):
            read(path)
    file.write_bytes(content)
    assert np.array_equal(read(path).voxels, whole)


def test_a_compressed_nrrd_file_that_names_others(tmp_path):
    path = tmp_path / "a.nhdr"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VOXELS), str(path), True)
    text, file = path.read_text(encoding="utf-8"), tmp_path / "a.raw.gz"
    whole = read(path).voxels
    file.write_bytes(b"two\nlines\n" + file.read_bytes())
    path.write_text(text.replace("data file", "line skip: 2\ndata file"), encoding="utf-8")
    assert np.array_equal(read(path).voxels, whole)
    path.write_text(text.replace("a.raw.gz", "LIST\na.raw.gz"), encoding="utf-8")
    with pytest.raises(InputError, match="must have its compressed voxels in one file"):
        check_nrrd(path)
    path.write_text(text.replace("a.raw.gz", "b.raw.gz"), encoding="utf-8")
    with pytest.raises(InputError, match=r"names the file b\.raw\.gz, which is not there"):
        check_nrrd(path)


@pytest.mark.parametrize("form", ["list", "pattern"])
def test_a_metaimage_of_many_files_is_whole_or_refused(form, tmp_path):
    """Guards against slices that ITK makes up, without a word, where a file of them is missing."""
    path, file = written(tmp_path, "a.mhd", False)
    whole = read(path).voxels
    slices = [tmp_path / f"s{number:02d}.raw" for number in range(len(VOXELS))]
    for part, of_slice in zip(slices, VOXELS, strict=True):
        part.write_bytes(of_slice.tobytes())
    listed = "".join(f"{part.name}\n" for part in slices)
    text = path.read_text(encoding="utf-8").replace("a.raw\n", "{}\n")
    data = f"LIST\n{listed}".rstrip() if form == "list" else "s%02d.raw 0 19 1"
    path.write_text(text.format(data), encoding="utf-8")
    file.unlink()
    assert np.array_equal(read(path).voxels, whole)
    content = slices[7].read_bytes()
    slices[7].write_bytes(content[:-1])
    with pytest.raises(InputError, match=r"s07\.raw is cut short"):
        read(path)
    slices[7].unlink()
    with pytest.raises(InputError, match=r"a\.mhd names the file s07\.raw, which is not there"):
        read(path)
    slices[7].write_bytes(content)
    if form == "list":
        path.write_text(text.format(f"LIST\n{listed}").rstrip(), encoding="utf-8")
        with pytest.raises(InputError, match=r"names 19 of the 20 files of its voxels"):
            read(path)
    compressed = text.format(data).replace("CompressedData = False", "CompressedData = True")
    path.write_text(compressed, encoding="utf-8")
    with pytest.raises(InputError, match=r"must have its compressed voxels in one file, got 20"):
        check_metaimage(path, 1)


def test_the_name_of_a_file_of_voxels_is_in_utf_8(tmp_path):
    """Guards against "is not there" for a file that is."""
    path, file = written(tmp_path, "a.mhd", False)
    whole = read(path).voxels
    file.rename(tmp_path / "b\u00f6sartig.raw")
    path.write_text(path.read_text().rstrip().replace("a.raw", "b\u00f6sartig.raw"), "utf-8")
    assert np.array_equal(read(path).voxels, whole)


def test_the_voxels_of_a_metaimage_may_lie_anywhere(tmp_path):
    path, file = written(tmp_path, "a.mhd", False)
    text = path.read_text(encoding="utf-8")
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
