"""predict.py --input, end to end: volumes of one's own, and files that cannot be used."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

import predict
import train
from lmttm import load_run, open_run, prepare
from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.data.sources import load_dataset
from tests.conftest import TINY
from tests.scanned import bad_inputs


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
    assert "warning: its mean intensity is 250; in training it was" in capsys.readouterr().out


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
        (["--axes", "xyy"], "volume.axes must be an order of x, y and z, got xyy"),
        (["--extent", "0"], "volume.extent must be more than 0 mm, got 0"),
        (["--centre", "1,2"], "must be 3 numbers, got 1,2"),
        (["--window", "5,1"], "volume.window must go from low to high, got 5,1"),
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


def test_a_name_that_is_not_utf_8_does_not_lose_the_table(trained, volume, tmp_path, capsys):
    """Guards against a traceback after all volumes were scored."""
    run_dir, arguments = trained
    good, bad = (os.fsdecode(os.fsencode(tmp_path) + name) for name in (b"/\xff.npy", b"/\xfe.npy"))
    np.save(good, volume)
    shutil.copy(good, tmp_path / "plain, name\n2.npy")
    Path(bad).write_bytes(b"none")
    paths = [good, bad, str(tmp_path / "plain, name\n2.npy")]
    assert predict.main([*arguments, "--input", *paths]) == 1
    captured = capsys.readouterr()
    assert "\\xff.npy" in captured.out
    assert "\\xfe.npy" in captured.err
    rows = json.loads((run_dir / "inputs" / "predictions.json").read_text())
    assert rows[0]["path"].endswith("/\\xff.npy")
    with (run_dir / "inputs" / "predictions.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    found = open_run("demo.json", arguments[1:]).explain(good)
    assert all(path.is_file() for path in found.files)


def test_a_prediction_imports_nothing_slow_that_it_does_not_need(trained, volume, tmp_path):
    """Guards against seconds of imports before an answer, above all of torch's compiler."""
    np.save(tmp_path / "v.npy", volume)
    code = (
        "import sys, predict; code = predict.main(sys.argv[1:]); "
        "print(code, *sorted(name for name in sys.modules if '.' not in name), 'torch._dynamo' "
        "in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(trained[0]), "--input", str(tmp_path / "v.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, *modules, compiler = done.stdout.splitlines()[-1].split()
    assert (code, compiler) == ("0", "False")
    slow = {"matplotlib", "sklearn", "pandas", "tensorboard", "torchvision", "medmnist", "nibabel"}
    assert not slow & set(modules)
