"""DICOM series of every kind: each becomes the right volume, or a message names the slice."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from lmttm.data.dicom import header_of
from lmttm.data.scans import read
from lmttm.errors import InputError
from tests.scanned import (
    dicom_file,
    enhanced,
    grid,
    object_at,
    sampled,
    with_geometry,
    write_dicom,
    write_volume,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def real_file(name: str) -> str:
    """The path of a file that pydicom or pydicom-data ships; skips the test where it is missing."""
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"needs {name} of pydicom-data")
    return str(path)


def by_simpleitk(folder):
    """SimpleITK's volume of a folder, turned to RAS as `read` turns it."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = SimpleITK.DICOMOrient(reader.Execute(), "RAS")
    return SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), image.GetSpacing()


@pytest.mark.parametrize("codes", ["LPS", "RAS", "ASL", "SPR"])
def test_a_series_is_what_simpleitk_reads(codes, tmp_path):
    folder = write_dicom(tmp_path / "series", codes, (1.0, 1.5, 2.0))
    scan, (theirs, spacing) = read(folder), by_simpleitk(folder)
    assert np.array_equal(scan.voxels, theirs)
    np.testing.assert_allclose(scan.spacing, spacing)
    assert scan.voxels.dtype == np.int16
    assert scan.notes == ()


def test_real_series_are_what_simpleitk_reads():
    folder = Path(pydicom.data.__file__).parent / "test_files/dicomdirtests/98892001/CT5N"
    scan, (theirs, spacing) = read(folder), by_simpleitk(folder)
    assert np.array_equal(scan.voxels, theirs)
    np.testing.assert_allclose(scan.spacing, spacing, rtol=1e-5)


def test_a_real_enhanced_ct_is_what_simpleitk_reads():
    path = Path(real_file("eCT_Supplemental.dcm"))
    image = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(path)), "RAS")
    scan = read(path)
    assert np.array_equal(scan.voxels, SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0))
    assert scan.spacing == pytest.approx(image.GetSpacing())


def test_a_dose_has_its_frames_at_the_offsets():
    scan = read(Path(real_file("rtdose.dcm")))
    assert scan.spacing == pytest.approx((10, 10, 5))
    assert scan.voxels.shape == (10, 10, 15)


def series(folder, places, *, orientations=None, shape=(24, 20), seed=0):
    """Slices of noise at places in mm, each with its orientation."""
    folder.mkdir(parents=True)
    rng, uid = np.random.default_rng(seed), generate_uid()
    for number, place in enumerate(places):
        pixels = rng.integers(0, 1000, shape).astype(np.int16)
        across, down = ((1, 0, 0), (0, 1, 0)) if orientations is None else orientations[number]
        path = folder / f"s{number:03d}"
        dicom_file(path, pixels, place, across, down, (1.0, 1.0), uid).save_as(
            path, enforce_file_format=True
        )
    return folder


def turned(angle):
    """The orientation of a projection from an angle around the patient."""
    return (np.cos(angle), np.sin(angle), 0), (0, 0, -1)


