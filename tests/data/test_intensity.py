"""From values to bytes: windows, masks, padding, and what does not fit the training."""

import nibabel
import numpy as np
import pytest
import SimpleITK

from lmttm.config.files import load_config
from lmttm.config.volume import Intensity
from lmttm.data.cases import load_volume
from lmttm.data.intensity import intensities_of, notes_on, to_bytes
from lmttm.data.preparation import Geometry, cut
from lmttm.data.scan import Scan
from tests.scanned import grid, sampled, write_nifti, write_volume


def settled(*overrides):
    return load_config("base.json", list(overrides))


HU = settled("volume.intensity=hu", "volume.window=-160,240")
BYTES = settled("volume.intensity=bytes", "volume.window=0,255")
MASKS = settled("volume.intensity=masks", "volume.window=0,1")


@pytest.mark.parametrize("config", [HU, BYTES, settled(), settled("volume.region=pad")])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 1.25)])
def test_one_ct_in_two_formats_gives_identical_bytes(config, spacing, tmp_path):
    """Guards against a window that follows the format: 44 grey values apart, on average."""
    affine, shape = grid("LPS", spacing)
    hu = (np.rint(2 * sampled(affine, shape)) - 1000).astype(np.int16)
    dicom = write_volume(tmp_path / "dicom", hu, affine, spacing, "CT", 1, -1024)
    nibabel.save(nibabel.Nifti1Image(hu, affine), tmp_path / "ct.nii.gz")
    one, two = (load_volume(path, config) for path in (dicom, tmp_path / "ct.nii.gz"))
    assert np.array_equal(one, two)
    assert one.std() > 10
    # As floats, and by an inexact slope: one grey value at most.
    nibabel.save(nibabel.Nifti1Image(hu * np.float32(1.0001), affine), tmp_path / "float.nii")
    third = load_volume(tmp_path / "float.nii", config)
    assert abs(third.astype(int) - one).max() <= 1


def _in_every_format(folder, hu, affine, spacing):
    """One CT: of other formats, types, byte orders and offsets of storage."""
    write_volume(folder / "dicom", hu, affine, spacing, "CT", 1, -1024)
    write_volume(folder / "flat", hu, affine, spacing, "CT", 1, 0)
    plain = nibabel.Nifti1Image(hu, affine)
    nibabel.save(plain, folder / "a.nii.gz")
    image = SimpleITK.ReadImage(str(folder / "a.nii.gz"))
    for name in ("a.nrrd", "a.mha", "a.mhd"):
        SimpleITK.WriteImage(image, str(folder / name), True)
    SimpleITK.WriteImage(SimpleITK.Cast(image, SimpleITK.sitkFloat64), str(folder / "f.nrrd"))
    big = nibabel.Nifti1Image(hu.astype(">i2"), affine, nibabel.Nifti1Header(endianness=">"))
    nibabel.save(big, folder / "big.nii")
    nibabel.save(nibabel.Nifti2Image(hu.astype(np.int32), affine), folder / "two.nii")
    nibabel.save(nibabel.Nifti1Pair(hu.astype(np.float32), affine), folder / "pair.hdr")
    turned = nibabel.as_closest_canonical(plain)
    nibabel.save(turned, folder / "turned.nii")
    names = ("dicom", "flat", "a.nrrd", "a.mha", "a.mhd", "f.nrrd", "big.nii", "two.nii")
    return [folder / name for name in (*names, "pair.hdr", "turned.nii", "a.nii.gz")]


@pytest.mark.parametrize("kind", ["hu", "percentiles", "each", "table"])
def test_one_scan_in_every_format_gives_identical_bytes(kind, tmp_path):
    """Guards against a window or a grid that follows the format, also where padding is cut."""
    affine, shape = grid("LPS", (0.7, 0.7, 1.25))
    hu = (np.rint(2 * sampled(affine, shape)) - 1000).astype(np.int16)
    hu[:3] = -3024 if kind == "hu" else -1000
    config = {
        "hu": HU,
        "percentiles": settled("volume.intensity=percentiles", "volume.window=-990,700"),
        "each": settled("volume.axes=zyx"),
        "table": settled("volume.window=-100,300", "volume.extent=40", "volume.centre=20,25,30"),
    }[kind]
    first, *others = _in_every_format(tmp_path, hu, affine, (0.7, 0.7, 1.25))
    wanted = load_volume(first, config)
    assert wanted.std() > 10
    for path in others:
        assert np.array_equal(load_volume(path, config), wanted), path.name


