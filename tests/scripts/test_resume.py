"""train.py on a folder that already holds a run: --resume and --replace."""

import json

import pytest
import torch

import predict
import train
from lmttm.runs import checkpoint
from tests.scripts.commands import own_set, refused


def test_resume_gives_the_uninterrupted_run(tmp_path, arguments, capsys):
    noisy = ["model.memory_start=carried", "model.drop_r=0.2", "augment.shift=2"]
    # With a cosine the first epoch would depend on how many are planned.
    argv = [*arguments, *noisy, "train.schedule=constant"]
    parts = [*argv, "train.name=parts"]
    assert train.main([*argv, "train.name=whole", "train.epoch=3"]) == 0
    assert train.main([*parts, "train.epoch=1"]) == 0
    assert train.main(["--resume", *parts, "train.epoch=3"]) == 0
    first, second = (checkpoint.load(tmp_path / n / "last.pth") for n in ("whole", "parts"))
    assert first.epoch == second.epoch == 3
    for key, value in first.weights.items():
        assert torch.equal(value, second.weights[key]), key
    lines = (tmp_path / "parts" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]

    capsys.readouterr()
    assert train.main([*parts, "train.epoch=3", "--resume"]) == 0
    assert "is finished: 3 epochs are done" in capsys.readouterr().out


def test_more_epochs_of_a_cosine_are_warned_of(arguments, capsys):
    """Guards against a learning rate that jumps up without a word when a run is resumed."""
    argv = [*arguments, "train.schedule=cosine", "train.warmup_steps=0"]
    assert train.main([*argv, "train.epoch=1"]) == 0
    assert train.main([*argv, "train.epoch=3", "--resume"]) == 0
    err = capsys.readouterr().err
    assert "now ends after 3 epochs instead of 1: the learning rate goes from 0 to 0.00075" in err


def test_a_run_tells_the_precision_that_it_had(tmp_path, arguments, monkeypatch, capsys):
    """The records of a run must not say `auto`; resuming with `auto` is no change."""
    monkeypatch.setattr("lmttm.training.setup.fast_in_bf16", lambda device: True)
    automatic = [*arguments, "train.precision=auto"]
    assert train.main([*automatic, "train.epoch=1"]) == 0
    assert (
        json.loads((tmp_path / "demo" / "config.json").read_text())["train"]["precision"] == "bf16"
    )
    assert "trained in bf16" in capsys.readouterr().out
    assert train.main([*automatic, "train.epoch=2", "--resume"]) == 0
    monkeypatch.setattr("lmttm.training.setup.fast_in_bf16", lambda device: False)
    assert train.main([*automatic, "train.epoch=3", "--resume"]) == 0  # as on another device
    assert checkpoint.load(tmp_path / "demo" / "last.pth").config.train.precision == "bf16"
    fixed = [*arguments, "train.precision=fp32", "train.epoch=4", "--resume"]
    assert "changed: train.precision (was 'bf16')" in refused(train.main, fixed, capsys)


@pytest.mark.parametrize("fused", [[False, True], [True, False]], ids=["to a GPU", "from a GPU"])
def test_a_run_is_resumed_with_the_optimizer_of_another_device(
    tmp_path, arguments, monkeypatch, fused
):
    """Guards against a crash in `found_inf`: on a GPU Adam is fused, on the CPU it is not."""
    from lmttm.training import setup

    real = setup.make_optimizer

    def make_optimizer(model, **settings):
        kind = type(real(model, **settings))
        lr, decay = settings["lr"], settings["weight_decay"]
        return kind(model.parameters(), lr=lr, weight_decay=decay, fused=fused[0])

    monkeypatch.setattr(setup, "make_optimizer", make_optimizer)
    argv = [*arguments, "train.optimizer=AdamW", "train.schedule=constant"]
    assert train.main([*argv, "train.epoch=1"]) == 0
    fused.reverse()
    assert train.main([*argv, "train.epoch=2", "--resume"]) == 0
    assert checkpoint.load(tmp_path / "demo" / "last.pth").epoch == 2


def test_a_data_set_that_moved_or_was_replaced(tmp_path, arguments, capsys):
    """Guards against a run that trains on, or is scored on, other volumes without a word."""
    old, new = own_set(tmp_path / "old.npz"), tmp_path / "new.npz"
    argv = [*arguments, "train.schedule=constant"]
    assert train.main([*argv, f"dataset_name={old}", "train.epoch=1"]) == 0
    old.rename(new)
    moved = [*argv, f"dataset_name={new}"]
    assert predict.main(moved) == 0
    assert train.main([*moved, "train.epoch=2", "--resume"]) == 0
    assert "has moved to" in capsys.readouterr().err

    own_set(new, seed=1)
    told = refused(train.main, [*moved, "train.epoch=3", "--resume"], capsys)
    assert "was replaced since the run" in told
    assert predict.main(moved) == 0
    assert f"the data set {new} was replaced since demo was trained" in capsys.readouterr().err
    new.rename(old)
    other = [*argv, f"dataset_name={old}"]
    assert "changed: dataset_name" in refused(train.main, [*other, "--resume"], capsys)


def test_resume_without_a_run_starts_one(tmp_path, arguments):
    assert train.main([*arguments, "--resume"]) == 0
    assert (tmp_path / "demo" / "best.pth").is_file()


def test_resume_refuses_another_configuration(run_dir, arguments, capsys):
    message = refused(train.main, [*arguments, "--resume", "train.epoch=3", "seed=9"], capsys)
    assert "changed: seed (was 3407)" in message


def test_a_run_is_not_overwritten(run_dir, arguments, capsys):
    before = (run_dir / "best.pth").read_bytes()
    message = refused(train.main, arguments, capsys)
    assert "exists; --resume continues it, --replace starts it anew" in message
    assert (run_dir / "best.pth").read_bytes() == before

    (run_dir / "old").write_text("")
    assert train.main([*arguments, "--replace"]) == 0
    assert not (run_dir / "old").exists()
    lines = (run_dir / "log.jsonl").read_text().splitlines()
    assert len(lines) == 1


def test_replace_leaves_a_folder_alone_that_is_no_run(tmp_path, arguments, capsys):
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    assert "is not a run" in refused(train.main, [*arguments, "--replace"], capsys)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_replace_loses_nothing_when_the_new_run_cannot_start(run_dir, arguments, capsys):
    before = (run_dir / "best.pth").read_bytes()
    refused(train.main, [*arguments, "--replace", "model.out_class_num=5"], capsys)
    assert (run_dir / "best.pth").read_bytes() == before


def test_training_ends_at_the_auc_that_was_asked_for(tmp_path, arguments, capsys):
    argv = [*arguments, "train.epoch=5", "train.stop_auc=0.01"]
    assert train.main(argv) == 0
    assert len((tmp_path / "demo" / "log.jsonl").read_text().splitlines()) == 1
    capsys.readouterr()
    assert train.main([*argv, "--resume"]) == 0
    assert "is finished: 1 epochs are done" in capsys.readouterr().out