IRREGULAR = {
    "two scouts": (
        {"places": [(0, 0, 0), (0, 0, 0)], "orientations": [turned(0), turned(np.pi / 2)]},
        "the slice s001 is turned against s000",
    ),
    "a scout beside a stack": (
        {
            "places": [*((0, 0, z) for z in range(9)), (0, 0, 50)],
            "orientations": [*[((1, 0, 0), (0, 1, 0))] * 9, turned(0)],
        },
        "the slice s009 is turned against s000",
    ),
    "projections that rotate": (
        {"places": [(0, 0, 0)] * 12, "orientations": [turned(a) for a in np.arange(12) / 4]},
        "is turned against",
    ),
    "one slice turned by 5 degrees": (
        {
            "places": [(0, 0, z) for z in range(9)],
            "orientations": [*[((1, 0, 0), (0, 1, 0))] * 8, ((1, 0, 0), (0, 0.9962, 0.0872))],
        },
        "the slice s008 is turned against",
    ),
    "one slice shifted": (
        {"places": [*((0, 0, z) for z in range(8)), (0, 12, 8)]},
        "mm beside the line of the others",
    ),
    "slices that drift more than they rise": (
        {"places": [(0, 3 * z, z) for z in range(9)]},
        "drift 3 mm sideways for each mm",
    ),
    "a missing slice": (
        {"places": [(0, 0, 2 * z) for z in range(12) if z != 5]},
        "a gap of 4 mm between s004 and s005, elsewhere 2 mm",
    ),
    "two times of one series": (
        {"places": [(0, 0, z // 2) for z in range(12)]},
        "two slices at the same place: s000 and s001",
    ),
}


@pytest.mark.parametrize("kind", IRREGULAR)
def test_slices_that_form_no_volume_are_refused_by_name(kind, tmp_path):
    """Guards against slices stacked as if they formed a volume."""
    arguments, told = IRREGULAR[kind]
    with pytest.raises(InputError) as caught:
        read(series(tmp_path / "series", **arguments))
    assert told in str(caught.value)


def test_slices_of_another_grid_are_refused_by_name(tmp_path):
    def odd(tag, value):
        def change(number, one):
            if number == 4:
                setattr(one, tag, value)

        return change

    folder = write_dicom(tmp_path / "a", change=odd("PixelSpacing", [1.0, 2.0]))
    with pytest.raises(InputError, match=r"the pixels of .*dcm are"):
        read(folder)
    folder = series(tmp_path / "b", [(0, 0, z) for z in range(8)])
    series(tmp_path / "c", [(0, 0, 9)], shape=(20, 24))
    other = pydicom.dcmread(tmp_path / "c" / "s000")
    other.SeriesInstanceUID = pydicom.dcmread(folder / "s000").SeriesInstanceUID
    other.save_as(folder / "s999")
    with pytest.raises(InputError, match="the slice s999 has"):
        read(folder)


def test_a_ct_scout_is_named(tmp_path):
    def scout(number, one):
        if number == 2:
            one.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    folder = write_dicom(tmp_path / "series", modality="CT", change=scout)
    with pytest.raises(InputError, match="is a scout; leave it out"):
        read(folder)


@pytest.mark.parametrize("drift", [0.5, -0.3])
def test_a_tilted_gantry_is_straightened(drift, tmp_path):
    """Slices that drift 30 mm sideways show the object where it is."""

    def tilted(number, one):
        x, y, z = one.ImagePositionPatient
        one.ImagePositionPatient = [x, y + drift * z, z]
        rows, columns = np.mgrid[: one.Rows, : one.Columns].astype(float)
        here = object_at(-(x + rows), -(y + drift * z + columns), z)
        one.PixelData = ((np.rint(here) + 500) // 2).astype(np.int16).tobytes()

    scan = read(write_dicom(tmp_path / "series", change=tilted))
    assert "a tilted gantry" in scan.notes[0]
    x, y, z = (np.arange(edge, dtype=float) for edge in scan.voxels.shape)
    lowest = -29.5 - 29 * abs(drift)
    y = -(lowest + y[::-1])  # RAS counts to the front, and the grid holds every slice
    wanted = object_at(*np.meshgrid(x - 29.5, y, 2 * z - 29, indexing="ij"))
    inside = (slice(None), abs(y) < 15, slice(None))
    assert abs(scan.voxels[inside] - wanted[inside]).max() < 25


def test_uneven_distances_are_made_even(tmp_path):
    """Two distances in one series: 1 mm below, 3 mm above."""
    heights = [*np.arange(-30.0, 0.0), *np.arange(0.0, 30.0, 3.0)]
    uid = generate_uid()
    (tmp_path / "series").mkdir()
    rows, columns = np.mgrid[:60, :60].astype(float)
    for number, z in enumerate(heights):
        pixels = np.rint(object_at(29.5 - columns, 29.5 - rows, z)).astype(np.int16)
        path = tmp_path / "series" / f"{number}.dcm"
        place = (-29.5, -29.5, z)
        dicom_file(path, pixels, place, (1, 0, 0), (0, 1, 0), (1.0, 1.0), uid).save_as(path)
    scan = read(tmp_path / "series")
    assert "1 to 3 mm apart: resampled to 1 mm" in scan.notes[0]
    x, y = np.mgrid[:60, :60].astype(float) - 29.5
    for number in (0, 20, 40, 50):
        plane = object_at(x, y, -30.0 + number)
        assert abs(scan.voxels[:, :, number] - plane).max() < 15


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


def test_frames_of_one_file_are_a_volume(tmp_path):
    """Enhanced files: frames in any order, each with its transformation."""
    pixels = np.random.default_rng(0).integers(0, 900, (9, 12, 10)).astype(np.uint16)
    order = np.random.default_rng(1).permutation(9)
    places = [(0, 0, 2.5 * k) for k in order]
    path = enhanced(
        tmp_path / "mr", pixels[order], places, (0.5, 0.75), [(1, int(k)) for k in order]
    )
    scan = read(path)
    wanted = (pixels + np.arange(9)[:, None, None]).transpose(2, 1, 0)[::-1, ::-1]
    assert np.array_equal(scan.voxels, wanted)
    assert scan.spacing == pytest.approx((0.75, 0.5, 2.5))
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    shutil.copy(path, folder / "IM0")
    assert np.array_equal(read(tmp_path / "deep").voxels, wanted)


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


def test_several_series_are_listed(tmp_path):
    def described(text):
        def change(number, one):
            one.SeriesDescription = text

        return change

    write_dicom(tmp_path / "a", change=described("T1"))
    write_dicom(tmp_path / "b", change=described("T2"))
    with pytest.raises(InputError, match=r"got 2 different series: T\d \(30 files, such as .*T\d"):
        read(tmp_path)


def test_a_volume_without_a_place_is_refused():
    with pytest.raises(InputError, match="has slices without ImagePositionPatient"):
        read(Path(real_file("emri_small.dcm")))


def test_whole_numbers_stay_whole(tmp_path):
    """The same CT with two offsets of storage has the same values, to the last bit."""
    affine, shape = grid("LPS", (1.0, 1.0, 2.0))
    voxels = np.rint(sampled(affine, shape)) - 1000
    one = read(write_volume(tmp_path / "a", voxels, affine, (1.0, 1.0, 2.0), "CT", 1, -1024))
    two = read(write_volume(tmp_path / "b", voxels, affine, (1.0, 1.0, 2.0), "CT", 1, 0))
    assert one.voxels.dtype == two.voxels.dtype == np.int16
    assert np.array_equal(one.voxels, two.voxels)