@pytest.mark.parametrize("padding", [-2000, -3024, np.nan])
@pytest.mark.parametrize("kind", ["hu", "each", "percentiles"])
def test_padding_costs_no_contrast(padding, kind):
    """Guards against a CT whose padding takes the place of its dark tissue."""
    voxels = np.random.default_rng(0).normal(0, 60, (28, 28, 28)).clip(-1000, 900)
    outside = np.hypot(*(np.indices(voxels.shape)[1:] - 13.5)) > 14
    window = (-160.0, 240.0) if kind != "each" else None
    clean, padded = (
        to_bytes(cut(Scan(v, (1.0, 1.0, 1.0)), Geometry((28,) * 3)), Intensity(kind, window))[0]
        for v in (voxels, np.where(outside, padding, voxels))
    )
    difference = abs(clean.astype(int) - padded)[~outside]
    assert difference.max() <= (0 if window else 6)
    assert (padded[outside] == padded.min()).all()


def test_scans_that_do_not_fit_the_training_are_told(tmp_path):
    grey = np.random.default_rng(0).integers(-900, 900, (28, 28, 28)).astype(np.int16)
    path = write_nifti(tmp_path / "a.nii", grey)
    content = cut(Scan(grey, (1.0,) * 3), Geometry((28,) * 3)).content
    assert "those in training from 0 to 255" in notes_on(content, *intensities_of(BYTES))[0]
    assert "it is no mask" in notes_on(content, *intensities_of(MASKS))[0]
    assert notes_on(content, *intensities_of(HU)) == ()
    assert load_volume(path, BYTES).std() > 50


def test_a_mask_is_read_in_any_spelling(tmp_path):
    """A run on masks of 0 and 255 reads one of 0 and 1, and the other way round."""
    mask = np.random.default_rng(0).random((28, 28, 28)) > 0.6
    for number, voxels in enumerate(
        (mask.astype(np.uint8), mask * np.uint8(255), mask * 7.0, mask + np.int16(1), mask)
    ):
        np.save(tmp_path / f"{number}.npy", voxels)
        assert np.array_equal(load_volume(tmp_path / f"{number}.npy", MASKS), 255 * mask)
    np.save(tmp_path / "empty.npy", np.zeros((28, 28, 28), np.uint8))
    assert not load_volume(tmp_path / "empty.npy", MASKS).any()
    np.save(tmp_path / "full.npy", np.ones((28, 28, 28), np.uint8))
    assert (load_volume(tmp_path / "full.npy", MASKS) == 255).all()


def test_a_window_that_is_given_holds_before_anything_is_settled():
    """Guards against a window of each scan's own where the configuration names one."""
    config = load_config("base.json", ["dataset_name=mine/", "volume.window=-100,300"])
    assert intensities_of(config) == (Intensity("window", (-100.0, 300.0)),)
    assert intensities_of(load_config("base.json")) == (Intensity("each"),)


def test_each_scan_of_a_case_has_an_intensity_of_its_own():
    """Guards against a mask that is windowed as the CT beside it."""
    overrides = [
        "model.in_channels=2",
        "volume.intensity=hu,auto",
        "volume.window=[[-100,50],null]",
    ]
    config = load_config("base.json", overrides)
    assert intensities_of(config) == (Intensity("hu", (-100.0, 50.0)), Intensity("each"))
    one_for_all = load_config("base.json", ["model.in_channels=2", "volume.intensity=masks"])
    assert intensities_of(one_for_all) == (Intensity("masks"),) * 2
