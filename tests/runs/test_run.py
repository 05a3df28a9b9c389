"""A run, opened: by its folder or its configuration, alone or as an ensemble."""

import json
import shutil

import numpy as np
import pytest
import torch

import lmttm
from lmttm.data import phantoms
from lmttm.data.dataset import Split
from lmttm.evaluation import metrics
from lmttm.evaluation.calibration import fit_temperature
from lmttm.evaluation.threshold import choose, rates
from lmttm.runs import predictor
from tests.conftest import TINY


@pytest.fixture(autouse=True)
def _fewer_phantoms(monkeypatch):
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 24, "val": 60, "test": 20})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of two runs, a and b, that differ in their seed."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantoms, "SPLITS", {"train": 24, "val": 60, "test": 20})
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


@pytest.fixture
def plausible(monkeypatch):
    """Logits of networks that are somewhat right and too sure: a run of one epoch only guesses."""

    def logits(machine, split):
        generator = torch.Generator().manual_seed(machine.config.seed + len(split))
        noise = torch.randn(len(split), 2, generator=generator)
        return 3 * (noise + 1.2 * torch.nn.functional.one_hot(split.labels, 2))

    monkeypatch.setattr(predictor._Machine, "logits", logits)


def logits(run, split):
    (found,) = predictor.predict(run.members, run.dataset().splits[split], run.user).logits
    return found


def test_a_calibrated_score_stands_beside_the_other(trained, plausible):
    """Guards against a temperature that is fitted on the scored split, and scores written over."""
    run = lmttm.open_run(trained / "a")
    plain = run.score("test")
    before = {p.name: p.read_bytes() for p in (trained / "a" / "test").glob("*.*s*")}
    both = run.score("test", calibrate=True)
    assert plain.calibrated is None
    assert both.metrics == plain.metrics
    np.testing.assert_array_equal(both.probabilities, plain.probabilities)
    for name in ("metrics.json", "predictions.csv"):
        assert (trained / "a" / "test" / name).read_bytes() == before[name]

    val, test = (run.dataset().splits[name].labels for name in ("val", "test"))
    expected = fit_temperature(logits(run, "val"), val)
    assert expected != pytest.approx(fit_temperature(logits(run, "test"), test), rel=1e-3)
    assert both.calibrated.metrics["temperature"] == [pytest.approx(expected)]
    scaled = (logits(run, "test").double() / expected).softmax(dim=1).numpy()
    np.testing.assert_allclose(both.calibrated.probabilities, scaled, atol=1e-6)
    folder = trained / "a" / "test"
    table = np.genfromtxt(folder / "predictions-calibrated.csv", delimiter=",", skip_header=1)
    np.testing.assert_allclose(table[:, -2:], scaled, atol=1e-6)
    found = json.loads((folder / "metrics-calibrated.json").read_text())
    assert found["ece"] == metrics.calibration_error(test.numpy(), both.calibrated.probabilities)
    assert found["ece_uncalibrated"] == plain.metrics["ece"]
    run.score("test")
    assert not (folder / "metrics-calibrated.json").exists()  # or it might be of other weights


@pytest.mark.parametrize("option", [{"calibrate": True}, {"threshold": "youden"}])
def test_what_is_chosen_on_a_split_is_not_scored_on_it(trained, option):
    """Guards against `--calibrate --split val`, which fits and scores the same volumes."""
    with pytest.raises(lmttm.InputError, match="chooses on the validation split"):
        lmttm.open_run(trained / "a").score("val", **option)


def test_too_few_volumes_leave_the_results_alone(trained, monkeypatch):
    run = lmttm.open_run(trained / "b")
    before = run.score("test").metrics
    (trained / "b" / "calibration.json").unlink(missing_ok=True)
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 24, "val": 12, "test": 20})
    with pytest.raises(lmttm.InputError, match="needs 50 validation volumes"):
        run.score("test", calibrate=True)
    assert not (trained / "b" / "calibration.json").exists()
    assert json.loads((trained / "b" / "test" / "metrics.json").read_text()) == before


@pytest.mark.parametrize("names", [["a"], ["a", "b"]], ids=["one run", "two runs"])
def test_a_threshold_is_chosen_on_validation_and_used_with_scans(
    trained, names, tmp_path, plausible
):
    run = lmttm.open_run(trained / "a", names=names)
    dataset = run.dataset()
    seen, scored = (
        predictor.predict(run.members, dataset.splits[name], run.user).probabilities()
        for name in ("val", "test")
    )
    expected = choose(dataset.splits["val"].labels.numpy(), seen, "sensitivity=0.8")
    np.save(tmp_path / "scan.npy", phantoms.generate(1, 0)[0][0])
    options = {"calibrate": True, "threshold": "sensitivity=0.8"}
    scores = run.score("test", **options)
    assert scores.threshold["value"] == expected.value
    labels = dataset.splits["test"].labels.numpy()
    assert scores.threshold["test"] == rates(labels, scored, expected.value)
    assert json.loads((run.folder / "test" / "threshold.json").read_text()) == scores.threshold

    answers = run.predict([tmp_path / "scan.npy"], **options)
    (row,) = answers.rows
    assert answers.threshold == expected
    assert answers.temperatures == scores.calibrated.metrics["temperature"]
    second = row["probabilities"][run.class_names[1]]
    assert row["at_threshold"] == run.class_names[int(second >= expected.value)]
    volume = torch.from_numpy(phantoms.generate(1, 0)[0])
    split = Split("inputs", volume, torch.zeros(1, dtype=torch.int64))
    each = predictor.predict(run.members, split, run.user)
    scaled = each.probabilities(answers.temperatures)
    np.testing.assert_allclose(list(row["calibrated"].values()), scaled[0], atol=1e-6)
    assert row["probabilities"] == run.predict([tmp_path / "scan.npy"]).rows[0]["probabilities"]
    with pytest.raises(lmttm.InputError, match=r"was chosen by sensitivity=0.8"):
        run.predict([tmp_path / "scan.npy"], threshold="youden")


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
