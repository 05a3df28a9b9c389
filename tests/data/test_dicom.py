"""DICOM series of every kind: each becomes the right volume, or a message names the slice."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.uid import generate_uid

from lmttm.data.scans import read
from lmttm.errors import InputError
from tests.scanned import (
    dicom_file,
    enhanced,
    object_at,
    real_file,
    write_dicom,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


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


@pytest.mark.parametrize("angle", [15, -25])
def test_a_tilted_gantry_over_a_straight_table_is_straightened(angle, tmp_path):
    """The planes themselves are tilted, and the table moves along the patient."""
    folder, uid = tmp_path / "series", generate_uid()
    folder.mkdir()
    down = np.array([0, np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    rows, columns = np.mgrid[:80, :60].astype(float)
    for number, z in enumerate(np.arange(-60.0, 60.0, 2.0)):
        start = np.array([-29.5, 0, z]) - 39.5 * down
        y, up = start[1] + rows * down[1], start[2] + rows * down[2]
        pixels = np.rint(object_at(29.5 - columns, -y, up)).astype(np.int16)
        one = dicom_file(folder, pixels, start, (1, 0, 0), down, (1.0, 1.0), uid)
        one.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    scan = read(folder)
    assert "a tilted gantry" in scan.notes[0]
    index = np.indices(scan.voxels.shape).reshape(3, -1)
    places = scan.affine[:3, :3] @ index + scan.affine[:3, 3:]
    wanted = object_at(*places).reshape(scan.voxels.shape)
    inside = (abs(places) < 20).all(axis=0).reshape(scan.voxels.shape)
    assert abs(scan.voxels - wanted)[inside].max() < 25


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
