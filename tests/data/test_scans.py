"""Volumes of one's own: real NIfTI and DICOM files of one known object, and bad ones."""

import json
import shutil

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import predict
import train
from lmttm import load_run, prepare
from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.data.preparation import Cut, to_cube
from lmttm.data.scans import Scan, read
from lmttm.data.sources import load_dataset
from lmttm.data.statistics import Statistics
from lmttm.errors import InputError
from tests.conftest import TINY

EDGE = 60.0  # mm: the object lies in a cube of this edge around the origin


def object_at(x, y, z):
    """A soft blob without any symmetry, in mm from the origin; from 0 to 1000."""
    big = np.exp(-(((x - 6) / 12) ** 2) - ((y + 4) / 9) ** 2 - ((z - 2) / 14) ** 2)
    small = np.exp(-(((x + 10) / 6) ** 2) - ((y - 9) / 5) ** 2 - ((z + 12) / 6) ** 2)
    return 1000 * (big + 0.6 * small)


def sampled(affine, shape):
    """The object on the grid of an image."""
    index = np.indices(shape).reshape(3, -1)
    x, y, z = affine[:3, :3] @ index + affine[:3, 3:]
    return object_at(x, y, z).reshape(shape).astype(np.float32)


def grid(codes, spacing):
    """An affine of an orientation such as LPS, and the shape that fills the cube."""
    start = nibabel.orientations.axcodes2ornt(codes)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    shape = [0, 0, 0]
    for axis, (world, sign) in enumerate(start):
        step = spacing[axis]
        shape[axis] = round(EDGE / step)
        affine[int(world), axis] = sign * step
        affine[int(world), 3] = -sign * (shape[axis] - 1) / 2 * step
    return affine, tuple(shape)


CUT = Cut(window=(0.0, 1200.0))


@pytest.fixture(scope="module")
def expected():
    """What every file must give: the object sampled on the cube itself."""
    step = EDGE / 28
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = -(27 / 2) * step
    return np.rint(255 * (sampled(affine, (28,) * 3) / 1200).clip(0, 1))


def assert_same(cube, expected, codes=""):
    difference = np.abs(cube.astype(float) - expected)
    assert difference.mean() < 1.5, codes
    assert difference.max() < 16, codes


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SRA", "PIL", "ILA"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.5, 1.0, 2.5)])
def test_nifti_in_any_orientation_and_spacing(codes, spacing, tmp_path, expected):
    affine, shape = grid(codes, spacing)
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(sampled(affine, shape), affine), path)
    assert_same(to_cube(read(path), 28, CUT), expected, codes)


