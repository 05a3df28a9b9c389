"""Probabilities of checkpoints, against the model called by hand."""

import numpy as np
import pytest
import torch

from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.data.dataset import Split, prepare
from lmttm.errors import InputError
from lmttm.model.build import build_model
from lmttm.runs.checkpoint import Checkpoint
from lmttm.runs.predictor import predict, with_user
from tests.conftest import TINY


def member(seed, *overrides):
    """A checkpoint of a fresh model."""
    config = load_config("demo.json", [*TINY, "device=cpu", f"seed={seed}", *overrides])
    torch.manual_seed(seed)
    weights = build_model(config).state_dict()
    return Checkpoint(config, weights, 1, {}, {}, {})


@pytest.fixture
def split():
    images, labels = phantoms.generate(6, 0)
    return Split("test", torch.from_numpy(images), torch.from_numpy(labels[:, 0]).long())


def test_probabilities_are_the_mean_over_the_models(split):
    members = [member(0), member(1)]
    user = members[0].config.model_copy(update={"batch_size": 4})
    found = predict(members, split, user)
    by_hand = [
        m.build()(prepare(split.images, m.config)).softmax(dim=1).detach().numpy() for m in members
    ]
    np.testing.assert_allclose(found.probabilities, np.mean(by_hand, axis=0), atol=1e-6)
    assert found.temperatures == [1.0, 1.0]


def test_flips_are_averaged_in_logits(split):
    flipped = member(0, "test_flips=true", "augment.flip_axes=W")
    volumes = prepare(split.images, flipped.config)
    model = flipped.build()
    mean = (model(volumes) + model(volumes.flip(4))) / 2
    found = predict([flipped], split, flipped.config)
    np.testing.assert_allclose(found.probabilities, mean.softmax(dim=1).detach().numpy(), atol=1e-6)


def test_weights_that_are_not_finite_are_an_error(split):
    broken = member(0)
    broken.weights["classifier.bias"].fill_(torch.nan)
    with pytest.raises(InputError, match="outputs that are not finite"):
        predict([broken], split, broken.config)


def test_the_user_decides_where_and_the_run_decides_what():
    trained, user = member(0).config, load_config("base.json", ["root=elsewhere", "batch_size=2"])
    joined = with_user(trained, user)
    assert (joined.root, joined.batch_size) == ("elsewhere", 2)
    assert joined.model == trained.model
    assert joined.seed == trained.seed
