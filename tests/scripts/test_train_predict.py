"""train.py and predict.py, end to end, as a user runs them."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import predict
import train
from lmttm import load_run
from lmttm.config.files import load_config
from lmttm.data import phantoms
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
    "ece",
    "runs",
    "seed",
    "epoch",
    "validation",
}


FEWER = {"train": 70, "val": 40, "test": 50}


@pytest.fixture(autouse=True)
def _fewer_phantoms(monkeypatch):
    monkeypatch.setattr(phantoms, "SPLITS", FEWER)


def command(folder):
    """A command line for a tiny run."""
    return ["demo.json", *TINY, f"output_dir={folder}", "device=cpu"]


@pytest.fixture
def arguments(tmp_path):
    """A command line for a tiny run in a folder of its own."""
    return command(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a tiny run of two epochs; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantoms, "SPLITS", FEWER)
        assert train.main([*command(folder), "train.epoch=2"]) == 0
    return folder / "demo"


@pytest.fixture
def run_dir(tmp_path, trained):
    """A copy of the folder of a trained run."""
    return shutil.copytree(trained, tmp_path / "demo")


def refused(main, argv, capsys):
    """Runs a command that must end with exit code 2 and one sentence; gives the sentence."""
    capsys.readouterr()
    try:
        code = main(argv)
    except SystemExit as error:  # argparse
        code = error.code
    out, err = capsys.readouterr()
    assert code == 2
    assert "Traceback" not in out + err
    sentences = [line for line in err.splitlines() if line.startswith(("error:", "usage:"))]
    assert len(sentences) == 1
    return err.strip()


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
    assert f"ACC           {scores['acc']:.3f}" in out
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


def test_predictions_do_not_depend_on_the_batch_size(run_dir, arguments):
    """Guards against a dropped last batch and an average divided by the wrong count."""
    tables = []
    for size in (1, 7, 64):
        assert predict.main([*arguments, f"batch_size={size}"]) == 0
        path = run_dir / "test" / "predictions.csv"
        tables.append(np.genfromtxt(path, delimiter=",", skip_header=1))
    for table in tables:
        np.testing.assert_allclose(table, tables[0], atol=1e-5)


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


def own_set(path, seed=0):
    """A labelled set in MedMNIST's form."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name in ("train", "val", "test"):
        arrays[f"{name}_images"] = rng.integers(256, size=(12, 28, 28, 28), dtype=np.uint8)
        arrays[f"{name}_labels"] = np.arange(12)[:, None] % 2
    np.savez(path, **arrays)
    return path


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


def test_replace_loses_nothing_when_the_new_run_can_not_start(run_dir, arguments, capsys):
    before = (run_dir / "best.pth").read_bytes()
    refused(train.main, [*arguments, "--replace", "model.out_class_num=5"], capsys)
    assert (run_dir / "best.pth").read_bytes() == before


def test_options_and_overrides_in_any_order(tmp_path, arguments):
    first, *rest = arguments
    assert train.main(["--replace", first, *rest]) == 0
    assert train.main([first, *rest[:2], "--replace", *rest[2:]]) == 0
    assert predict.main([first, *rest[:1], "--split", "val", *rest[1:]]) == 0
    assert (tmp_path / "demo" / "val" / "metrics.json").is_file()


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


def test_a_run_folder_that_can_not_be_made(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    argv = ["demo.json", *TINY, f"output_dir={tmp_path / 'file'}"]
    assert "cannot be made" in refused(train.main, argv, capsys)


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


def test_interruption_says_so(monkeypatch, arguments, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("lmttm.training.loop.load_dataset", interrupt)
    assert train.main(arguments) == 130


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
    assert f"AUC           {scores['auc']:.3f}   (95 %: {low:.3f} to {high:.3f})" in out
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
        (["--calibrate"], "needs 50 validation volumes, 5 of each class, got 40"),
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


def test_training_ends_at_the_auc_that_was_asked_for(tmp_path, arguments, capsys):
    argv = [*arguments, "train.epoch=5", "train.stop_auc=0.01"]
    assert train.main(argv) == 0
    assert len((tmp_path / "demo" / "log.jsonl").read_text().splitlines()) == 1
    capsys.readouterr()
    assert train.main([*argv, "--resume"]) == 0
    assert "is finished: 1 epochs are done" in capsys.readouterr().out
