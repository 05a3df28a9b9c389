"""What the stored pixels of DICOM files mean, in every form of storage."""

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.uid import generate_uid

from lmttm.data.content import content_of
from lmttm.data.scans import read
from lmttm.errors import InputError
from tests.scanned import (
    enhanced,
    grid,
    real_file,
    sampled,
    with_geometry,
    write_dicom,
    write_volume,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def test_dark_is_bright_in_monochrome1(tmp_path):
    """Guards against an inverted picture, signed and unsigned; a CT keeps its units."""
    plain = read(write_dicom(tmp_path / "plain", slope=1, offset=0)).voxels.astype(int)

    def inverted(number, one):
        one.PhotometricInterpretation = "MONOCHROME1"
        stored = np.frombuffer(one.PixelData, np.int16)
        one.PixelData = (-1 - stored).astype(np.int16).tobytes()

    def unsigned(number, one):
        one.PhotometricInterpretation, one.PixelRepresentation = "MONOCHROME1", 0
        one.BitsStored, one.HighBit = 12, 11
        stored = np.frombuffer(one.PixelData, np.int16)
        one.PixelData = (4095 - stored).astype(np.uint16).tobytes()

    for name, change in (("signed", inverted), ("unsigned", unsigned)):
        got = read(write_dicom(tmp_path / name, slope=1, offset=0, change=change))
        assert np.array_equal(got.voxels, plain), name

    def dark(number, one):
        one.PhotometricInterpretation = "MONOCHROME1"

    ct = write_dicom(tmp_path / "ct", modality="CT", slope=1, offset=0, change=dark)
    assert np.array_equal(read(ct).voxels, plain)


def test_the_modality_lut_is_applied(tmp_path):
    """Guards against stored numbers taken for values where a table says what they mean."""

    def looked_up(number, one):
        del one.RescaleSlope, one.RescaleIntercept
        table = Dataset()
        table.LUTDescriptor = [2000, 0, 16]
        table.ModalityLUTType = "US"
        table.LUTData = (np.arange(2000) * 3 + 7).astype(np.uint16).tolist()
        table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
        one.ModalityLUTSequence = [table]

    plain = read(write_dicom(tmp_path / "plain", slope=1, offset=0)).voxels
    got = read(write_dicom(tmp_path / "table", slope=1, offset=0, change=looked_up)).voxels
    assert np.array_equal(got, 3 * plain.astype(int) + 7)


def test_each_slice_has_its_own_slope(tmp_path):
    """A PET stores each slice with a slope of its own."""

    def own(number, one):
        one.RescaleSlope = 0.5 + number / 8
        stored = np.frombuffer(one.PixelData, np.int16) / (0.5 + number / 8)
        one.PixelData = np.rint(stored).astype(np.int16).tobytes()

    plain = read(write_dicom(tmp_path / "plain", slope=1, offset=0)).voxels
    got = read(write_dicom(tmp_path / "pet", slope=1, offset=0, change=own)).voxels
    assert abs(got - plain).max() < 3


def test_overlays_in_the_upper_bits_are_no_values(tmp_path):
    def overlaid(number, one):
        one.BitsStored, one.HighBit, one.PixelRepresentation = 12, 11, 0
        stored = np.frombuffer(one.PixelData, np.int16).astype(np.uint16)
        stored[::3] |= 0x8000
        one.PixelData = stored.tobytes()

    plain = read(write_dicom(tmp_path / "plain", slope=1, offset=0)).voxels
    got = read(write_dicom(tmp_path / "overlaid", slope=1, offset=0, change=overlaid)).voxels
    assert np.array_equal(got, plain)


@pytest.mark.parametrize(
    "name",
    [
        "emri_small_RLE.dcm",
        "emri_small_jpeg_ls_lossless.dcm",
        "emri_small_jpeg_2k_lossless.dcm",
        "emri_small_big_endian.dcm",
    ],
)
def test_real_compressed_files_equal_the_plain_one(name, tmp_path):
    voxels = []
    for source in ("emri_small.dcm", name):
        one = pydicom.dcmread(real_file(source))
        with_geometry(one, [(0, 0, 1.2 * k) for k in range(10)], (1.0, 1.0))
        one.save_as(tmp_path / source)
        voxels.append(read(tmp_path / source).voxels)
    assert np.array_equal(*voxels)
    assert voxels[0].std() > 10


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("JPEG-LL.dcm", 0),
        ("JPGLosslessP14SV1_1s_1f_8b.dcm", 0),
        ("MR_small_jpeg_ls_lossless.dcm", 0),
        ("JPEG2000.dcm", 1),
    ],
)
def test_real_slices_of_every_jpeg_are_what_simpleitk_reads(name, most, tmp_path):
    """Guards against JPEG Lossless and JPEG-LS being refused."""
    one = pydicom.dcmread(real_file(name))
    if "ImageOrientationPatient" not in one:
        one.ImageOrientationPatient, one.PixelSpacing = [1, 0, 0, 0, 1, 0], [1, 1]
    one.SeriesInstanceUID = generate_uid()
    for number in range(2):
        one.ImagePositionPatient = [0, 0, 3 * number]
        one.save_as(tmp_path / f"{number}.dcm")
    image = SimpleITK.ReadImage(str(tmp_path / "0.dcm"))
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.DICOMOrient(image, "RAS")).transpose(2, 1, 0)
    ours = read(tmp_path).voxels
    assert ours.shape[2] == 2
    if not np.array_equal(sorted(ours.shape[:2]), sorted(theirs.shape[:2])):
        pytest.fail(f"{ours.shape} {theirs.shape}")
    plane = ours[..., 0].astype(int)
    assert abs(np.sort(plane.ravel()) - np.sort(theirs.ravel().astype(int))).max() <= most


