"""Scans of one's own through the scripts: no cubes, and two formats of one scan."""

import csv
import json

import nibabel
import numpy as np
import pytest

import lmttm
import predict
import train
from tests.scanned import write_volume
from tests.scripts.commands import tool

SPACING = (0.8, 0.7, 2.5)
# Columns run to the left, rows to the back, slices to the head, as in most of DICOM.
AFFINE = np.array([[-0.8, 0, 0, 9], [0, -0.7, 0, 9], [0, 0, 2.5, -12], [0, 0, 0, 1.0]])
SMALL = ["model.dim=16", "model.memory_tokens_size=8", "model.summarize_num_tokens=2"]
SMALL += ["train.epoch=2", "device=cpu", "train.compile=off", "train.precision=fp32"]


def voxels(number):
    """A CT of 24 x 26 x 10 voxels with a bright box, whose place tells the class."""
    rng = np.random.default_rng(number)
    values = rng.integers(-1000, 900, (24, 26, 10)).astype(np.int16)
    values[6:14, 6:14, slice(1, 4) if number % 2 else slice(6, 9)] = 1500 + number
    return values


def nifti(folder, number):
    path = folder / f"{number:02d}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(voxels(number), AFFINE), path)
    return path


def dicom(folder, number):
    return write_volume(folder / f"{number:02d}", voxels(number), AFFINE, SPACING, "CT", 1, -1024)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """20 scans as NIfTI in one table, four of them by absolute paths, four by symbolic links."""
    home, elsewhere = (tmp_path_factory.mktemp(name) for name in ("set", "archive"))
    rows = ["path,label,split"]
    for number in range(20):
        split = "train" if number < 12 else "val" if number < 16 else "test"
        name = nifti(elsewhere if number % 5 < 2 else home, number)
        if number % 5 == 1:
            (home / name.name).symlink_to(name)
            name = home / name.name
        shown = name if number % 5 == 0 else name.name
        rows.append(f"{shown},{('low', 'high')[number % 2]},{split}")
    (home / "data.csv").write_text("\n".join(rows))
    return home


def options(scans, *overrides):
    return [f"dataset_name={scans}/", f"cache={scans / 'cache'}", *SMALL, *overrides]


def probabilities(folder):
    rows = json.loads((folder / "inputs" / "predictions.json").read_text())
    return {row["path"]: row["probabilities"] for row in rows}


SHAPES = {
    "a small cube": ["size=12", "model.patch_size=4", "volume.region=pad"],
    "thin slabs": ["size=64", "model.patch_size=[3,7,7]", "volume.axes=zyx", "train.epoch=1"],
    "overlapping slabs": [
        *("size=[10,20,20]", "model.patch_size=[4,10,10]", "model.patch_stride=[2,0,0]"),
        *("augment.turn_planes=HW", "augment.rotate=10", "volume.region=stretch"),
    ],
}
STEPS = {"a small cube": 3, "thin slabs": 21, "overlapping slabs": 4}


@pytest.mark.parametrize("kind", SHAPES)
def test_training_at_other_shapes_than_the_official_ones(kind, scans, tmp_path):
    """Guards against a size that only official data sets have."""
    argv = ["base.json", *options(scans, *SHAPES[kind], f"output_dir={tmp_path}")]
    assert train.main([*argv, "train.name=run"]) == 0
    run = lmttm.open_run(tmp_path / "run")
    images = run.dataset(("test",)).splits["test"].images
    assert images.shape == (4, *run.config.shape)
    explained = run.explainer()(images[0].numpy())
    assert explained.found.attention.shape == run.config.shape
    assert len(explained.slabs) == len(explained.found.running) == STEPS[kind]


@pytest.mark.slow
def test_a_box_goes_all_the_way(scans, tmp_path, capsys):
    """Guards against a part that takes one edge for all three, from the table to the export."""
    shape = ["size=[8,24,16]", "model.patch_size=[2,8,4]", "volume.axes=zyx"]
    argv = ["base.json", *options(scans, *shape, f"output_dir={tmp_path}", "train.name=run")]
    assert train.main(argv) == 0
    folder = tmp_path / "run"
    assert "8 x 24 x 16 voxels, 2 classes" in capsys.readouterr().out
    assert predict.main([str(folder)]) == 0
    assert "volumes of 8 x 24 x 16 voxels" in (folder / "test" / "report.html").read_text()
    assert tool("explain").main([str(folder), "--input", str(scans / "02.nii.gz")]) == 0
    heat = nibabel.load(folder / "explain" / f"{scans.name}-02-heat.nii.gz")
    assert heat.shape == (24, 26, 10)
    np.testing.assert_allclose(heat.affine, AFFINE, atol=1e-5)
    assert 0.3 < heat.get_fdata().max() <= 1  # its hottest place may lie between voxels
    assert tool("export").main([str(folder)]) == 0
    document = json.loads((folder / "export" / "preprocessing.json").read_text())
    assert document["shape"] == ["batch", 1, 8, 24, 16]
    assert "8 x 24 x 16 voxels" in (folder / "export" / "model_card.md").read_text()


