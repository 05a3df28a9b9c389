"""Scores of a split: the files, calibration, thresholds."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import lmttm
from lmttm.data import phantoms
from lmttm.evaluation import metrics
from lmttm.evaluation.calibration import fit_temperature
from lmttm.runs import predictor
from lmttm.runs.scoring import score_split
from lmttm.runs.trained import Trained


def logits(run, split):
    (found,) = predictor.predict(run.members, run.dataset().splits[split], run.user).logits
    return found


def test_scores_are_those_of_the_written_files(trained):
    run = lmttm.open_run(trained / "a")
    scores = run.score("test")
    folder = trained / "a" / "test"
    assert json.loads((folder / "metrics.json").read_text()) == scores.metrics
    table = np.genfromtxt(folder / "predictions.csv", delimiter=",", skip_header=1)
    np.testing.assert_allclose(table[:, -2:], scores.probabilities, atol=1e-7)
    right = scores.probabilities.argmax(axis=1) == scores.labels
    assert scores.metrics["acc"] == pytest.approx(right.mean())


def test_intervals_are_over_patients_where_they_have_several_scans(trained, monkeypatch):
    """Guards against an interval that takes three scans of a patient for three patients."""
    run = lmttm.open_run(trained / "b")
    dataset = run.dataset(("test",))
    patients = tuple(f"p{number // 4}" for number in range(20))
    split = replace(dataset.splits["test"], patients=patients)
    known = replace(dataset, splits={"test": split})
    monkeypatch.setattr(Trained, "dataset", lambda self, splits: known)
    scores = run.score("test")
    assert scores.metrics["interval_over"] == "patients"
    found = scores.labels, scores.probabilities
    assert scores.metrics["interval"] == metrics.intervals(*found, patients=patients)
    assert scores.metrics["interval"]["acc"] != metrics.intervals(*found)["acc"]
    folder = trained / "b" / "test"
    assert "bootstrap intervals over the patients" in (folder / "report.html").read_text()
    assert (folder / "predictions.csv").read_text().splitlines()[-1].endswith(",p4")


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


def test_scores_of_a_training_that_has_not_ended_say_so(trained, tmp_path):
    """Guards against a report that looks like that of a finished run, as the terminal is gone."""
    assert lmttm.open_run(trained / "a").score("test").metrics["unfinished"] == {}
    assert "has not ended" not in (trained / "a" / "test" / "report.html").read_text()
    folder = shutil.copytree(trained / "a", tmp_path / "half")
    config = json.loads((folder / "config.json").read_text())
    config["train"] |= {"epoch": 3, "name": "half"}
    (folder / "config.json").write_text(json.dumps(config))
    run = lmttm.open_run(folder)
    run.score("test")
    scores = json.loads((folder / "test" / "metrics.json").read_text())
    assert scores["unfinished"] == {"half": "1 of 3 epochs"}
    told = "the training of half has not ended: these are its weights after 1 of 3 epochs"
    head, _, _ = (folder / "test" / "report.html").read_text().partition("<main>")
    assert told in head
    head, _, _ = run.explain(index=0).files[0].read_text().partition("<main>")
    assert told in head
    with pytest.raises(lmttm.InputError, match=f"only a finished run can be saved, but {told}"):
        run.save_weights(tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize("option", [{"calibrate": True}, {"threshold": "youden"}])
def test_what_is_chosen_on_a_split_is_not_scored_on_it(trained, option):
    """Guards against `--calibrate --split val`, which fits and scores the same volumes."""
    with pytest.raises(lmttm.InputError, match="chooses on the validation split"):
        lmttm.open_run(trained / "a").score("val", **option)


def test_a_temperature_that_cannot_be_fitted_stays_1(trained, monkeypatch, caplog):
    """Guards against results that are refused, or made worse, by a validation split too small."""
    run = lmttm.open_run(trained / "b")
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 24, "val": 12, "test": 20})
    before = run.score("test").metrics
    scores = run.score("test", calibrate=True)
    assert "the temperature of b stays 1: a fit needs 50 validation volumes" in caplog.text
    assert scores.metrics == before
    np.testing.assert_array_equal(scores.calibrated.probabilities, scores.probabilities)
    folder = trained / "b" / "test"
    found = json.loads((folder / "metrics-calibrated.json").read_text())
    assert found["temperature"] == [1.0]
    assert found["kept_at_1"][0].startswith("a fit needs")
    assert found["ece"] == found["ece_uncalibrated"]
    assert "temperature 1.000 (not fitted)\n" in scores.text(folder)
    assert "The temperature of b stays 1: a fit needs" in (folder / "report.html").read_text()


def test_nothing_is_stored_where_one_of_two_choices_is_refused(trained, plausible, monkeypatch):
    """Guards against a temperature that is stored by a command that then fails."""
    run = lmttm.open_run(trained / "b")
    for name in ("calibration.json", "threshold.json"):
        (trained / "b" / name).unlink(missing_ok=True)
    for choice in ("calibration.calibrate", "choose"):
        with monkeypatch.context() as patch:

            def refuses(*_):
                raise lmttm.InputError("too little")

            patch.setattr(f"lmttm.runs.scoring.{choice}", refuses)
            with pytest.raises(lmttm.InputError, match="too little"):
                run.score("test", calibrate=True, threshold="youden")
        assert not (trained / "b" / "calibration.json").exists()
        assert not (trained / "b" / "threshold.json").exists()


def test_the_methods_of_a_run_are_these_functions(trained):
    run = lmttm.open_run(trained / "a")
    direct = score_split(run, "test", calibrate=False, threshold=None, progress=False)
    assert direct.metrics == run.score("test").metrics
