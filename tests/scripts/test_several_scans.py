"""Cases of several scans, from the table to predictions, explanation and export."""

import csv
import json

import nibabel
import numpy as np
import pytest

import lmttm
import predict
import train
from tests.conftest import TINY
from tests.scripts.commands import tool

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
COARSE = np.array([[3.0, 0, 0, -4], [0, 3, 0, -4], [0, 0, 6, -4], [0, 0, 0, 1]])


def ball(number, affine, shape, high):
    """A ball whose side tells the class, and whose size the number of the case."""
    place = np.indices(shape).reshape(3, -1)
    x, y, z = affine[:3, :3] @ place + affine[:3, 3:]
    centre = 12 if number % 2 else 24
    inside = (x - centre) ** 2 + (y - 18) ** 2 + (z - 18) ** 2 < (6 + number % 5) ** 2
    noise = np.random.default_rng(number).integers(0, high // 4, inside.shape)
    return (high * inside + noise).reshape(shape).astype(np.int16)


def case(folder, number):
    """Two NIfTI files of one patient on two grids, and a mask."""
    paths = [folder / f"{number:02d}-{name}.nii.gz" for name in ("t1", "t2", "mask")]
    t1 = ball(number, AFFINE, (20, 20, 20), 900)
    nibabel.save(nibabel.Nifti1Image(t1, AFFINE), paths[0])
    nibabel.save(nibabel.Nifti1Image(ball(number, COARSE, (15, 15, 8), 160), COARSE), paths[1])
    mask = (ball(number, AFFINE, (20, 20, 20), 900) > 600).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(mask, AFFINE), paths[2])
    return paths


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    rows = ["path,path_2,label,patient"]
    for number in range(24):
        t1, t2, _ = case(folder, number)
        rows.append(f"{t1.name},{t2.name},{('left', 'right')[number % 2]},p{number // 2}")
    (folder / "data.csv").write_text("\n".join(rows))
    return folder


def argv(scans, output_dir, *others):
    return [
        "base.json",
        *(o for o in TINY if not o.startswith(("train.name", "model.patch_size"))),
        *(f"dataset_name={scans}/", f"cache={scans}/cache", f"output_dir={output_dir}"),
        *("size=16", "model.patch_size=4", "train.epoch=1", "device=cpu", *others),
    ]