def test_a_missing_decoder_is_named_whole(tmp_path, monkeypatch):
    """Guards against a message that drops the line which names the package."""
    folder = write_dicom(tmp_path / "series")

    def without(self):
        raise RuntimeError(
            "Unable to decompress 'JPEG Lossless' pixel data because all plugins are missing "
            "dependencies:\n\tgdcm - requires gdcm>=3.0.10"
        )

    monkeypatch.setattr(pydicom.dataset.FileDataset, "pixel_array", property(without))
    with pytest.raises(InputError, match=r"requires gdcm>=3.0.10; pip install -e \"\.\[medical\]"):
        read(folder)


def test_whole_numbers_stay_whole(tmp_path):
    """The same CT with two offsets of storage has the same values, to the last bit."""
    affine, shape = grid("LPS", (1.0, 1.0, 2.0))
    voxels = np.rint(sampled(affine, shape)) - 1000
    one = read(write_volume(tmp_path / "a", voxels, affine, (1.0, 1.0, 2.0), "CT", 1, -1024))
    two = read(write_volume(tmp_path / "b", voxels, affine, (1.0, 1.0, 2.0), "CT", 1, 0))
    assert one.voxels.dtype == two.voxels.dtype == np.int16
    assert np.array_equal(one.voxels, two.voxels)


def _stored(one):
    return np.frombuffer(one.PixelData, np.int16).astype(int) * 2 - 500


def _as_unsigned(one, bits=16):
    one.PixelRepresentation, one.BitsStored, one.HighBit = 0, bits, bits - 1
    one.RescaleSlope, one.RescaleIntercept = 1, -1024
    one.PixelData = (_stored(one) + 1024).astype(np.uint16).tobytes()


def _as_signed(one, bits):
    """Fewer bits than are allocated, and zeros in the others."""
    one.BitsStored, one.HighBit = bits, bits - 1
    stored = np.frombuffer(one.PixelData, np.int16).astype(int)
    one.PixelData = (stored & (1 << bits) - 1).astype(np.uint16).tobytes()


def _as_wide(one):
    one.BitsAllocated, one.BitsStored, one.HighBit = 32, 32, 31
    one.PixelData = np.frombuffer(one.PixelData, np.int16).astype(np.int32).tobytes()


