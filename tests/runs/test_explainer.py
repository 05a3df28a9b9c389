"""Explaining single volumes: the run's own answer, warnings, and a double with random weights."""

import sys

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
    (heat,) = shown.maps
    assert heat.random.shape == heat.heat.shape == volume.shape
    np.testing.assert_array_equal(heat.heat, shown.found.attention)
    assert not np.allclose(heat.random, heat.heat)
    assert (shown.warnings, shown.notes) == (["a warning"], [])
    again = Explainer(one, one.config)(volume)
    np.testing.assert_array_equal(again.maps[0].random, heat.random)


def test_what_mirrored_copies_change_is_said():
    one = member("test_flips=true", "augment.flip_axes=D")
    (note,) = Explainer(one, one.config)(np.zeros((28, 28, 28), np.uint8)).notes
    assert "for mirrored copies" in note


def test_a_model_without_steps_has_two_maps_and_no_slabs():
    pytest.importorskip("captum", reason="needs the extra explain")
    one = member("model.model=resnet3d", "distance=on", "size=16", "dataset_name=my/own.npz")
    volume = np.random.default_rng(0).integers(0, 255, (16, 16, 16), dtype=np.uint8)
    shown = Explainer(one, one.config)(volume)
    with torch.no_grad():
        logits = one.build()(prepare(volume[None], one.config))
    np.testing.assert_allclose(shown.found.probabilities, logits.softmax(dim=1)[0], rtol=1e-5)
    assert shown.slabs == []
    assert [heat.name for heat in shown.maps] == ["occlusion", "grad-cam"]
    for heat in shown.maps:
        assert heat.heat.shape == heat.random.shape == volume.shape
        assert heat.heat.min() >= 0 <= heat.random.min()
        assert not np.allclose(heat.heat, heat.random)
    assert "4 x 4 x 4 voxels" in shown.maps[0].legend


def test_weights_whose_answers_are_not_finite_are_named():
    one = member()
    one.weights["classifier.bias"].fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        Explainer(one, one.config)(np.zeros((28, 28, 28), np.uint8))


def test_a_missing_captum_is_named_before_anything_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    one = member("model.model=resnet3d")
    with pytest.raises(InputError, match=r"pip install -e '\.\[explain\]'"):
        Explainer(one, one.config)
