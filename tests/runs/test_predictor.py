"""Probabilities of runs and ensembles, against forward passes and a search written out."""

import numpy as np
import pytest
import torch

from lmttm.config.files import load_config
from lmttm.data.dataset import Split, prepare
from lmttm.errors import InputError
from lmttm.model.build import build_model
from lmttm.runs.checkpoint import Checkpoint
from lmttm.runs.predictor import FROM_USER, predict, with_user
from tests.conftest import TINY


def member(seed, *overrides):
    """A checkpoint of a machine with random weights that prefers class 1, seed 1 more than 0."""
    config = load_config("demo.json", [*TINY, "device=cpu", f"seed={seed}", *overrides])
    torch.manual_seed(seed)
    model = build_model(config)
    with torch.no_grad():
        model.classifier.weight.mul_(0.2)
        model.classifier.bias[1] = 2 + seed
    return Checkpoint(
        config=config,
        weights=model.state_dict(),
        epoch=1,
        validation={},
        training={},
        statistics={},
    )


def split_of(seed, *, negatives, positives):
    generator = torch.Generator().manual_seed(seed)
    shape = (negatives + positives, 28, 28, 28)
    images = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    return Split("some", images, torch.tensor([0] * negatives + [1] * positives))


@pytest.fixture(scope="module")
def data():
    """A split to score, and another to calibrate on, in which class 1 is not as frequent."""
    return split_of(1, negatives=1, positives=19), split_of(2, negatives=4, positives=8)


def logits_of(saved, split):
    with torch.no_grad():
        return saved.build()(prepare(split.images, saved.config)).double()


def test_probabilities_are_the_softmax_of_the_logits(data):
    scored, _ = data
    one = member(0)
    found = predict([one], scored, one.config)
    expected = logits_of(one, scored).softmax(dim=1)
    np.testing.assert_allclose(found.probabilities(), expected, atol=1e-6)


def test_an_ensemble_averages_probabilities(data):
    """Not logits, and not votes."""
    scored, _ = data
    members = [member(seed) for seed in (0, 1, 2)]
    found = predict(members, scored, members[0].config)
    expected = sum(logits_of(m, scored).softmax(dim=1) for m in members) / 3
    np.testing.assert_allclose(found.probabilities(), expected, atol=1e-6)


@pytest.mark.parametrize("temperatures", [[0.5, 0.5], [3.0, 0.7]])
def test_each_run_is_divided_by_its_temperature(data, temperatures):
    """Guards against logits that are multiplied by it.

    A network that is too sure of itself would become surer still.
    """
    scored, _ = data
    members = [member(seed) for seed in (0, 1)]
    found = predict(members, scored, members[0].config)
    expected = sum(
        (logits_of(one, scored) / t).softmax(dim=1) / 2
        for one, t in zip(members, temperatures, strict=True)
    )
    np.testing.assert_allclose(found.probabilities(temperatures), expected, atol=1e-6)
    assert not np.allclose(found.probabilities(), expected, atol=1e-3)


def test_flips_are_those_that_the_run_was_trained_with(data):
    scored, _ = data
    one = member(0, "augment.flip_axes=H,W", "test_flips=true")
    plain = member(0)  # what the user's file says now does not matter
    found = predict([one], scored, plain.config)
    model, volumes = one.build(), prepare(scored.images, one.config)
    with torch.no_grad():
        logits = sum(model(volumes.flip(axes)).double() for axes in ([], [3], [4], [3, 4])) / 4
    np.testing.assert_allclose(found.probabilities(), logits.softmax(dim=1), atol=1e-6)


@pytest.mark.parametrize("plane", ["DH", "HW"])
def test_turns_are_those_that_the_run_was_trained_with(data, plane):
    """Also along D, where the machine then pages through the volume along another axis."""
    scored, _ = data
    one = member(0, "augment.turn_planes=" + plane, "test_turns=true")
    found = predict([one], scored, one.config)
    model, volumes = one.build(), prepare(scored.images, one.config)
    dims = [2 + "DHW".index(axis) for axis in plane]
    with torch.no_grad():
        logits = sum(model(volumes.rot90(quarters, dims)).double() for quarters in range(4)) / 4
    np.testing.assert_allclose(found.probabilities(), logits.softmax(dim=1), atol=1e-6)


def test_weights_that_give_no_numbers_are_refused(data):
    one = member(0)
    one.weights["classifier.bias"][0] = torch.nan
    with pytest.raises(InputError, match="demo give outputs that are not finite"):
        predict([one], data[0], one.config)


def test_the_user_says_where_and_the_run_what():
    trained = load_config("demo.json", ["model.dim=16", "seed=4"])
    user = load_config("base.json", ["device=cpu", "batch_size=3", "root=there", "output_dir=out"])
    merged = with_user(trained, user)
    for key in FROM_USER:
        assert getattr(merged, key) == getattr(user, key)
    assert (merged.model, merged.train, merged.seed) == (trained.model, trained.train, 4)
