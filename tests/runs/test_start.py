"""Trainings that start from the weights of a trained run."""

import json

import pytest
import torch

import lmttm
from lmttm.data import phantoms
from lmttm.errors import InputError
from lmttm.model.build import build_model
from lmttm.runs import pretrained
from lmttm.runs.start import START, _refuse_leak, load_start, take_over
from tests.conftest import TINY


@pytest.fixture(scope="module", autouse=True)
def _fewer_phantoms():
    former, phantoms.SPLITS = phantoms.SPLITS, {"train": 16, "val": 12, "test": 12}
    yield
    phantoms.SPLITS = former


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a trained run `first`."""
    folder = tmp_path_factory.mktemp("runs")
    lmttm.train(configured(folder, "train.name=first", "train.epoch=2"))
    return folder


def configured(folder, *overrides):
    places = [f"output_dir={folder}", "device=cpu", "batch_size=8"]
    return lmttm.load_config("demo.json", [*TINY, *places, *overrides])


def test_without_a_step_the_weights_are_those_of_the_run(home, tmp_path):
    """Against the start itself: with a learning rate of nothing, the run keeps what it took."""
    options = [f"train.start_from={home / 'first'}", "train.lr=1e-30", "train.warmup_steps=0"]
    lines = []
    run = lmttm.train(configured(tmp_path, *options, "train.ema=0"), report=lines.append)
    first = lmttm.open_run(home / "first").members[0]
    weights = run.members[0].weights
    for name, tensor in first.weights.items():
        if name != "initial_memory.carried_memory":  # which each step of a training stores
            torch.testing.assert_close(weights[name], tensor)
    assert any(line.startswith(f"starts from {home / 'first'}, epoch ") for line in lines)
    written = json.loads((run.folder / START).read_text())
    assert written["fingerprint"] == first.fingerprint()
    assert set(written["taken"]) == set(first.weights)
    assert run.config.train.start_from == str(home / "first")
    assert json.loads((run.folder / "config.json").read_text())["train"]["start_from"]


@pytest.mark.parametrize(
    ("override", "new"),
    [
        ("model.out_class_num=5", {"classifier.weight", "classifier.bias"}),
        ("model.summarize_num_tokens=4", {"cell.read.summarize.score.3.weight"}),
        ("model.patch_size=4", {"tokenizer.embed.0.weight"}),
    ],
)
def test_what_fits_is_taken_over_and_the_rest_is_new(override, new, home):
    """Another number of classes, of tokens, of voxels in a patch."""
    config = configured(home, f"train.start_from={home / 'first'}", override)
    start, model = load_start(config), build_model(config)
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    found = take_over(model, start, config.train.start_from)
    assert new <= set(found.new)
    assert len(found.taken) > len(fresh) / 2
    for name, value in model.state_dict().items():
        expected = fresh[name] if name in found.new else start.weights[name]
        assert torch.equal(value, expected), name
    assert f"new: {next(iter(found.new))} (" in found.text


def test_parts_that_the_model_lacks_are_counted(home):
    config = configured(home, f"train.start_from={home / 'first'}", "model.memory_mode=none")
    found = take_over(build_model(config), load_start(config), "first")
    assert "cell.write.positions.table" in found.left
    assert "not used: " in found.text


def test_shipped_weights_are_a_start_too():
    name = sorted(pretrained.shipped())[0]
    config = lmttm.load_config(f"{pretrained.shipped()[name]}/config.json")
    train = config.train.model_copy(update={"start_from": name})
    config = config.model_copy(update={"train": train})
    found = take_over(build_model(config), load_start(config), name)
    assert found.new == {}


@pytest.mark.parametrize("name", ["nowhere", "runs/none", "vesselmnist3d_29", "demo.json"])
def test_a_start_that_is_not_there_is_one_sentence(name, tmp_path):
    told = f"train.start_from must be the folder of a trained run .* got '{name}'"
    with pytest.raises(InputError, match=told):
        lmttm.train(configured(tmp_path, f"train.start_from={name}"))
    assert not (tmp_path / "demo").exists()


def test_a_start_of_which_nothing_fits_is_refused(home, tmp_path):
    options = [f"train.start_from={home / 'first'}", "model.model=resnet3d"]
    with pytest.raises(InputError, match="none of its weights fits this model"):
        lmttm.train(configured(tmp_path, *options))
    assert not (tmp_path / "demo").exists()


def test_a_damaged_start_is_named(home, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "best.pth").write_bytes((home / "first" / "best.pth").read_bytes()[:-99])
    with pytest.raises(InputError, match=r"best\.pth is not a readable checkpoint"):
        load_start(configured(tmp_path, f"train.start_from={folder}"))


def test_another_fold_of_the_same_data_is_a_leak(home):
    """Guards against a validation on volumes that the weights have been trained on."""
    folds = [f"train.start_from={home / 'first'}", "folds=4", "fold=1"]
    with pytest.raises(InputError, match=r"was trained on other folds of PhantomMNIST3D.*leaks="):
        load_start(configured(home, *folds))
    assert load_start(configured(home, *folds, "leaks=allow")) is not None


@pytest.mark.parametrize(
    ("here", "refused"),
    [("mine/", True), ("./mine", True), ("{cwd}/mine/", True), ("other/", False)],
)
def test_a_leak_is_seen_however_a_path_is_spelt(here, refused, tmp_path, monkeypatch):
    """Guards against another fold of one set that is taken for another set, by its path."""
    monkeypatch.chdir(tmp_path)
    there = configured(tmp_path, "dataset_name=./mine/", "folds=4", "fold=0")
    name = f"dataset_name={here.format(cwd=tmp_path)}"
    now = configured(tmp_path, name, "folds=4", "fold=1", "train.start_from=there")
    if refused:
        with pytest.raises(InputError, match="was trained on other folds of "):
            _refuse_leak(there, now)
    else:
        _refuse_leak(there, now)


def test_a_run_may_start_from_itself_and_resume(home, tmp_path):
    """The folder is cleared only after the weights are read; a resumed run needs no start."""
    lmttm.train(configured(tmp_path))
    options = [f"train.start_from={tmp_path / 'demo'}", "train.lr=1e-30"]
    before = lmttm.open_run(tmp_path / "demo").members[0].weights
    lmttm.train(configured(tmp_path, *options, "train.name=demo"), replace=True)
    after = lmttm.open_run(tmp_path / "demo").members[0].weights
    torch.testing.assert_close(after["classifier.weight"], before["classifier.weight"])
    other = [f"train.start_from={home / 'first'}", "train.name=second"]
    lmttm.train(configured(tmp_path, *other))
    (home / "first").rename(home / "moved")
    try:
        longer = configured(tmp_path, *other, "train.epoch=2")
        assert len(lmttm.train(longer, resume=True).folder.joinpath("log.jsonl").read_text()) > 0
    finally:
        (home / "moved").rename(home / "first")
