"""predict.py: scores, ensembles, and what it refuses."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import predict
import train
from lmttm import load_run
from lmttm.data import phantoms
from lmttm.data.dataset import prepare
from lmttm.data.sources import load_dataset
from tests.scripts.commands import refused


def test_predictions_do_not_depend_on_the_batch_size(run_dir, arguments):
    """Guards against a dropped last batch and an average divided by the wrong count."""
    tables = []
    for size in (1, 7, 64):
        assert predict.main([*arguments, f"batch_size={size}"]) == 0
        path = run_dir / "test" / "predictions.csv"
        tables.append(np.genfromtxt(path, delimiter=",", skip_header=1))
    for table in tables:
        np.testing.assert_allclose(table, tables[0], atol=1e-5)


def test_predict_before_train(arguments, tmp_path, capsys):
    assert "train first" in refused(predict.main, arguments, capsys)
    assert list(tmp_path.iterdir()) == []


def test_predict_refuses_an_override_that_contradicts_the_checkpoint(run_dir, arguments, capsys):
    message = refused(predict.main, [*arguments, "model.dim=32"], capsys)
    assert "model.dim was 16 when the run was trained, got 32" in message
    assert not (run_dir / "test").exists()
    assert predict.main([*arguments, "distance=auto"]) == 0  # what training decided


def test_predict_takes_the_model_from_the_checkpoint(run_dir, tmp_path):
    """The JSON gives name and place; what it says of the model does not matter."""
    assert predict.main(["base.json", f"output_dir={tmp_path}", "train.name=demo"]) == 0
    scores = json.loads((run_dir / "test" / "metrics.json").read_text())
    assert scores["dataset"] == "PhantomMNIST3D"


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "other"])
def test_predict_on_a_damaged_checkpoint(run_dir, arguments, capsys, damage):
    path = run_dir / "best.pth"
    content = path.read_bytes()
    if damage == "other":
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        parts = {"truncated": content[: len(content) // 2], "text": b"no weights", "empty": b""}
        path.write_bytes(parts[damage])
    assert "best.pth" in refused(predict.main, arguments, capsys)
    assert not (run_dir / "test").exists()


@pytest.mark.pictures
def test_pictures_are_written(run_dir, arguments):
    assert predict.main(arguments) == 0
    for name in ("curves.png", "test/scores.png", "test/wrong.png"):
        with Image.open(run_dir / name) as picture:
            assert min(picture.size) > 100
    page = (run_dir / "test" / "report.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 5_000_000
    events = list((run_dir / "tensorboard").glob("events.*"))
    tags = {tag for path in events for tag in figures_in(path)}
    assert {"curves", "test/scores", "test/wrong"} <= tags


def figures_in(path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    events = EventFileLoader(str(path)).Load()
    return [value.tag for event in events for value in event.summary.value]


def test_an_ensemble_is_the_mean_of_its_members(run_dir, arguments, tmp_path):
    """Its probabilities are the mean of the runs'."""
    assert train.main([*arguments, "train.name=other", "seed=5"]) == 0
    tables = []
    for name in ("demo", "other"):
        assert predict.main([*arguments, f"train.name={name}"]) == 0
        path = tmp_path / name / "test" / "predictions.csv"
        tables.append(np.genfromtxt(path, delimiter=",", skip_header=1))
    assert predict.main([*arguments, "--runs", "demo", "other", "batch_size=9"]) == 0
    path = tmp_path / "demo+other" / "test" / "predictions.csv"
    joined = np.genfromtxt(path, delimiter=",", skip_header=1)
    np.testing.assert_allclose(joined[:, 3:], (tables[0] + tables[1])[:, 3:] / 2, atol=1e-6)
    scores = json.loads((path.parent / "metrics.json").read_text())
    assert scores["runs"] == ["demo", "other"]
    assert scores["seed"] == [3407, 5]


def test_an_ensemble_of_different_data_is_refused(run_dir, arguments, capsys):
    assert train.main([*arguments, "train.name=fold", "folds=3"]) == 0
    message = refused(predict.main, [*arguments, "--runs", "demo", "fold"], capsys)
    assert "folds must be the same in all runs, got 0 in demo and 3 in fold" in message