@pytest.fixture(scope="module")
def run(scans, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    assert train.main(argv(scans, folder, "train.name=run", "distance=auto")) == 0
    return folder / "run"


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_two_scans_become_two_channels(run, scans):
    opened = lmttm.open_run(run)
    assert opened.config.model.in_channels == 2
    assert opened.config.volume.intensity == ["percentiles", "bytes"]
    split = opened.dataset(("test",)).splits["test"]
    assert split.images.shape[1:] == (2, 16, 16, 16)
    for name, image in zip(split.paths, split.images.numpy(), strict=True):
        paths = [scans / part for part in name.split(",")]
        assert np.array_equal(lmttm.load_volume(paths, opened.config), image)


def test_scored_and_predicted_alike(run, scans, capsys):
    """What a run says of its test split is what it says of the files of that split."""
    assert predict.main([str(run)]) == 0
    scored = {row["path"]: row for row in rows_of(run / "test" / "predictions.csv")}
    inputs = [",".join(str(scans / part) for part in name.split(",")) for name in scored]
    assert predict.main([str(run), "--input", *inputs]) == 0
    answers = json.loads((run / "inputs" / "predictions.json").read_text())
    assert [row["path"] for row in answers] == inputs
    for row, answer in zip(scored.values(), answers, strict=True):
        expected = [float(row[f"probability_{number}"]) for number in range(2)]
        np.testing.assert_allclose([*answer["probabilities"].values()], expected, atol=1e-5)
    assert predict.main([str(run), "--data", str(scans)]) == 0
    assert predict.main([str(run), "--input", str(scans / "data.csv")]) == 0
    listed = {row["path"]: row for row in rows_of(run / "inputs" / "predictions.csv")}
    assert len(listed) == 24
    for name, row in scored.items():
        assert float(listed[name]["right"]) == pytest.approx(float(row["probability_1"]), abs=1e-5)


def test_a_case_with_another_number_of_scans_is_an_error_that_names_the_order(run, scans, capsys):
    one, two = (scans / f"00-{name}.nii.gz" for name in ("t1", "t2"))
    for wrong in (f"{one}", f"{one},{two},{one}", f"{scans}"):
        assert predict.main([str(run), "--input", wrong, f"{one},{two}"]) == 1
        told = capsys.readouterr().err
        assert "the model takes 2 scans for each case" in told
        assert "in the order path,path_2 of the table" in told
        assert len(rows_of(run / "inputs" / "predictions.csv")) == 1
    assert tool("explain").main([str(run), "--input", str(one)]) == 2
    assert "takes 2 scans for each case" in capsys.readouterr().err
    assert predict.main([str(run), "--input", f"{one},{scans}"]) == 1
    assert "must be one scan of a case, got a folder of" in capsys.readouterr().err


def test_a_table_with_another_number_of_scans_is_refused(run, scans, tmp_path, capsys):
    (tmp_path / "data.csv").write_text(f"path,label\n{scans / '00-t1.nii.gz'},left\n")
    assert predict.main([str(run), "--data", str(tmp_path)]) == 2
    assert "takes the columns path,path_2 for each case, got path" in capsys.readouterr().err
    config = lmttm.load_config("base.json", [*argv(scans, tmp_path)[1:], "model.in_channels=3"])
    with pytest.raises(lmttm.InputError, match=r"model\.in_channels must be 2 for .*, got 3"):
        lmttm.load_dataset(config)


def test_explained(run, scans, capsys):
    one, two = (scans / f"01-{name}.nii.gz" for name in ("t1", "t2"))
    assert tool("explain").main([str(run), "--input", f"{one},{two}"]) == 0
    (page,) = (run / "explain").glob("*01-t1.html")
    assert '<option value="1">path_2</option>' in page.read_text()
    (heat,) = (run / "explain").glob("*01-t1-heat.nii.gz")
    assert nibabel.load(heat).shape == (20, 20, 20)  # on the grid of the first scan


@pytest.mark.slow
def test_exported(run, capsys):
    assert tool("export").main([str(run)]) == 0
    document = json.loads((run / "export" / "preprocessing.json").read_text())
    assert document["shape"] == ["batch", 2, 16, 16, 16]
    assert document["channels"] == [
        "intensity of path: byte / 255",
        "intensity of path_2: byte / 255",
    ]
    assert "of path_2" in (run / "export" / "model_card.md").read_text()


def test_a_page_that_takes_one_file_refuses_the_run(run, capsys):
    assert tool("serve").main([str(run)]) == 2
    assert "takes 2 scans for each case" in capsys.readouterr().err


def test_looked_at_and_checked_before_a_training(scans, tmp_path, capsys):
    config = tmp_path / "mine.json"
    config.write_text(json.dumps({"dataset_name": f"{scans}/", "size": 16, "cache": "off"}))
    pair = f"{scans / '00-t1.nii.gz'},{scans / '00-t2.nii.gz'}"
    picture = tmp_path / "prepared.png"
    assert tool("prepare").main([str(config), pair, "--output", str(picture)]) == 0
    assert picture.is_file()
    assert tool("prepare").main([str(config), "--check"]) == 0


def test_a_mask_beside_a_scan_gives_a_distance_channel(tmp_path, capsys):
    """A CT and its mask: the distance is that of the mask, wherever it stands."""
    rows = ["path,path_2,path_3,label"]
    for number in range(16):
        t1, t2, mask = (path.name for path in case(tmp_path, number))
        rows.append(f"{t1},{mask},{t2},{number % 2}")
    (tmp_path / "data.csv").write_text("\n".join(rows))
    moves = ["augment.cutout=0.3", "augment.rotate=9", "augment.intensity=0.2"]
    others = ["train.name=run", "distance=auto", *moves]
    assert train.main(argv(tmp_path, tmp_path / "runs", *others)) == 0
    run = lmttm.open_run(tmp_path / "runs" / "run")
    config = run.config
    assert (config.distance, config.distance_of, config.num_channels) == ("on", (1,), 4)
    images = run.dataset(("val",)).splits["val"].images
    inputs = lmttm.prepare(images, config)
    mask = images[:, 1] >= 128
    assert np.array_equal((inputs[:, 3] > 0).numpy(), mask.numpy())
    assert predict.main([str(tmp_path / "runs" / "run")]) == 0


def test_folds_and_an_ensemble_of_them(scans, tmp_path, capsys):
    """Each run settled windows of its own, and gets the scans as it was trained on them."""
    for fold in range(2):
        more = ("folds=2", f"fold={fold}", f"train.name=fold{fold}")
        assert train.main(argv(scans, tmp_path, *more)) == 0
    names = ["--runs", "fold0", "fold1"]
    assert predict.main([*argv(scans, tmp_path, "folds=2"), *names, "--split", "val"]) == 0
    assert len(rows_of(tmp_path / "fold0+fold1" / "val" / "predictions.csv")) == 18
    assert predict.main([*argv(scans, tmp_path, "folds=2"), *names]) == 0
    scored = rows_of(tmp_path / "fold0+fold1" / "test" / "predictions.csv")[0]
    given = ",".join(str(scans / part) for part in scored["path"].split(","))
    assert predict.main([*argv(scans, tmp_path, "folds=2"), *names, "--input", given]) == 0
    (answer,) = json.loads((tmp_path / "fold0+fold1" / "inputs" / "predictions.json").read_text())
    expected = pytest.approx(float(scored["probability_1"]), abs=1e-5)
    assert answer["probabilities"]["right"] == expected
    table = scans / "cases.csv"
    table.write_text(f"path,path_2\n{scored['path']}\n")
    assert predict.main([*argv(scans, tmp_path, "folds=2"), *names, "--input", str(table)]) == 0
    (row,) = rows_of(tmp_path / "fold0+fold1" / "inputs" / "predictions.csv")
    assert row["path"] == scored["path"]
    assert float(row["right"]) == expected


def test_a_resumed_run_reads_as_many_scans(scans, tmp_path, capsys):
    one = argv(scans, tmp_path, "train.name=run")
    assert train.main(one) == 0
    assert train.main([*one, "train.epoch=2", "--resume"]) == 0
    assert lmttm.open_run(tmp_path / "run").config.model.in_channels == 2


def test_a_case_in_two_splits_is_refused(tmp_path, capsys):
    rows = ["path,path_2,label,split"]
    for number in range(8):
        t1, t2, _ = (path.name for path in case(tmp_path, number))
        split = ("train", "train", "val", "test")[number // 2]
        rows.append(f"{t1},{t2},{number % 2},{split}")
    rows.append(rows[1].replace("train", "test"))
    (tmp_path / "data.csv").write_text("\n".join(rows))
    assert train.main(argv(tmp_path, tmp_path / "runs")) == 2
    told = "00-t1.nii.gz,00-t2.nii.gz (data.csv, line 2) and 00-t1.nii.gz,00-t2.nii.gz (data.csv, "
    assert told in capsys.readouterr().err
