"""Training from Python: what it returns, what it reports, what it refuses."""

import json
import sys
from types import ModuleType

import pytest
import torch

import lmttm
from lmttm.data import phantoms
from lmttm.runs import checkpoint
from lmttm.training import loop
from lmttm.training.interrupt import Interrupted
from tests.conftest import TINY


@pytest.fixture(autouse=True)
def _fewer_phantoms(monkeypatch):
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 24, "val": 12, "test": 12})


def configured(tmp_path, *overrides):
    places = [f"output_dir={tmp_path}", "device=cpu", "batch_size=8"]
    return lmttm.load_config("demo.json", [*TINY, *places, *overrides])


def test_train_returns_the_run_and_prints_nothing(tmp_path, capsys):
    """Logic lived in the script: nobody could train from Python without its output."""
    lines = []
    run = lmttm.train(configured(tmp_path, "train.epoch=2"), report=lines.append)
    assert capsys.readouterr().out == ""
    assert run.folder == (tmp_path / "demo").resolve()
    assert [line.split()[1] for line in lines if line.startswith("epoch")] == ["1/2", "2/2"]
    assert lines[-1].startswith("best epoch")
    history = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    best = max(history, key=lambda record: (record["val_auc"], -record["val_loss"]))
    assert run.members[0].epoch == best["epoch"]


def test_a_run_that_exists_is_kept_unless_told_otherwise(tmp_path):
    config = configured(tmp_path)
    lmttm.train(config)
    before = (tmp_path / "demo" / "best.pth").read_bytes()
    with pytest.raises(lmttm.InputError, match="exists"):
        lmttm.train(config)
    assert (tmp_path / "demo" / "best.pth").read_bytes() == before
    lines = []
    lmttm.train(config, resume=True, report=lines.append)
    assert "is finished: 1 epochs are done" in lines[-1]


def test_equal_auc_the_lower_loss_wins(tmp_path, monkeypatch):
    """An epoch of equal AUC and higher loss took the place of the better one."""
    losses = iter([0.5, 0.7, 0.4])
    monkeypatch.setattr(
        loop,
        "_validate",
        lambda *_: {
            "val_loss": next(losses),
            "val_auc": 0.8,
            "val_acc": 0.5,
            "val_balanced_acc": 0.5,
        },
    )
    run = lmttm.train(configured(tmp_path, "train.epoch=3"))
    history = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert [record["best"] for record in history] == [True, False, True]
    assert run.members[0].epoch == 3


def test_a_signal_raises_with_the_place_and_the_run_resumes(tmp_path, monkeypatch):
    from lmttm.training.interrupt import Interruption

    config = configured(tmp_path, "train.epoch=2")
    with monkeypatch.context() as patch:
        patch.setattr(Interruption, "signal", 15)
        with pytest.raises(Interrupted, match="stopped in epoch 1, step 0") as stop:
            lmttm.train(config)
    assert stop.value.exit_code == 143
    run = lmttm.train(config, resume=True)
    assert run.members[0].config.train.epoch == 2


def test_averaged_weights_are_validated_and_kept(tmp_path):
    """Guards against the raw weights in their place, in the scores or in the file.

    The scores of best.pth are computed again from its weights, and these are the average in
    last.pth, not the weights that the training resumes from.
    """
    config = configured(tmp_path, "train.ema=0.7", "train.epoch=2", "train.keep=last")
    run = lmttm.train(config)
    best, last = (checkpoint.load(run.folder / name) for name in ("best.pth", "last.pth"))
    averaged = last.training["trainer"]["averaged"]
    differing = 0
    for name, kept in best.weights.items():
        assert torch.equal(kept, averaged[f"module.{name}"]), name
        differing += not torch.equal(kept, last.weights[name])
    assert differing > 10

    split = lmttm.load_dataset(config).splits["val"]
    volumes = lmttm.prepare(split.images, config)
    for saved, same in ((best, True), (last, False)):
        with torch.no_grad():
            logits = saved.build()(volumes)
        loss = torch.nn.functional.cross_entropy(logits, split.labels).item()
        assert (loss == pytest.approx(best.validation["val_loss"], abs=1e-5)) == same


def test_without_an_average_the_weights_themselves_are_kept(tmp_path):
    run = lmttm.train(configured(tmp_path, "train.ema=0", "train.keep=last"))
    best, last = (checkpoint.load(run.folder / name) for name in ("best.pth", "last.pth"))
    assert all(torch.equal(best.weights[name], value) for name, value in last.weights.items())


def test_the_chosen_logger_gets_every_epoch_and_a_missing_one_stops_nothing_half_way(
    tmp_path, monkeypatch
):
    sent, mlflow = [], ModuleType("mlflow")
    for name in ("set_experiment", "start_run", "log_params", "end_run"):
        setattr(mlflow, name, lambda *arguments, name=name, **options: sent.append(name))
    mlflow.log_metrics = lambda numbers, step: sent.append((step, numbers["val_loss"]))
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    run = lmttm.train(configured(tmp_path, "train.epoch=2", "train.logger=mlflow"))
    history = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    losses = [(record["epoch"], record["val_loss"]) for record in history]
    assert sent == ["set_experiment", "start_run", "log_params", *losses, "end_run"]
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(lmttm.InputError, match="pip install wandb"):
        lmttm.train(configured(tmp_path, "train.name=other", "train.logger=wandb"))
    assert not (tmp_path / "other").exists()


def test_tensorboard_has_each_step_of_a_resumed_run_once(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = lmttm.train(configured(tmp_path))
    lmttm.train(configured(tmp_path, "train.epoch=2"), resume=True)
    history = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    events = EventAccumulator(str(run.folder / "tensorboard" / "steps")).Reload()
    losses = events.Scalars("step_loss")
    assert [event.step for event in losses] == [1, 2, 3, 4, 5, 6]  # 24 volumes by 8, twice
    means = [sum(event.value for event in part) / 3 for part in (losses[:3], losses[3:])]
    assert means == pytest.approx([record["train_loss"] for record in history], rel=1e-5)
