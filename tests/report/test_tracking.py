"""Trackers of experiments, with modules in their place that write down what they are sent."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from lmttm.errors import InputError
from lmttm.report.tracking import Tracking, check_tracker

SETTINGS = {"model.dim": 8, "augment.flip_axes": ["D"]}
RECORD = {"epoch": 3, "train_loss": 0.5, "val_auc": None, "val_acc": 0.75, "best": True}


@pytest.fixture
def sent(monkeypatch):
    """What both trackers are sent, as pairs of a function and its arguments."""
    calls = []

    def noted(name):
        return lambda *arguments, **options: calls.append((name, arguments, options))

    wandb, mlflow = ModuleType("wandb"), ModuleType("mlflow")
    run = SimpleNamespace(log=noted("log"), finish=noted("finish"))
    wandb.init = lambda **options: noted("init")(**options) or run
    for name in ("set_experiment", "start_run", "log_params", "log_metrics", "end_run"):
        setattr(mlflow, name, noted(name))
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    return calls


def track(name):
    tracking = Tracking(name, Path("runs/mine"), SETTINGS)
    tracking.add(RECORD)
    tracking.close()


def test_weights_and_biases_gets_configuration_and_defined_numbers(sent):
    check_tracker("wandb")
    track("wandb")
    options = {"project": "lmttm", "name": "mine", "dir": "runs/mine", "config": SETTINGS}
    assert sent == [
        ("init", (), options),
        ("log", ({"train_loss": 0.5, "val_acc": 0.75},), {"step": 3}),
        ("finish", (), {}),
    ]


def test_mlflow_gets_configuration_and_defined_numbers(sent):
    check_tracker("mlflow")
    track("mlflow")
    assert sent == [
        ("set_experiment", ("lmttm",), {}),
        ("start_run", (), {"run_name": "mine"}),
        ("log_params", (SETTINGS,), {}),
        ("log_metrics", ({"train_loss": 0.5, "val_acc": 0.75},), {"step": 3}),
        ("end_run", (), {}),
    ]


def test_none_sends_nothing(sent):
    check_tracker("none")
    track("none")
    assert sent == []


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_named_with_its_command(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=f"pip install {name}$"):
        check_tracker(name)


@pytest.mark.parametrize("where", ["set_experiment", "log_metrics", "end_run"])
def test_a_tracker_that_fails_does_not_stop_the_training(sent, where, monkeypatch, caplog):
    def fail(*arguments, **options):
        raise ConnectionError("no network")

    monkeypatch.setattr(sys.modules["mlflow"], where, fail)
    track("mlflow")
    (warning,) = caplog.messages
    assert warning == "train.logger=mlflow failed, and gets nothing more: no network"