def _as_floats(one):
    one.FloatPixelData = np.frombuffer(one.PixelData, np.int16).astype(np.float32).tobytes()
    one.BitsAllocated = 32
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(one, name)


MEANINGS = {
    "unsigned and a negative offset": _as_unsigned,
    "12 unsigned bits": lambda one: _as_unsigned(one, 12),
    "12 signed bits": lambda one: _as_signed(one, 12),
    "11 signed bits": lambda one: _as_signed(one, 11),
    "32 bits": _as_wide,
    "floats": _as_floats,
}


@pytest.mark.parametrize("kind", MEANINGS)
def test_one_value_may_be_stored_in_many_ways(kind, tmp_path):
    """Guards against a sign, an offset or unused bits that are taken for values."""
    plain = read(write_dicom(tmp_path / "plain")).voxels
    changed = write_dicom(tmp_path / "other", change=lambda number, one: MEANINGS[kind](one))
    assert np.array_equal(read(changed).voxels, plain)


def _big_endian(one, path):
    one.PixelData = np.frombuffer(one.PixelData, np.int16).astype(">i2").tobytes()
    one.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    dcmwrite(path, one, implicit_vr=False, little_endian=False, force_encoding=True)


def _as(syntax):
    def write(one, path):
        one.file_meta.TransferSyntaxUID = syntax
        one.save_as(path)

    return write


def _compressed(syntax):
    def write(one, path):
        one.compress(syntax, generate_instance_uid=False)
        one.save_as(path)

    return write


def _without_preamble(one, path):
    one.save_as(path)
    path.write_bytes(path.read_bytes()[132:])


def _bare(implicit):
    """Elements alone: neither a preamble nor a word about how they are stored."""

    def write(one, path):
        with path.open("wb") as file:
            target = DicomFileLike(file)
            target.is_little_endian, target.is_implicit_VR = True, implicit
            write_dataset(target, Dataset(one) if implicit else one)

    return write


FORMS = {
    "big-endian": _big_endian,
    "implicit": _as(uid.ImplicitVRLittleEndian),
    "deflated": _as(uid.DeflatedExplicitVRLittleEndian),
    "run lengths": _compressed(uid.RLELossless),
    "JPEG-LS": _compressed(uid.JPEGLSLossless),
    "no preamble": _without_preamble,
    "elements alone, implicit": _bare(True),
    "elements alone, explicit": _bare(False),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_series_in_every_transfer_syntax(form, tmp_path):
    """Guards against a form of storage being refused, or its bytes being swapped."""
    folder = write_dicom(tmp_path / "series")
    plain = read(folder).voxels
    for path in folder.iterdir():
        one = pydicom.dcmread(path)
        path.unlink()
        FORMS[form](one, path)
    assert np.array_equal(read(folder).voxels, plain)


@pytest.mark.parametrize("bits", [1, 8])
def test_a_segmentation_is_a_mask(bits, tmp_path):
    """Guards against a mask of one bit a voxel that is read as its bytes."""
    affine, shape = grid("LPS", (1.0, 1.0, 2.0))
    mask = sampled(affine, shape) > 300
    frames = mask.transpose(2, 1, 0)
    places = [(-29.5, -29.5, 2.0 * k - 29) for k in range(len(frames))]
    path = enhanced(tmp_path / "seg.dcm", frames.astype(np.uint16), places)
    one = pydicom.dcmread(path)
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = uid.SegmentationStorage
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = (
        bits,
        bits,
        bits - 1,
        0,
    )
    bytes_ = np.packbits(frames, bitorder="little") if bits == 1 else frames.astype(np.uint8)
    one.PixelData = bytes_.tobytes() + bytes(bytes_.size % 2)
    one.save_as(path)
    scan = read(path)
    assert np.array_equal(scan.voxels, mask[::-1, ::-1])
    assert content_of(scan.voxels, "scan").two_valued
