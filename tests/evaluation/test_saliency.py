"""Occlusion and Grad-CAM, against their definitions written out, and on a known object."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from lmttm.errors import InputError
from lmttm.evaluation.saliency import saliency

pytest.importorskip("captum", reason="needs the extra explain")


class Small(nn.Module):
    """Two convolutions and a classifier of three classes."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv3d(2, 3, 3, padding=1, stride=2)
        self.second = nn.Conv3d(3, 4, 3, padding=1)
        self.classifier = nn.Linear(4, 3)

    def forward(self, volumes):
        maps = torch.relu(self.second(torch.relu(self.first(volumes))))
        return self.classifier(maps.mean(dim=(2, 3, 4)))


@pytest.fixture
def small():
    torch.manual_seed(3)
    return Small().eval(), torch.rand(2, 8, 9, 8)


def log_odds(logits, answer):
    others = [number for number in range(logits.shape[-1]) if number != answer]
    return logits[..., answer] - logits[..., others].mean(dim=-1)


@pytest.mark.parametrize("answer", [None, 2])
@torch.no_grad()
def test_occlusion_is_the_fall_without_each_cube(small, answer):
    """The edge of 9 is no multiple of a cube's: the last cube is smaller, and still its own."""
    model, volume = small
    found = saliency(model, model.second, volume, answer)
    whole = model(volume[None])[0]
    chosen = int(whole.argmax()) if answer is None else answer
    falls = torch.zeros(8, 9, 8)
    lefts = {}
    for z in range(0, 8, 2):
        for y in range(0, 9, 3):
            for x in range(0, 8, 2):
                blank = volume.clone()
                blank[:, z : z + 2, y : y + 3, x : x + 2] = 0
                left = model(blank[None])[0]
                falls[z : z + 2, y : y + 3, x : x + 2] = log_odds(whole, chosen) - log_odds(
                    left, chosen
                )
                lefts[(z, z + 1), (y, y + 2), (x, x + 1)] = left
    np.testing.assert_allclose(found.occlusion, falls, atol=1e-6)
    np.testing.assert_allclose(found.probabilities, whole.softmax(dim=0), rtol=1e-6)
    np.testing.assert_allclose(found.without_cube, lefts[found.cube].softmax(dim=0), rtol=1e-5)
    assert found.cube_effect == pytest.approx(float(falls.max()), abs=1e-6)


def test_grad_cam_is_its_definition(small):
    model, volume = small
    found = saliency(model, model.second, volume)
    assert all(parameter.grad is None for parameter in model.parameters())
    maps = model.second(torch.relu(model.first(volume[None]))).detach().requires_grad_(True)
    logits = model.classifier(torch.relu(maps).mean(dim=(2, 3, 4)))[0]
    log_odds(logits, int(logits.argmax())).backward()
    weights = maps.grad.mean(dim=(2, 3, 4), keepdim=True)
    cam = torch.relu((weights * maps).sum(dim=1, keepdim=True))
    wide = nn.functional.interpolate(cam, size=(8, 9, 8), mode="trilinear")[0, 0]
    np.testing.assert_allclose(found.grad_cam, wide.detach(), atol=1e-6)
    assert found.grad_cam.max() > 0


class Bright(nn.Module):
    """Says the second class where a corner is bright; all else leaves it cold."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, volumes):
        seen = self.layer(volumes)[:, 0, 12:16, 4:8, 8:12].mean(dim=(1, 2, 3))
        return torch.stack([0.1 - seen, seen], dim=1)


def test_a_known_object_is_found():
    volume = torch.zeros(1, 16, 16, 16)
    volume[:, 12:16, 4:8, 8:12] = 0.9
    volume[:, 0:4, 0:4, 0:4] = 1.0  # brighter, but without effect
    model = Bright()
    found = saliency(model, model.layer, volume)
    assert found.cube == ((12, 15), (4, 7), (8, 11))
    assert (found.occlusion[12:16, 4:8, 8:12] > 0).all()
    assert found.occlusion.sum() == pytest.approx(found.occlusion[12:16, 4:8, 8:12].sum())
    assert found.probabilities.argmax() == 1
    assert found.without_cube.argmax() == 0


def test_without_captum_the_message_says_how_to_get_it(small, monkeypatch):
    model, volume = small
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(InputError, match=r"pip install -e '\.\[explain\]'"):
        saliency(model, model.second, volume)
