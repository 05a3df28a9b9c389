"""Checkpoints: whole or not at all, and nothing in them runs."""

import errno
import os
import pickle

import pytest
import torch

from lmttm.config.files import load_config
from lmttm.errors import InputError, RunError
from lmttm.model.build import build_model
from lmttm.runs import checkpoint
from tests.conftest import TINY


@pytest.fixture
def saved(tmp_path, tiny):
    torch.manual_seed(0)
    model = build_model(tiny)
    path = tmp_path / "best.pth"
    checkpoint.save(path, config=tiny, model=model, epoch=3, validation={"val_auc": 0.5})
    return path, model


def rewrite(path, content):
    """Another content, as from a stranger: without a checksum."""
    torch.save(content, path)
    path.with_name(f"{path.name}.sha256").unlink()


def test_a_checkpoint_rebuilds_its_model(saved, tiny):
    path, model = saved
    loaded = checkpoint.load(path)
    assert loaded.config == tiny
    assert (loaded.epoch, loaded.validation) == (3, {"val_auc": 0.5})
    rebuilt = loaded.build()
    volumes = torch.rand(2, 1, 28, 28, 28)
    assert torch.equal(rebuilt(volumes), model.eval()(volumes))


def in_average(model):
    return torch.optim.swa_utils.AveragedModel(model)


def compiled_cell(model):
    model.cell = torch.compile(model.cell)
    return model


@pytest.mark.parametrize(
    "wrap",
    [
        torch.compile,
        torch.nn.DataParallel,
        in_average,
        compiled_cell,
        lambda model: torch.nn.DataParallel(torch.compile(model)),
        lambda model: torch.compile(torch.nn.DataParallel(model)),
    ],
    ids=["compile", "parallel", "average", "compiled part", "both", "both, the other way"],
)
def test_weights_of_a_wrapped_model_load(tmp_path, tiny, wrap):
    """Guards against `_orig_mod.` and `module.` before each name, with which nothing fitted."""
    torch.manual_seed(0)
    plain = build_model(tiny)
    expected = {name: value.clone() for name, value in plain.state_dict().items()}
    path = tmp_path / "best.pth"
    checkpoint.save(path, config=tiny, model=wrap(plain), epoch=1, validation={})
    loaded = checkpoint.load(path)
    assert loaded.weights.keys() == expected.keys()
    rebuilt = loaded.build().state_dict()
    assert all(torch.equal(rebuilt[name], value) for name, value in expected.items())


def test_another_prefix_is_named(saved):
    path, _ = saved
    content = torch.load(path, weights_only=True)
    content["model"] = {f"student.{name}": value for name, value in content["model"].items()}
    rewrite(path, content)
    with pytest.raises(InputError, match="every name of the weights starts with student\\."):
        checkpoint.load(path).build()


def test_weights_lie_under_the_key_model(saved):
    path, model = saved
    content = torch.load(path, weights_only=True)
    assert content["model"].keys() == model.state_dict().keys()


def test_carried_memory_is_saved_with_the_weights(tmp_path):
    config = load_config("demo.json", [*TINY, "model.memory_start=carried"])
    model = build_model(config)
    model.remember(torch.rand(4, 2, 16), num_steps=4, finite=torch.tensor(True))
    path = tmp_path / "best.pth"
    checkpoint.save(path, config=config, model=model, epoch=1, validation={})
    rebuilt, _ = checkpoint.load_run(tmp_path)
    assert torch.equal(rebuilt.initial_memory.carried_memory, model.initial_memory.carried_memory)


class Malicious:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_nothing_in_a_checkpoint_runs(tmp_path, write):
    trap, path = tmp_path / "ran", tmp_path / "best.pth"
    if write == "torch":
        torch.save({"model": Malicious(trap)}, path)
    else:
        path.write_bytes(pickle.dumps({"model": Malicious(trap)}))
    with pytest.raises(InputError, match="is not a readable checkpoint"):
        checkpoint.load(path)
    assert not trap.exists()


def test_weights_that_do_not_fit_their_configuration(saved):
    path, _ = saved
    content = torch.load(path, weights_only=True)
    content["config"]["model"]["dim"] = 32
    rewrite(path, content)
    with pytest.raises(InputError, match="weights do not fit its configuration") as caught:
        checkpoint.load(path).build()
    assert "\n" not in str(caught.value)


def test_the_configuration_of_a_checkpoint_passes_the_schema(saved):
    path, _ = saved
    content = torch.load(path, weights_only=True)
    content["config"]["model"]["dim"] = -1
    rewrite(path, content)
    with pytest.raises(InputError, match=r"model\.dim must be greater than"):
        checkpoint.load(path)


@pytest.mark.parametrize("content", [{}, [1, 2], {"model": {}, "config": {}}, {"model": 3}])
def test_what_is_no_checkpoint_of_this_project(tmp_path, content):
    path = tmp_path / "best.pth"
    torch.save(content, path)
    with pytest.raises(InputError, match="is not a checkpoint of this project"):
        checkpoint.load(path)


def test_missing(tmp_path):
    with pytest.raises(InputError, match="train first"):
        checkpoint.load_run(tmp_path)


def test_a_full_disk_leaves_the_former_checkpoint_whole(saved, tiny, monkeypatch):
    path, model = saved
    before = path.read_bytes()

    def full(content, target):
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match=r"best.pth cannot be written: the disk is full"):
        checkpoint.save(path, config=tiny, model=model, epoch=4, validation={})
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["best.pth", "best.pth.sha256"]
    checkpoint.load(path)


def test_a_writer_that_hides_a_full_disk(saved, tiny, monkeypatch):
    """Guards against torch's "unexpected pos 576 vs 534" as the message of a full disk."""
    path, model = saved
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))

    def fails(content, target):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534")

    monkeypatch.setattr(torch, "save", fails)
    told = r"best.pth cannot be written: the disk is full \(full\)"
    with pytest.raises(RunError, match=told):
        checkpoint.save(path, config=tiny, model=model, epoch=4, validation={})
    monkeypatch.undo()
    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(RunError, match=r"cannot be written: .*unexpected pos"):
        checkpoint.save(path, config=tiny, model=model, epoch=4, validation={})
