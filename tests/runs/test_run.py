"""A run, opened: by its folder or its configuration."""

import numpy as np
import pytest

import lmttm


def test_a_folder_and_its_configuration_open_the_same_run(trained):
    """There were three ways to open a run, with different checks."""
    by_folder = lmttm.open_run(trained / "a")
    by_file = lmttm.open_run("demo.json", [f"output_dir={trained}", "train.name=a"])
    assert by_folder.folder == by_file.folder
    first, second = (run.score("val").probabilities for run in (by_folder, by_file))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.dim=32"], "model.dim was 16 when the run was trained, got 32"),
        (["test_flips=true"], "test_flips was False when .* which would have no effect; only root"),
        (["folds=3"], "folds was 0 when the run was trained, got 3"),
        (["seed=9"], "seed was 0 when the run was trained, got 9"),
        (["augment.shift=4"], "augment.shift was "),
        (["train.lr=0.5"], "train.lr was "),
        (["fast=false"], "fast was True"),
        (["size=64"], "size must be 28"),
        (["train.name=c"], "there is no checkpoint"),
    ],
)
def test_what_contradicts_the_run_is_refused(trained, overrides, message):
    with pytest.raises(lmttm.InputError, match=message):
        lmttm.open_run("demo.json", [f"output_dir={trained}", "train.name=a", *overrides])


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(lmttm.InputError, match=r"is not a run \(it has no config.json\)"):
        lmttm.open_run(tmp_path)


def test_explain_needs_one_volume(trained):
    run = lmttm.open_run(trained / "a")
    with pytest.raises(lmttm.InputError, match="either a path or the index"):
        run.explain()
    with pytest.raises(lmttm.InputError, match="--index must be from 0 to 19, got 20"):
        run.explain(index=20)
