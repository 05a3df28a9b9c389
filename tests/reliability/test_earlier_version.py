"""Runs of an earlier version: what it wrote loads, scores and resumes as it did there.

The files of `tests/fixtures/run` were written by the last version before `lmttm/` had rooms, by

    python train.py demo.json train.name=fixture train.epoch=2 batch_size=100 train.ema=0.5
        model.dim=16 model.memory_tokens_size=8 model.num_heads=2 model.summarize_num_tokens=2
        model.mlp_ratio=1 model.memory_start=carried train.stop_auc=0 train.precision=fp32

Do not write them anew: that would hide a break of the format.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch

import lmttm
from lmttm.runs import checkpoint
from tests.conftest import TINY

RUN = Path(__file__).resolve().parents[1] / "fixtures" / "run"

# The third epoch, as the same version recorded it when the run was resumed with train.epoch=3.
THIRD = {
    "lr": 0.00048,
    "train_loss": 0.7051545715332032,
    "val_loss": 0.7074728608131409,
    "val_auc": 0.4948,
    "val_acc": 0.5,
    "val_balanced_acc": 0.5,
}

# Fresh weights, as the same version drew them: the sum of their sizes, parameter by parameter.
FRESH = {
    "": 11323.30672,
    "model.model=ttm": 11443.26036,
    "model.memory_mode=TL-MHA model.process_unit=mixer model.preprocess_mode=3dBN": 22859.86149,
    "model.memory_mode=TL-AddErase model.process_unit=mlp model.memory_start=learned": 6841.325798,
    "model.memory_mode=none model.pool=attention model.preprocess_mode=resnet18": 429846.6576,
    "model.share_layers=false model.depth=3 model.norm=post model.mark_neighbours=true": 42295.1078,
    "model.model=resnet3d": 17175376.09,
}


@pytest.fixture
def run_dir(tmp_path):
    """A copy of the run, to write in."""
    return Path(shutil.copytree(RUN, tmp_path / "fixture"))


def test_the_best_checkpoint_gives_the_scores_that_it_was_saved_with(run_dir):
    run = lmttm.open_run(run_dir, ["device=cpu"])
    recorded = run.members[0].validation
    found = run.score("val").metrics
    assert found["epoch"] == recorded["epoch"] == 2
    assert found["auc"] == pytest.approx(recorded["val_auc"], abs=1e-3)
    assert found["acc"] == recorded["val_acc"]
    assert found["balanced_acc"] == recorded["val_balanced_acc"]


def test_the_last_checkpoint_resumes_with_the_epoch_that_followed(run_dir):
    """Weights, their average, optimizer, carried memory, noise: all go on where they stopped."""
    overrides = ["train.epoch=3", f"output_dir={run_dir.parent}", "device=cpu"]
    run = lmttm.train(lmttm.load_config(run_dir / "config.json", overrides), resume=True)
    lines = (run.folder / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["epoch"] for record in records] == [1, 2, 3]
    for key, value in THIRD.items():
        assert records[2][key] == pytest.approx(value, rel=1e-4), key


def test_weights_keep_their_names_and_their_order():
    """The order too: an optimizer's state belongs to parameters by their number."""
    saved = checkpoint.load(RUN / "last.pth")
    torch.manual_seed(0)
    model = lmttm.build_model(saved.config)
    assert list(model.state_dict()) == list(saved.weights)
    moments = saved.training["trainer"]["optimizer"]["state"]
    shapes = [tuple(moments[number]["exp_avg"].shape) for number in sorted(moments)]
    assert shapes == [tuple(parameter.shape) for parameter in model.parameters()]


@pytest.mark.parametrize(("overrides", "expected"), FRESH.items(), ids=FRESH)
def test_a_seed_gives_the_weights_that_it_gave(overrides, expected):
    """Guards against random numbers that are drawn in another order: old results must repeat."""
    config = lmttm.load_config("demo.json", [*TINY, *overrides.split()])
    torch.manual_seed(config.seed)
    parameters = list(lmttm.build_model(config).parameters())
    sizes = [parameter.detach().double().abs().sum().item() for parameter in parameters]
    found = sum(number * size for number, size in enumerate(sizes, start=1))
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_stored_run_names_no_place_of_the_machine_that_it_was_made_on():
    for path in RUN.iterdir():
        content = path.read_bytes()
        assert not any(word in content for word in (b"/home", b"/root", b"/tmp", b"/work")), path
