"""Explanations: they show what mattered, and follow the weights."""

import numpy as np
import pytest
import torch
from PIL import Image

import train
from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.data.augment import Augment
from lmttm.data.dataset import Split, prepare
from lmttm.evaluation.explanation import explain
from lmttm.model.build import build_model
from lmttm.training.trainer import Trainer
from tests.conftest import TINY
from tools import explain as script


def bright_slab(number, seed):
    """Noise, but for one slab of 7 slices: class 1 has a bright block in it."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (number, 28, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 2, number)
    images[labels == 1, 14:21, 7:21, 7:21] += 150
    return Split("train", torch.from_numpy(images), torch.from_numpy(labels))


@pytest.fixture(scope="module")
def trained():
    """A machine that has learned to look at the third of its four slabs."""
    config = load_config("demo.json", [*TINY, "model.dim=32"])
    torch.manual_seed(0)
    model = build_model(config)
    trainer = Trainer(
        model,
        bright_slab(96, seed=0),
        augment=Augment(),
        optimizer=torch.optim.AdamW(model.parameters(), lr=3e-3),
        lr_at=lambda step: 3e-3,
        seed=0,
        batch_size=8,
    )
    while trainer.train_epoch() > 0.05:
        assert trainer.epoch < 40
    return model.eval(), config


def test_the_slab_that_matters_carries_the_weight(trained):
    model, config = trained
    split = bright_slab(20, seed=1)
    positive = split.images[split.labels == 1]
    found = explain(model, prepare(positive, config))
    assert (found.probabilities[:, 1] > 0.9).all()
    effects = found.step_effects.mean(dim=0)
    assert effects.argmax() == 2
    assert effects[2] > 3 * effects[[0, 1, 3]].abs().max()
    # Before that slab the answer was open; after it, the answer is clear.
    assert (found.running[:, 3, 1] > found.running[:, 1, 1]).all()


def test_with_other_weights_the_map_is_another(trained):
    model, config = trained
    volumes = prepare(bright_slab(4, seed=2).images, config)
    torch.manual_seed(9)
    stranger = build_model(config).eval()
    one, two = (explain(m, volumes).attention.flatten(1) for m in (model, stranger))
    for a, b in zip(one, two, strict=True):
        assert np.corrcoef(a.numpy(), b.numpy())[0, 1] < 0.9


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.radius=2"],
        ["model.model=ttm"],
        ["model.memory_mode=none"],
        ["model.memory_mode=TL-MHA"],
        ["model.memory_mode=TL-AddErase"],
        ["model.preprocess_mode=resnet18"],
        ["model.preprocess_mode=3dBN", "model.patch_size=6", "model.border=pad"],
        ["model.patch_size=6", "model.patch_stride=4"],
        ["distance=on", "model.stem=2", "model.border=pad"],
        ["dataset_name=mine/", "size=[12,28,20]", "model.patch_size=[3,7,4]"],
        ["dataset_name=mine/", "size=[9,28,20]", "model.preprocess_mode=resnet18"],
        ["distance=on", "model.pool=attention", "model.out_class_num=3"],
    ],
    ids=lambda o: " ".join(o),
)
def test_every_variant_can_be_explained(overrides):
    config = load_config("base.json", [*TINY, *overrides])
    model = build_model(config).eval()
    masks = torch.zeros(2, *config.shape, dtype=torch.uint8)
    masks[:, 5:20, 5:20, 9:15] = 255
    volumes = prepare(masks, config)
    found = explain(model, volumes)
    expected = model.run(volumes)
    steps = expected.step_logits.shape[1]
    torch.testing.assert_close(found.probabilities, expected.logits.softmax(dim=1))
    torch.testing.assert_close(found.running[:, -1], found.probabilities)
    assert found.attention.shape == (2, *config.shape)
    torch.testing.assert_close(found.token_attention.mean(dim=1), found.attention)
    assert found.attention.min() >= 0
    # All looking is shared out, and what fell on the input is found again in the voxels.
    torch.testing.assert_close(found.shares.sum(dim=2), torch.ones(2, steps))
    if config.model.border == "crop":
        on_input = found.shares[:, :, -1].sum(dim=1)
        torch.testing.assert_close(found.attention.sum(dim=(1, 2, 3)), on_input, rtol=0.02, atol=0)
    assert found.step_effects.shape == (2, steps)
    assert found.unit_effects.shape == (2, found.shares.shape[2] - 1)
    # What the probabilities without a part say is what the effects on the log-odds say.
    answers = found.probabilities.argmax(dim=1)

    def log_odds(probabilities):
        logs = probabilities.double().log()
        own = logs.gather(-1, answers.view(-1, 1, 1).expand(*logs.shape[:-1], 1))[..., 0]
        return own - (logs.sum(dim=-1) - own) / (logs.shape[-1] - 1)

    whole = log_odds(found.probabilities[:, None])
    for effects, left in (
        (found.step_effects, found.without_step),
        (found.unit_effects, found.without_unit),
    ):
        torch.testing.assert_close(
            effects.double(), whole - log_odds(left), atol=1e-4, rtol=0, check_dtype=False
        )
    slabs = model.tokenizer.slices(config.shape[0])
    assert len(slabs) == steps


def test_a_blanked_unit_is_the_machine_with_zeros_in_its_place():
    """Against a walk written out: the past unit reads as zeros, but stays in the memory."""
    config = load_config("demo.json", [*TINY, "fast=false", "model.memory_start=learned"])
    model = build_model(config).eval()
    volumes = torch.rand(1, 1, 28, 28, 28)
    with torch.no_grad():
        tokens, memory = model.tokenizer(volumes), model.initial_memory(1)
        outputs = []
        for step in range(4):
            seen = memory.clone()
            seen[:, (step - 1) % 4] = 0
            out, new = model.cell(seen, tokens[:, step], step)
            memory = memory.clone()
            memory[:, (step + 1) % 4] = new[:, (step + 1) % 4]
            outputs.append(out.mean(dim=1))
        blanked = model.classifier(torch.stack(outputs).mean(dim=0))[0]
        whole = model(volumes)[0]
    winner = whole.argmax()
    expected = (whole[winner] - whole[1 - winner]) - (blanked[winner] - blanked[1 - winner])
    assert explain(model, volumes).unit_effects[0, 1].item() == pytest.approx(
        expected.item(), abs=1e-5
    )


@pytest.mark.pictures
def test_the_command_writes_a_picture_and_an_animation(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 32, "val": 20, "test": 20})
    argv = ["demo.json", *TINY, f"output_dir={tmp_path}", "device=cpu"]
    assert train.main(argv) == 0
    assert script.main([*argv, "--index", "12"]) == 0
    folder = tmp_path / "demo" / "explain"
    with Image.open(folder / "test-12.gif") as animation:
        assert animation.n_frames == 28
    with Image.open(folder / "test-12.png") as picture:
        assert min(picture.size) > 300
    (tmp_path / "p1").mkdir()
    np.save(tmp_path / "p1" / "mine.npy", np.full((30, 30, 30), 9, np.uint8))
    assert script.main([*argv, "--input", str(tmp_path / "p1" / "mine.npy")]) == 0
    assert (folder / "p1-mine.png").is_file()
    assert (folder / "p1-mine-tokens.png").is_file()
    capsys.readouterr()
    assert script.main([*argv, "--index", "20"]) == 2
    assert "--index must be from 0 to 19, got 20" in capsys.readouterr().err
