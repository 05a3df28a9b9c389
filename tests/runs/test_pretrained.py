"""Shipped weights: they load offline, keep their scores, and damage is noticed."""

import json
import shutil

import pytest
import torch

import lmttm
from lmttm.data import phantoms
from lmttm.errors import InputError
from lmttm.runs import pretrained
from tests.conftest import TINY

SHIPPED = pretrained.shipped()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny run, and the same in the form of shipped weights."""
    folder = tmp_path_factory.mktemp("saved")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantoms, "SPLITS", {"train": 24, "val": 12, "test": 12})
        config = lmttm.load_config("demo.json", [*TINY, f"output_dir={folder}", "device=cpu"])
        run = lmttm.train(config)
        run.score("test")
        run.save_weights(folder / "tiny_28")
    return run, folder / "tiny_28"


def test_saved_weights_are_the_runs(saved):
    run, folder = saved
    loaded = pretrained.load(folder)
    for name, tensor in run.members[0].weights.items():
        torch.testing.assert_close(loaded.weights[name], tensor, rtol=0, atol=0)
    assert loaded.config.model == run.config.model
    assert json.dumps(loaded.statistics) == json.dumps(run.members[0].statistics)
    loaded.build()


def test_nothing_of_the_machine_travels_along(saved):
    """A configuration of a run holds the places of one machine."""
    run, folder = saved
    config = json.loads((folder / "config.json").read_text())
    assert (config["root"], config["device"]) == ("./datasets_data/medmnist", "auto")
    assert run.user.output_dir not in (folder / "config.json").read_text()


def test_a_damaged_file_is_named(saved, tmp_path):
    _, folder = saved
    for name in ("model.safetensors", "config.json"):
        copy = tmp_path / name / "tiny_28"
        shutil.copytree(folder, copy)
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} is damaged"):
            pretrained.load(copy)
    with pytest.raises(InputError, match="is not a shipped model"):
        pretrained.load(tmp_path)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(InputError, match="there are no shipped weights brain_28; there are "):
        lmttm.from_pretrained("brain_28")
    with pytest.raises(InputError, match="nor a configuration"):
        lmttm.open_run("brain_28")


# A whole official test split takes its time; the phantoms' is quick.
SCORED = [
    pytest.param(name, marks=() if name.startswith("phantom") else pytest.mark.slow)
    for name in SHIPPED
]


@pytest.mark.parametrize("name", SCORED)
def test_shipped_weights_have_their_scores(name, request, tmp_path):
    """The scores in a card must be those of the weights beside it."""
    overrides = [f"output_dir={tmp_path}", "device=cpu"]
    run = lmttm.from_pretrained(name, overrides)
    if run.config.dataset_name != "PhantomMNIST3D":
        root = request.getfixturevalue("real_root")
        run = lmttm.from_pretrained(name, [*overrides, f"root={root}"])
    recorded = json.loads((SHIPPED[name] / "metrics.json").read_text())
    assert (recorded["epoch"], recorded["validation"]) == (
        run.members[0].epoch,
        run.members[0].validation,
    )
    found = run.score("test").metrics
    assert found["auc"] == pytest.approx(recorded["auc"], abs=1e-3)
    assert found["acc"] == pytest.approx(recorded["acc"], abs=0.004)
    assert f"value: {recorded['acc']:.4f}" in (SHIPPED[name] / "README.md").read_text()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_are_small(name):
    assert sum(path.stat().st_size for path in SHIPPED[name].iterdir()) < 2**20


@pytest.mark.skipif("vesselmnist3d_28" not in SHIPPED, reason="needs these weights")
def test_what_shipped_weights_have_not_seen_is_refused(tmp_path):
    """A model of cropped masks gives an answer for a CT as well: it means nothing."""
    import numpy as np

    rng = np.random.default_rng(0)
    ball = np.hypot.reduce(np.indices((28, 28, 28)) - 13.5) < 5
    np.save(tmp_path / "mask.npy", ball.astype(np.uint8))
    np.save(tmp_path / "ct.npy", rng.normal(0, 300, (40, 40, 40)).astype(np.int16))
    uncropped = np.zeros((200, 200, 200), np.uint8)
    uncropped[100, 100, 95:105] = 1
    np.save(tmp_path / "uncropped.npy", uncropped)
    run = lmttm.from_pretrained("vesselmnist3d_28", [f"output_dir={tmp_path}", "device=cpu"])
    answers = run.predict([tmp_path / f"{name}.npy" for name in ("mask", "ct", "uncropped")])
    assert [row["path"] for row in answers.rows] == [str(tmp_path / "mask.npy")]
    ct, uncropped_mask = (answers.failures[str(tmp_path / f"{n}.npy")] for n in ("ct", "uncropped"))
    assert "is unlike the volumes that vesselmnist3d_28 was trained on: it is no mask" in ct
    assert "mean intensity" in uncropped_mask


def test_the_page_of_an_explanation_repeats_it_by_the_name_of_the_weights(tmp_path):
    """Guards against a command that names a folder which is no run."""
    run = lmttm.from_pretrained("phantommnist3d_28", [f"output_dir={tmp_path}", "device=cpu"])
    page = run.explain(index=0).files[0].read_text(encoding="utf-8")
    assert "python tools/explain.py phantommnist3d_28 --index 0" in page
