"""tools/prepare.py: what people see of their scans before they train."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests.scanned import write_nifti

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "prepare.py"


@pytest.fixture(scope="module")
def prepare():
    spec = importlib.util.spec_from_file_location("prepare_tool", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def scans(tmp_path):
    """A set of 30 scans with faults of every kind."""
    rows = ["path,label,split"]
    for number in range(30):
        voxels = np.random.default_rng(number % 29).integers(0, 900, (9, 9, 9)).astype(np.int16)
        write_nifti(tmp_path / f"{number}.nii", voxels, (1, 1, 9 if number == 5 else 1))
        split = ("train", "val", "test")[0 if number < 20 else 1 if number < 25 else 2]
        rows.append(f"{number}.nii,{('bad', 'good')[number % 2]},{split}")
    rows.append("lost.nii,bad,test")
    (tmp_path / "data.csv").write_text("\n".join(rows))
    return ["base.json", f"dataset_name={tmp_path}/", f"cache={tmp_path / 'cache'}"]


def test_a_check_lists_all_faults_in_one_table(prepare, scans, capsys):
    assert prepare.main([*scans, "--check"]) == 1
    out = capsys.readouterr().out
    assert "train      20                10                10" in out
    assert "unreadable     data.csv, line 32: " in out
    assert "leak           0.nii (data.csv, line 2) and 29.nii (data.csv, line 31)" in out
    assert "unlike         5.nii has voxels of 1 x 1 x 9 mm, most have about 1 x 1 x 1 mm" in out


def test_the_cache_is_removed_by_one_command(prepare, scans, tmp_path, capsys):
    prepare.main([*scans, "--check"])
    assert (tmp_path / "cache").is_dir()
    assert prepare.main([*scans, "--clear"]) == 0
    assert not (tmp_path / "cache").exists()


@pytest.mark.pictures
def test_scans_are_shown_as_shipped_weights_see_them(prepare, tmp_path, monkeypatch, capsys):
    """Guards against a help text that offers runs and weights where only a folder worked."""
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "scan.npy", np.arange(28**3, dtype=np.uint8).reshape(28, 28, 28))
    words = ["phantommnist3d_28", "~/scan.npy", "--output", "~/sheet.png"]
    assert prepare.main(words) == 0
    assert "the window is each scan's own" not in capsys.readouterr().out
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_an_impossible_word_is_one_message(prepare, tmp_path, capsys):
    """Guards against a traceback where a path is too long to be looked for."""
    for words in ([f"root={'x' * 300}", "a.npy"], ["x" * 300]):
        assert prepare.main(["demo.json", *words]) == 2
        assert "each name in it 255" in capsys.readouterr().err


@pytest.mark.pictures
def test_scans_are_shown_before_training(prepare, scans, tmp_path, capsys):
    picture = tmp_path / "sheet.png"
    paths = [str(tmp_path / "1.nii"), str(tmp_path / "lost.nii")]
    assert prepare.main([*scans, *paths, "--output", str(picture)]) == 1
    captured = capsys.readouterr()
    assert "1.nii: nothing remarkable" in captured.out
    assert "lost.nii is not there" in captured.err
    assert picture.stat().st_size > 1000
    assert prepare.main([*scans]) == 2