def test_predict_prints_what_a_reader_needs(run_dir, arguments, capsys, monkeypatch, tmp_path):
    """Intervals, calibration error, temperature, and what a threshold finds and misses.

    Guards against results of `--calibrate` that are written over those without it.
    """

    def logits(machine, split):  # of a network that is somewhat right and too sure
        noise = torch.randn(len(split), 2, generator=torch.Generator().manual_seed(len(split)))
        return 3 * (noise + 1.2 * torch.nn.functional.one_hot(split.labels, 2))

    monkeypatch.setattr("lmttm.runs.predictor._Machine.logits", logits)
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 70, "val": 60, "test": 50})
    assert predict.main(arguments) == 0
    before = (run_dir / "test" / "metrics.json").read_text()
    scores = json.loads(before)
    out = capsys.readouterr().out
    low, high = scores["interval"]["auc"]
    assert f"AUC                {scores['auc']:.3f}   (95 %: {low:.3f} to {high:.3f})" in out
    assert f"calibration error  {scores['ece']:.3f}" in out
    assert "note:" not in out

    options = ["--calibrate", "--threshold", "sensitivity=0.9"]
    assert predict.main([*arguments, *options]) == 0
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines() if str(tmp_path) not in line) <= 80
    assert (run_dir / "test" / "metrics.json").read_text() == before
    found = json.loads((run_dir / "test" / "metrics-calibrated.json").read_text())
    assert f"temperature {found['temperature'][0]:.3f}, fitted on the validation split" in out
    cut = json.loads((run_dir / "test" / "threshold.json").read_text())
    assert f"from a probability of {cut['value']:.3f} on (sensitivity=0.9, chosen" in out
    assert f"sensitivity {cut['test']['sensitivity']:.3f}" in out
    assert f"PPV {cut['test']['ppv']:.3f}" in out

    np.save(tmp_path / "scan.npy", phantoms.generate(1, 0)[0][0])
    assert predict.main([*arguments, "--input", str(tmp_path / "scan.npy"), *options]) == 0
    out = capsys.readouterr().out
    assert f"calibrated at the stored temperature {found['temperature'][0]:.3f}" in out
    assert f"threshold {cut['value']:.3f}, as stored (sensitivity=0.9)" in out
    header = (run_dir / "inputs" / "predictions.csv").read_text().splitlines()[0]
    assert "calibrated" in header
    assert "at threshold" in header


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--calibrate", "--split", "val"], "--calibrate chooses on the validation split"),
        (["--threshold", "youden", "--split", "val"], "--threshold chooses on the validation"),
        (["--threshold", "best"], "must be youden or such as sensitivity=0.9, got 'best'"),
        (["--calibrate", "--input", "x.npy"], "calibration.json; run predict.py with --calibrate"),
        (["test_flips=true"], "which would have no effect; only root, device, batch_size"),
    ],
)
def test_predict_refuses_what_would_mislead(run_dir, arguments, capsys, options, told):
    assert told in refused(predict.main, [*arguments, *options], capsys)
    assert not (run_dir / "test" / "metrics.json").exists()


def test_one_answer_for_all_volumes_is_noted(run_dir, arguments, capsys, monkeypatch):
    """Guards against an ACC of 0.9 that is the majority rate."""
    logits = torch.tensor([0.0, 1.0])
    monkeypatch.setattr(
        "lmttm.runs.predictor._Machine.logits", lambda _, split: logits.expand(len(split), 2)
    )
    assert predict.main(arguments) == 0
    assert "note: all 50 volumes got the same answer, " in capsys.readouterr().out


def test_flips_at_test_time_are_averaged(run_dir, arguments, tmp_path):
    flips = ["augment.flip_axes=H,W", "test_flips=true", "train.name=flips"]
    assert train.main([*arguments, *flips]) == 0
    assert predict.main([*arguments, "train.name=flips"]) == 0
    model, config = load_run(tmp_path / "flips")
    volumes = prepare(load_dataset(config).splits["test"].images, config)
    with torch.no_grad():
        logits = sum(model(volumes.flip(axes)) for axes in ([], [3], [4], [3, 4])) / 4
    path = tmp_path / "flips" / "test" / "predictions.csv"
    rows = np.genfromtxt(path, delimiter=",", skip_header=1)
    np.testing.assert_allclose(rows[:, 3:], logits.softmax(dim=1).numpy(), atol=1e-5)
