"""train.py: bad input, interruption, and what is kept."""

import json

import numpy as np
import pytest
import torch

import predict
import train
from lmttm.runs import checkpoint
from tests.conftest import TINY
from tests.scripts.commands import own_set, refused


def test_the_same_command_twice_gives_the_same_numbers(tmp_path, arguments):
    runs = []
    for name in ("one", "two"):
        noisy = ["model.memory_start=carried", "model.drop_r=0.2", "augment.flip_axes=H,W"]
        assert train.main([*arguments, *noisy, "train.epoch=2", f"train.name={name}"]) == 0
        weights = checkpoint.load(tmp_path / name / "last.pth").weights
        lines = (tmp_path / name / "log.jsonl").read_text().splitlines()
        log = [json.loads(line) | {"seconds": 0} for line in lines]
        runs.append((weights, log))
    assert runs[0][1] == runs[1][1]
    assert all(torch.equal(value, runs[1][0][key]) for key, value in runs[0][0].items())


def test_the_last_epoch_is_kept_where_asked_for(tmp_path, arguments, capsys):
    """Guards against an earlier epoch, kept because its validation AUC happened to be higher."""
    assert train.main([*arguments, "train.epoch=3", "train.keep=last"]) == 0
    assert "last epoch 3: validation AUC" in capsys.readouterr().out
    kept = checkpoint.load(tmp_path / "demo" / "best.pth")
    last = checkpoint.load(tmp_path / "demo" / "last.pth")
    assert kept.epoch == 3
    for name, weights in last.weights.items():
        assert torch.equal(weights, kept.weights[name]), name


BAD_INPUT = [
    ([], "the following arguments are required: config"),
    (["nothing.json"], "the configuration nothing.json does not exist"),
    (["demo.json", "model.dimm=3"], "did you mean model.dim?"),
    (["demo.json", "model.out_class_num=3"], "must be 2 for PhantomMNIST3D, got 3"),
    (["demo.json", "model.dim=30"], "divisible by model.num_heads, got dim=30"),
    (["demo.json", "model.memory_tokens_size=30"], "divisible by model.num_blocks"),
    (["demo.json", "model.patch_size=29"], "must not be larger than the volume"),
    (["demo.json", "dataset_name=Brain"], "must be one of OrganMNIST3D, NoduleMNIST3D"),
    (
        ["demo.json", "device=cuda:99"],
        "device (train.gpu in published files) must be available, got cuda:99",
    ),
    (["demo.json", "train.epoch=many"], 'train.epoch must be a valid integer, got "many"'),
    (["demo.json", "nonsense"], "an override must look like train.epoch=3, got 'nonsense'"),
    (["demo.json", "--replace", "--resume"], "not allowed with argument"),
]


@pytest.mark.parametrize(("argv", "told"), BAD_INPUT, ids=lambda value: str(value)[:40])
def test_bad_input_is_one_sentence_and_leaves_nothing(argv, told, tmp_path, capsys):
    argv = [*argv, f"output_dir={tmp_path / 'runs'}"] if argv else argv
    assert told in refused(train.main, argv, capsys)
    assert list(tmp_path.iterdir()) == []


def test_broken_json_gives_line_and_column(tmp_path, capsys):
    path = tmp_path / "broken.json"
    path.write_text('{\n  "batch_size": 3,\n  "model": {\n}')
    assert "line 4, column 2" in refused(train.main, [str(path)], capsys)


def test_a_run_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    argv = ["demo.json", *TINY, f"output_dir={tmp_path / 'file'}"]
    assert "cannot be made" in refused(train.main, argv, capsys)


def test_an_interruption_ends_with_130(monkeypatch, arguments):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("lmttm.training.loop.load_dataset", interrupt)
    assert train.main(arguments) == 130


def test_one_volume_in_a_split(tmp_path, arguments, capsys):
    """Guards against a crash in a score, an interval or a picture after an epoch of training."""
    path = own_set(tmp_path / "few.npz")
    with np.load(path) as file:
        arrays = {name: file[name] for name in file}
    for name in ("train", "val", "test"):
        for kind in ("images", "labels"):
            arrays[f"{name}_{kind}"] = arrays[f"{name}_{kind}"][:1]
    np.savez(path, **arrays)
    argv = [*arguments, f"dataset_name={path}", "model.preprocess_mode=3dBN"]
    assert train.main(argv) == 0
    err = capsys.readouterr().err
    assert "the training split has no volume of: class 1; it cannot be learned" in err
    assert "the validation split has no volume of: class 1; the AUC is not defined" in err
    assert predict.main(argv) == 0
    assert "not defined: a class has no volume" in capsys.readouterr().out
