"""train.py, then predict.py, as a user runs them."""

import json
import shutil

import numpy as np
import pytest
import torch

import predict
import train
from lmttm import load_run
from lmttm.config.files import load_config
from lmttm.data.dataset import prepare
from lmttm.data.sources import load_dataset
from lmttm.runs import checkpoint
from tests.conftest import TINY

SCORES = {
    "dataset",
    "split",
    "n",
    "acc",
    "auc",
    "balanced_acc",
    "majority",
    "confusion_matrix",
    "per_class",
    "interval",
    "interval_over",
    "unfinished",
    "ece",
    "runs",
    "seed",
    "epoch",
    "validation",
}


def test_train_then_predict(tmp_path, arguments, capsys):
    assert train.main([*arguments, "train.epoch=2"]) == 0
    out = capsys.readouterr().out
    assert "PhantomMNIST3D, 28^3 voxels, 2 classes" in out
    assert "majority rate 0.500 (val)" in out
    assert max(len(line) for line in out.splitlines() if str(tmp_path) not in line) <= 80

    folder = tmp_path / "demo"
    names = {"config.json", "best.pth", "last.pth", "log.jsonl", "tensorboard"}
    assert names <= {path.name for path in folder.iterdir()}
    assert load_config(folder / "config.json").train.epoch == 2
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in log] == [1, 2]
    assert list((folder / "tensorboard").glob("events.*"))

    assert predict.main(arguments) == 0
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines() if str(tmp_path) not in line) <= 80
    scores = json.loads((folder / "test" / "metrics.json").read_text())
    assert set(scores) == SCORES
    assert f"ACC                {scores['acc']:.3f}" in out
    assert scores["n"] == 50 == sum(map(sum, scores["confusion_matrix"]))
    assert set(scores["per_class"]) == {"precision", "recall", "f1", "specificity", "support"}

    rows = np.genfromtxt(folder / "test" / "predictions.csv", delimiter=",", names=True)
    assert rows.dtype.names == (
        "index",
        "label",
        "prediction",
        "probability_0",
        "probability_1",
    )
    labels = load_dataset(load_config("demo.json")).splits["test"].labels
    assert rows["index"].tolist() == list(range(50))
    assert rows["label"].tolist() == labels.tolist()
    assert np.mean(rows["label"] == rows["prediction"]) == scores["acc"]
    np.testing.assert_allclose(rows["probability_0"] + rows["probability_1"], 1, atol=1e-6)


def test_the_best_epoch_is_the_one_saved(run_dir, arguments):
    """Guards against a best score whose model is not the one that is kept."""
    log = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    best = max(log, key=lambda r: (r["val_auc"], -r["val_loss"]))
    assert checkpoint.load(run_dir / "best.pth").epoch == best["epoch"]
    assert predict.main([*arguments, "--split", "val"]) == 0
    scores = json.loads((run_dir / "val" / "metrics.json").read_text())
    assert scores["auc"] == pytest.approx(best["val_auc"], abs=1e-6)
    assert scores["acc"] == pytest.approx(best["val_acc"])
    assert scores["epoch"] == best["epoch"]


def test_a_run_needs_nothing_but_its_checkpoint(run_dir):
    """Guards against a checkpoint that needs the same JSON lying around to be loaded."""
    (run_dir / "config.json").unlink()
    model, config = load_run(run_dir)
    assert config.model.dim == 16
    assert not model.training
    volumes = prepare(torch.randint(256, (3, 28, 28, 28), dtype=torch.uint8), config)
    assert model(volumes).shape == (3, 2)


def test_options_and_overrides_in_any_order(tmp_path, arguments):
    first, *rest = arguments
    assert train.main(["--replace", first, *rest]) == 0
    assert train.main([first, *rest[:2], "--replace", *rest[2:]]) == 0
    assert predict.main([first, *rest[:1], "--split", "val", *rest[1:]]) == 0
    assert (tmp_path / "demo" / "val" / "metrics.json").is_file()


def test_real_data_end_to_end(real_root, tmp_path, capsys):
    """All 298 official test volumes are scored."""
    argv = ["adrenalmnist3d.json", *TINY, f"root={real_root}", f"output_dir={tmp_path}"]
    assert train.main([*argv, "train.name=real"]) == 0
    assert predict.main([*argv, "train.name=real"]) == 0
    scores = json.loads((tmp_path / "real" / "test" / "metrics.json").read_text())
    assert scores["n"] == 298
    assert round(scores["majority"], 3) == 0.768
    assert scores["dataset"] == "AdrenalMNIST3D"
    shutil.rmtree(tmp_path / "real")
