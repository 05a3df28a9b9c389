"""The phantoms: their class is in how slabs follow each other, and nowhere else."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.data.dataset import prepare
from lmttm.data.sources import load_dataset
from lmttm.model.build import build_model
from lmttm.training.setup import make_trainer


@pytest.fixture(scope="module")
def features():
    """Features of each slab `(N 9 5)` and labels, of a fresh sample of 3000."""
    volumes, labels = phantoms.generate(3000, seed=99)
    slabs = volumes[:, :27].reshape(3000, 9, 3, 28, 28).mean(axis=2)
    bright = slabs > 60
    rows, columns = np.mgrid[:28, :28] - 13.5
    mass = slabs.sum(axis=(2, 3))
    spread = (slabs * (rows**2 + columns**2)).sum(axis=(2, 3)) / mass
    return np.stack(
        [
            slabs.mean(axis=(2, 3)),
            slabs.std(axis=(2, 3)),
            slabs.max(axis=(2, 3)),
            bright.mean(axis=(2, 3)),
            spread,
        ],
        axis=2,
    ), labels[:, 0]


def test_same_seed_same_volumes():
    first, labels = phantoms.generate(20, seed=1)
    again, _ = phantoms.generate(20, seed=1)
    other, _ = phantoms.generate(20, seed=2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (20, 28, 28, 28)
    assert first.dtype == labels.dtype == np.uint8


def test_splits_are_those_of_the_data_set(tiny):
    dataset = load_dataset(tiny)
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 800,
        "val": 100,
        "test": 200,
    }
    for split in dataset.splits.values():
        assert split.majority_rate() == 0.5
    train, test = dataset.splits["train"].images, dataset.splits["test"].images
    assert not (train[:, None, 0] == test[None, :, 0]).flatten(2).all(dim=2).any()


def test_a_linear_model_on_all_slabs_learns_little(features):
    x, y = features
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(x[:1500].reshape(1500, -1), y[:1500])
    assert model.score(x[1500:].reshape(1500, -1), y[1500:]) <= 0.65


@pytest.mark.parametrize("slab", range(9))
def test_no_single_slab_tells_the_class(features, slab):
    x, y = features
    forest = RandomForestClassifier(n_estimators=50, min_samples_leaf=5, random_state=0)
    forest.fit(x[:1500, slab], y[:1500])
    assert forest.score(x[1500:, slab], y[1500:]) <= 0.65


def test_two_slabs_together_tell_the_class(features):
    """The counter-check: the features that fail slab by slab do suffice for two slabs."""
    x, y = features
    forest = RandomForestClassifier(n_estimators=100, random_state=0)
    forest.fit(x[:1500, :3].reshape(1500, -1), y[:1500])
    assert forest.score(x[1500:, :3].reshape(1500, -1), y[1500:]) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("forgetful", [False, True])
def test_the_machine_needs_its_memory(forgetful):
    """With memory it learns the order of the slabs; zeroed at every step it cannot."""
    config = load_config("demo.json", ["fast=false"])  # which asks the cell at each step
    torch.manual_seed(0)
    model = build_model(config)
    if forgetful:
        step = model.cell.forward
        model.cell.forward = lambda memory, inputs, t: step(torch.zeros_like(memory), inputs, t)
    splits = load_dataset(config).splits
    trainer = make_trainer(config, splits["train"], model)
    while trainer.epoch < config.train.epoch:
        trainer.train_epoch()
    fresh, labels = phantoms.generate(1000, seed=99)
    with torch.no_grad():
        model.eval()
        logits = model(prepare(fresh, config))
    accuracy = (logits.argmax(dim=1) == torch.from_numpy(labels[:, 0])).double().mean().item()
    if forgetful:
        assert accuracy <= 0.65
    else:
        assert accuracy >= 0.9


@pytest.mark.parametrize("at_once", [1, 5, 100])
def test_volumes_do_not_depend_on_how_many_are_drawn_at_once(at_once, monkeypatch):
    whole = phantoms.generate(17, seed=2)
    monkeypatch.setattr(phantoms, "_AT_ONCE", at_once)
    for one, other in zip(whole, phantoms.generate(17, seed=2), strict=True):
        np.testing.assert_array_equal(one, other)