def test_trained_on_nifti_and_asked_about_the_dicom_form(scans, tmp_path, capsys):
    """One scan in two formats is one scan: the same bytes, and so the same probabilities.

    Guards against a window, an orientation or a value that follows the format of a file.
    """
    argv = ["base.json", *options(scans, "size=16", "model.patch_size=4", f"output_dir={tmp_path}")]
    assert train.main([*argv, "train.name=run", "volume.axes=zyx"]) == 0
    folder = tmp_path / "run"
    config = lmttm.open_run(folder).config
    files = {number: nifti(tmp_path, number) for number in (16, 17, 30)}
    series = {number: dicom(tmp_path / "dicom", number) for number in files}
    for number, path in files.items():
        expected = lmttm.load_volume(path, config)
        assert len(np.unique(expected)) > 50
        assert np.array_equal(lmttm.load_volume(series[number], config), expected)
    assert predict.main([str(folder), "--input", *map(str, files.values())]) == 0
    first = probabilities(folder)
    assert predict.main([str(folder), "--input", str(tmp_path / "dicom")]) == 0
    second = probabilities(folder)
    assert list(second) == [str(path) for path in series.values()]
    assert list(first.values()) == list(second.values())  # to the last bit
    # And what the run says of its own test split is what it says of the files of that split.
    assert predict.main([str(folder)]) == 0
    with (folder / "test" / "predictions.csv").open(newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    for number in (16, 17):
        row = next(row for path, row in rows.items() if path.endswith(f"{number}.nii.gz"))
        found = first[str(files[number])]
        for name, value in found.items():
            assert float(row[f"probability_{config.class_names.index(name)}"]) == pytest.approx(
                value, abs=1e-5
            )


def test_places_of_a_table_hold_for_cases_without_labels(scans, tmp_path, capsys):
    """Guards against a run that was trained on regions and sees whole scans of a list of cases."""
    header, *rows = (scans / "data.csv").read_text().splitlines()
    columns = "centre_d,centre_h,centre_w,extent"
    places = [f"{9 + n % 3},8,{7 + n % 4},{12 + n % 2}" for n in range(len(rows))]
    own = tmp_path / "own"
    own.mkdir()
    labelled, cases = [f"{header},{columns}"], [f"path,{columns}"]
    for row, place in zip(rows, places, strict=True):
        path, label, split = row.split(",")
        labelled.append(f"{scans / path},{label},{split},{place}")
        cases.append(f"{scans / path},{place}")
    (own / "data.csv").write_text("\n".join(labelled))
    (own / "cases.csv").write_text("\n".join(cases))
    argv = ["base.json", *options(own, "size=16", "model.patch_size=8", f"output_dir={tmp_path}")]
    assert train.main([*argv, "train.name=run"]) == 0
    folder = tmp_path / "run"
    assert predict.main([str(folder), "--data", str(own)]) == 0
    assert predict.main([str(folder), "--input", str(own / "cases.csv")]) == 0
    scored, found = (
        list(csv.DictReader((folder / name / "predictions.csv").read_text().splitlines()))
        for name in ("external/own", "inputs")
    )
    assert [row["path"] for row in found] == [row["path"] for row in scored]
    assert [float(row["low"]) for row in found] == pytest.approx(
        [float(row["probability_1"]) for row in scored], abs=1e-5
    )
    assert [float(row["centre_w"]) for row in found] == [7 + n % 4 for n in range(20)]


def test_a_folder_of_files_is_one_input(scans, tmp_path, capsys):
    """Guards against a folder of NIfTI files that is taken for a DICOM series."""
    argv = ["base.json", *options(scans, "size=16", "model.patch_size=8", f"output_dir={tmp_path}")]
    assert train.main([*argv, "train.name=run"]) == 0
    inputs = tmp_path / "inputs"
    (inputs / "deeper").mkdir(parents=True)
    paths = [nifti(inputs, 3), nifti(inputs / "deeper", 4)]
    (inputs / "notes.txt").write_text("not a scan")
    assert predict.main([str(tmp_path / "run"), "--input", str(inputs)]) == 0
    assert set(probabilities(tmp_path / "run")) == {str(path) for path in paths}
