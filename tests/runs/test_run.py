"""A run, opened: by its folder or its configuration, alone or as an ensemble."""

import json
import shutil

import numpy as np
import pytest

import lmttm
from lmttm.data import phantoms
from tests.conftest import TINY


@pytest.fixture(autouse=True)
def _fewer_phantoms(monkeypatch):
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 24, "val": 12, "test": 12})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of two runs, a and b, that differ in their seed."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantoms, "SPLITS", {"train": 24, "val": 12, "test": 12})
        for seed, name in enumerate("ab"):
            overrides = [f"output_dir={folder}", f"train.name={name}", f"seed={seed}", "device=cpu"]
            lmttm.train(lmttm.load_config("demo.json", [*TINY, *overrides]))
    return folder


def test_a_folder_and_its_configuration_open_the_same_run(trained):
    """There were three ways to open a run, with different checks."""
    by_folder = lmttm.open_run(trained / "a")
    by_file = lmttm.open_run("demo.json", [f"output_dir={trained}", "train.name=a"])
    assert by_folder.folder == by_file.folder
    first, second = (run.score("val").probabilities for run in (by_folder, by_file))
    np.testing.assert_array_equal(first, second)


def test_scores_are_those_of_the_written_files(trained):
    run = lmttm.open_run(trained / "a")
    scores = run.score("test")
    folder = trained / "a" / "test"
    assert json.loads((folder / "metrics.json").read_text()) == scores.metrics
    table = np.genfromtxt(folder / "predictions.csv", delimiter=",", skip_header=1)
    np.testing.assert_allclose(table[:, -2:], scores.probabilities, atol=1e-7)
    right = scores.probabilities.argmax(axis=1) == scores.labels
    assert scores.metrics["acc"] == pytest.approx(right.mean())


def test_an_ensemble_averages_probabilities(trained):
    both = lmttm.open_run(trained / "a", names=["a", "b"])
    each = [lmttm.open_run(trained / name).score("test").probabilities for name in "ab"]
    np.testing.assert_allclose(both.score("test").probabilities, np.mean(each, axis=0), atol=1e-12)
    assert (trained / "a+b" / "test" / "metrics.json").is_file()
    with pytest.raises(lmttm.InputError, match="only a single run can be exported, got a, b"):
        both.export()
    with pytest.raises(lmttm.InputError, match="only a single run can be explained, got a, b"):
        both.explain(index=0)


def test_the_temperature_is_fitted_on_validation_not_on_the_scored_split(trained):
    """A temperature fitted on the scored split makes its own score look good."""
    from lmttm.evaluation.calibration import fit_temperature
    from lmttm.runs.predictor import _Machine

    run = lmttm.open_run(trained / "a")
    machine = _Machine(run.members[0], run.user, progress=False)
    val, test = (run.dataset().splits[name] for name in ("val", "test"))
    expected = fit_temperature(machine.logits(val), val.labels)
    assert expected != pytest.approx(fit_temperature(machine.logits(test), test.labels), rel=1e-3)
    scores = run.score("test", calibrate=True)
    logits = machine.logits(test).double() / expected
    np.testing.assert_allclose(scores.probabilities, logits.softmax(dim=1).numpy(), atol=1e-6)


def test_a_run_that_was_moved_or_renamed_still_opens(trained, tmp_path):
    shutil.copytree(trained / "a", tmp_path / "elsewhere")
    run = lmttm.open_run(tmp_path / "elsewhere")
    assert run.folder == (tmp_path / "elsewhere").resolve()
    run.score("val")
    assert (tmp_path / "elsewhere" / "val" / "metrics.json").is_file()


def test_scans_are_classified_without_printing(trained, tmp_path, capsys):
    volume = phantoms.generate(1, 0)[0][0]
    np.save(tmp_path / "scan.npy", volume)
    (tmp_path / "broken.npy").write_bytes(b"nothing")
    run = lmttm.open_run(trained / "a")
    answers = run.predict([tmp_path / "scan.npy", tmp_path / "broken.npy"])
    assert [row["path"] for row in answers.rows] == [str(tmp_path / "scan.npy")]
    assert list(answers.failures) == [str(tmp_path / "broken.npy")]
    assert capsys.readouterr() == ("", "")
    alone = run.explain(tmp_path / "scan.npy").explanation.probabilities
    np.testing.assert_allclose(list(answers.rows[0]["probabilities"].values()), alone, atol=1e-5)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.dim=32"], "model.dim was 16 when the run was trained, got 32"),
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
    with pytest.raises(lmttm.InputError, match="--index must be from 0 to 11, got 12"):
        run.explain(index=12)