def write_dicom(folder, codes="LPS", spacing=(1.0, 1.0, 2.0), modality="MR", **changes):
    """Slices along the third axis of an orientation, in any file order."""
    folder.mkdir(exist_ok=True)
    affine, shape = grid(codes, spacing)
    voxels = np.rint(sampled(affine, shape)).astype(np.int16)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    series = generate_uid()
    for number in range(shape[2]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"{(number * 7) % shape[2]:03d}.dcm"
        one = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
        one.SeriesInstanceUID = series
        one.Modality = modality
        one.Rows, one.Columns = shape[0], shape[1]
        one.ImagePositionPatient = (lps[:3, 3] + number * lps[:3, 2]).tolist()
        down, across = (lps[:3, axis] / spacing[axis] for axis in (0, 1))
        one.ImageOrientationPatient = [*across.tolist(), *down.tolist()]
        one.PixelSpacing = [spacing[0], spacing[1]]
        one.RescaleSlope, one.RescaleIntercept = 2.0, -500.0
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
        one.PixelRepresentation = 1
        one.PixelData = ((voxels[:, :, number] + 500) // 2).astype(np.int16).tobytes()
        for key, value in changes.get(number, {}).items() if changes else ():
            setattr(one, key, value)
        one.save_as(path, enforce_file_format=True)
    return folder


@pytest.mark.parametrize("codes", ["LPS", "RAS", "ASL", "SPR"])
def test_dicom_in_any_orientation(codes, tmp_path, expected):
    folder = write_dicom(tmp_path / "series", codes, (1.0, 1.5, 2.0))
    assert_same(to_cube(read(folder), 28, CUT), expected, codes)


def test_axes_are_permuted_on_request(tmp_path, expected):
    affine, shape = grid("RAS", (1.0, 1.0, 1.0))
    nibabel.save(nibabel.Nifti1Image(sampled(affine, shape), affine), tmp_path / "a.nii")
    cube = to_cube(read(tmp_path / "a.nii"), 28, Cut("zyx", window=CUT.window))
    assert_same(cube, expected.transpose(2, 1, 0))


def test_centre_and_extent_are_in_mm(tmp_path):
    """A cut around the small blob shows it in the middle, enlarged."""
    affine, shape = grid("RAS", (1.0, 1.0, 1.0))
    scan = Scan(sampled(affine, shape), (1.0, 1.0, 1.0))
    at = tuple(np.array([-10.0, 9.0, -12.0]) + 29.5)  # mm from the middle of the first voxel
    cube = to_cube(scan, 28, Cut(centre=at, extent=20.0, window=(0.0, 1000.0)))
    step = 20 / 28
    target = np.diag([step, step, step, 1.0])
    target[:3, 3] = np.array([-10.0, 9.0, -12.0]) - 27 / 2 * step
    assert_same(cube, np.rint(255 * (sampled(target, (28,) * 3) / 1000).clip(0, 1)))
    with pytest.raises(InputError, match="lies outside the volume"):
        to_cube(scan, 28, Cut(centre=(200.0, 0.0, 0.0), extent=20.0))


def test_intensities():
    rng = np.random.default_rng(0)
    hu = rng.uniform(-1000, 1000, (28, 28, 28))
    ct = to_cube(Scan(hu, (1.0,) * 3, "CT"), 28, Cut())
    np.testing.assert_allclose(ct, 255 * ((hu + 160) / 400).clip(0, 1), atol=0.51)
    mr = to_cube(Scan(hu, (1.0,) * 3, "MR"), 28, Cut())
    low, high = np.percentile(hu, (0.5, 99.5))
    np.testing.assert_allclose(mr, 255 * ((hu - low) / (high - low)).clip(0, 1), atol=0.51)
    flat = to_cube(Scan(np.full((28, 28, 28), 3.0), (1.0,) * 3), 28, Cut())
    assert set(np.unique(flat)) <= {0, 255}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    former, phantoms.SPLITS = phantoms.SPLITS, {"train": 32, "val": 20, "test": 20}
    arguments = ["demo.json", *TINY, f"output_dir={folder}", "device=cpu"]
    assert train.main(arguments) == 0
    yield folder / "demo", arguments
    phantoms.SPLITS = former


@pytest.fixture
def volume():
    return load_dataset(load_config("demo.json")).splits["test"].images[3].numpy()


def test_a_medmnist_volume_gets_its_logits_back(trained, volume, tmp_path, capsys):
    run_dir, arguments = trained
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([2.0, 2, 2, 1])), tmp_path / "v.nii.gz")
    np.save(tmp_path / "v.npy", volume)
    np.savez(tmp_path / "v.npz", volume)
    files = [str(tmp_path / name) for name in ("v.nii.gz", "v.npy", "v.npz")]
    assert predict.main([*arguments, "--input", *files]) == 0
    assert max(len(line) for line in capsys.readouterr().out.splitlines()[:-1]) <= 80
    model, config = load_run(run_dir)
    expected = model(prepare(volume[None], config)).softmax(dim=1)[0].tolist()
    rows = json.loads((run_dir / "inputs" / "predictions.json").read_text())
    for row, path in zip(rows, files, strict=True):
        assert row["path"] == path
        assert list(row["probabilities"].values()) == pytest.approx(expected, abs=1e-4)
        assert row["warnings"] == []
    lines = (run_dir / "inputs" / "predictions.csv").read_text().splitlines()
    assert len(lines) == 4


def test_a_volume_unlike_the_training_data_is_told(trained, tmp_path, capsys):
    _, arguments = trained
    np.save(tmp_path / "bright.npy", np.full((28, 28, 28), 250, np.uint8))
    assert predict.main([*arguments, "--input", str(tmp_path / "bright.npy")]) == 0
    assert "warning: mean intensity: 250, in training" in capsys.readouterr().out
    looks = Statistics.of(np.random.default_rng(0).integers(0, 99, (5, 4, 4, 4)))
    assert looks.warnings(np.full((4, 4, 4), 50)) == []


def bad_inputs(folder):
    """Every kind of file that can not be used, by what the sentence must say."""
    affine = np.eye(4)
    (folder / "text.nii").write_text("no image")
    (folder / "text.txt").write_text("no image")
    (folder / "empty").mkdir()
    np.save(folder / "flat.npy", np.zeros((28, 28)))
    np.save(folder / "nan.npy", np.full((28, 28, 28), np.nan))
    np.save(folder / "complex.npy", np.zeros((28, 28, 28), complex))
    np.save(folder / "object.npy", np.array([{}]), allow_pickle=True)
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 5, 5, 3)), affine), folder / "four.nii.gz")
    huge = folder / "huge.npy"
    with huge.open("wb") as file:
        head = {"descr": "<f8", "fortran_order": False, "shape": (10**4, 10**4, 10**4)}
        np.lib.format.write_array_header_1_0(file, head)
    mixed = write_dicom(folder / "mixed")
    one = pydicom.dcmread(mixed / "004.dcm")
    one.SeriesInstanceUID = generate_uid()
    one.save_as(mixed / "004.dcm")
    gap = write_dicom(folder / "gap")
    places = {p: float(pydicom.dcmread(p).ImagePositionPatient[2]) for p in gap.iterdir()}
    for path in sorted(places, key=places.get)[10:12]:
        path.unlink()
    twice = write_dicom(folder / "twice")
    shutil.copy(twice / "003.dcm", twice / "copy.dcm")
    return {
        "missing.nii": "is not there",
        "text.nii": "can not be read as a volume",
        "text.txt": "is not a NIfTI file, a NumPy file or a folder of DICOM",
        "empty": "must hold the DICOM slices of a series, got 0",
        "flat.npy": "must hold a 3D volume, got the shape (28, 28)",
        "nan.npy": "holds voxels that are not finite",
        "complex.npy": "must hold real numbers, got complex128",
        "object.npy": "must hold numbers, as many as its header claims",
        "huge.npy": "must hold numbers, as many as its header claims",
        "four.nii.gz": "must hold a 3D volume, got the shape (5, 5, 5, 3)",
        "mixed": "must hold one series, got 2 different series",
        "gap": "lacks slices: a gap of 6 mm",
        "twice": "has two slices at the same place",
    }


