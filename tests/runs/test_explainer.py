"""Explaining single volumes: the run's own answer, warnings, and a double with random weights."""

import numpy as np
import pytest
import torch

from lmttm.config.files import load_config
from lmttm.data.dataset import prepare
from lmttm.errors import InputError
from lmttm.model.build import build_model
from lmttm.runs.checkpoint import Checkpoint
from lmttm.runs.explainer import Explainer
from tests.conftest import TINY


def member(*overrides):
    torch.manual_seed(5)
    config = load_config("demo.json", [*TINY, "device=cpu", *overrides])
    weights = build_model(config).state_dict()
    return Checkpoint(config, weights, 1, {}, {}, {})


def test_the_answer_is_the_models_and_the_double_is_another():
    one = member()
    explainer = Explainer(one, one.config)
    volume = np.random.default_rng(0).integers(0, 255, (28, 28, 28), dtype=np.uint8)
    shown = explainer(volume, ["a warning"])
    with torch.no_grad():
        logits = one.build()(prepare(volume[None], one.config))
    np.testing.assert_allclose(shown.found.probabilities, logits.softmax(dim=1)[0], rtol=1e-5)
    assert shown.random_attention.shape == shown.found.attention.shape == volume.shape
    assert not np.allclose(shown.random_attention, shown.found.attention)
    assert (shown.warnings, shown.notes) == (["a warning"], [])
    again = Explainer(one, one.config)(volume)
    np.testing.assert_array_equal(again.random_attention, shown.random_attention)


def test_what_mirrored_copies_change_is_said():
    one = member("test_flips=true", "augment.flip_axes=D")
    assert "mirrored" in Explainer(one, one.config)(np.zeros((28, 28, 28), np.uint8)).notes[0]


def test_a_model_without_steps_is_refused():
    one = member("model.model=resnet3d")
    with pytest.raises(InputError, match="neither"):
        Explainer(one, one.config)