def test_bad_files_are_told_one_by_one_and_the_others_scored(trained, volume, tmp_path, capsys):
    run_dir, arguments = trained
    told = bad_inputs(tmp_path)
    np.save(tmp_path / "good.npy", volume)
    capsys.readouterr()
    paths = [str(tmp_path / name) for name in [*told, "good.npy"]]
    assert predict.main([*arguments, "--input", *paths]) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == len(told)
    for name, sentence in told.items():
        assert any(name in line and sentence in line for line in err.splitlines()), name
    rows = json.loads((run_dir / "inputs" / "predictions.json").read_text())
    assert [row["path"] for row in rows] == [paths[-1]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--axes", "xyy"], "--axes must be an order of x, y and z, got xyy"),
        (["--extent", "0"], "--extent must be more than 0 mm, got 0"),
        (["--centre", "1,2"], "must be 3 numbers, got 1,2"),
        (["--window", "5,1"], "--window must go from low to high, got 5,1"),
    ],
)
def test_bad_options(trained, options, told, capsys, tmp_path):
    _, arguments = trained
    try:
        code = predict.main([*arguments, "--input", str(tmp_path), *options])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert told in capsys.readouterr().err


def own_set(folder):
    """A labelled set of 12 volumes as npz, and the same as NIfTI files in tables."""
    images, labels = phantoms.generate(12, seed=1)
    arrays = {}
    for number, split in enumerate(("train", "val", "test")):
        part = slice(4 * number, 4 * number + 4)
        labels[part] = [[0], [1], [0], [1]]
        arrays |= {f"{split}_images": images[part], f"{split}_labels": labels[part]}
        rows = ["path,label"]
        for index in range(part.start, part.stop):
            nibabel.save(nibabel.Nifti1Image(images[index], np.eye(4)), folder / f"{index}.nii.gz")
            rows.append(f"{index}.nii.gz,{labels[index, 0]}")
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n")
    np.savez(folder / "own.npz", **arrays)
    return images


def test_training_on_a_labelled_set_of_ones_own(tmp_path, capsys):
    images = own_set(tmp_path)
    options = [*TINY, f"output_dir={tmp_path / 'runs'}", "device=cpu"]
    for name, source in (("npz", tmp_path / "own.npz"), ("tables", tmp_path)):
        argv = ["base.json", *options, f"dataset_name={source}", f"train.name={name}"]
        config = load_config("base.json", [*options, f"dataset_name={source}"])
        assert np.array_equal(load_dataset(config).splits["val"].images.numpy(), images[4:8])
        assert train.main(argv) == 0
        assert predict.main(argv) == 0
        assert predict.main([*argv, "--input", str(tmp_path / "3.nii.gz")]) == 0
        assert "class 0" in capsys.readouterr().out
    one, two = (
        json.loads((tmp_path / "runs" / n / "test" / "metrics.json").read_text())["auc"]
        for n in ("npz", "tables")
    )
    assert one == two


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: (f / "val.csv").unlink(), "val.csv can not be read"),
        (lambda f: (f / "val.csv").write_text("file\n1\n"), "must have the columns path,label"),
        (lambda f: (f / "val.csv").write_text("path,label\n1.nii.gz,one\n"), "line 2: label must"),
        (lambda f: (f / "val.csv").write_text("path,label\n../x.npy,1\n"), "leads outside"),
        (lambda f: (f / "val.csv").write_text("path,label\n99.nii.gz,1\n"), "is not there"),
        (lambda f: (f / "val.csv").write_text("path,label\n1.nii.gz,4\n"), "must be 5 for"),
    ],
)
def test_a_bad_table_is_named(tmp_path, change, told, capsys):
    own_set(tmp_path)
    change(tmp_path)
    argv = ["base.json", *TINY, f"output_dir={tmp_path / 'runs'}", f"dataset_name={tmp_path}"]
    assert train.main(argv) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
