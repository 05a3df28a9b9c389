"""Each tokenizer, against an explicit loop over patches or slices."""

import itertools
import urllib.error

import numpy as np
import pytest
import torch
from torch import nn

from lmttm.errors import InputError
from lmttm.model.tokenizer import BatchNormTokenizer, PatchTokenizer, ResNetTokenizer
from tests import reference


def test_each_token_is_its_own_patch_and_steps_run_along_depth():
    tokenizer = PatchTokenizer(
        in_channels=1, dim=5, patch_size=(3,) * 3, stride=(3,) * 3, border="crop"
    ).double()
    volume = torch.rand(10, 10, 10, dtype=torch.float64)
    w = {f"tokenizer.{k}": v.numpy() for k, v in tokenizer.state_dict().items()}
    expected = reference.tokenize(volume.numpy(), w, patch=(3, 3, 3))
    tokens = tokenizer(volume[None, None])[0].detach().numpy()
    assert tokens.shape == (3, 9, 5) == (*tokenizer.grid((10,) * 3), 5)
    np.testing.assert_allclose(tokens, expected, atol=1e-12)


@pytest.mark.parametrize("kind", [PatchTokenizer, BatchNormTokenizer])
def test_border_is_left_out_or_padded(kind):
    volume = torch.rand(1, 1, 10, 10, 10)
    crop = kind(in_channels=1, dim=4, patch_size=(4,) * 3, stride=(4,) * 3, border="crop").eval()
    changed = volume.clone()
    changed[..., 8:] += 1
    assert torch.equal(crop(volume), crop(changed))
    assert crop(volume).shape == (1, *crop.grid((10,) * 3), 4) == (1, 2, 4, 4)

    pad = kind(in_channels=1, dim=4, patch_size=(4,) * 3, stride=(4,) * 3, border="pad").eval()
    assert not torch.equal(pad(volume), pad(changed))
    assert pad(volume).shape == (1, *pad.grid((10,) * 3), 4) == (1, 3, 9, 4)
    framed = torch.zeros(1, 1, 12, 12, 12)
    framed[..., 1:11, 1:11, 1:11] = volume
    assert torch.equal(pad(volume), pad(framed))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", [PatchTokenizer, BatchNormTokenizer])
def test_tokens_lie_in_memory_one_after_the_other(kind, channels):
    """Guards against gradients in another memory order than their inputs, which copy both."""
    tokenizer = kind(
        in_channels=channels, dim=4, patch_size=(4,) * 3, stride=(4,) * 3, border="crop"
    )
    assert tokenizer(torch.rand(2, channels, 12, 12, 12)).is_contiguous()


@pytest.mark.parametrize("kind", [PatchTokenizer, BatchNormTokenizer])
def test_what_is_missing_is_added_evenly_and_the_odd_voxel_behind(kind):
    """Guards against padding on one side: then checkpoints would see shifted patches.

    9 voxels and patches of 4 lack 3: one goes before, two behind.
    """
    tokenizer = kind(
        in_channels=1, dim=4, patch_size=(4,) * 3, stride=(4,) * 3, border="pad"
    ).eval()
    volume = torch.rand(1, 1, 9, 9, 9)
    framed = torch.zeros(1, 1, 12, 12, 12)
    framed[..., 1:10, 1:10, 1:10] = volume
    assert torch.equal(tokenizer(volume), tokenizer(framed))
    assert tokenizer.grid((9,) * 3) == (3, 9)


def test_weights_are_spread_over_the_voxels_of_padded_patches():
    """The heat map must lie where the patches lie: against a count voxel by voxel."""
    tokenizer = PatchTokenizer(
        in_channels=1, dim=4, patch_size=(4,) * 3, stride=(4,) * 3, border="pad"
    )
    weights = torch.rand(2, 3, 9)
    spread = tokenizer.to_voxels(weights, torch.Size([9, 9, 9]))
    assert spread.shape == (2, 9, 9, 9)
    for d, h, w in itertools.product(range(9), repeat=3):
        step, row, column = ((edge + 1) // 4 for edge in (d, h, w))
        expected = weights[:, step, 3 * row + column] / 4**3
        torch.testing.assert_close(spread[:, d, h, w], expected)


@pytest.mark.parametrize("size", [28, 64])
def test_resnet_reads_slice_by_slice(size):
    """Guards against a view where a transpose is needed: slices stay with their volume."""
    tokenizer = ResNetTokenizer(in_channels=1, dim=6, pretrained=False).eval()
    volumes = torch.rand(2, 1, size, size, size)
    tokens = tokenizer(volumes)
    assert tokens.shape == (2, *tokenizer.grid((size,) * 3), 6)
    for b, step in [(0, 0), (1, 5), (1, size - 1)]:
        features = tokenizer.backbone(volumes[b, :, step][None])[0]  # e h w
        expected = tokenizer.project(features.flatten(1).T)
        torch.testing.assert_close(tokens[b, step], expected, rtol=1e-4, atol=1e-5)


def test_slabs_of_three_slices_have_patches_of_seven():
    """Guards against one edge that is taken for all three: 21 steps of 64^3, as thin as that."""
    tokenizer = PatchTokenizer(
        in_channels=2, dim=5, patch_size=(3, 7, 5), stride=(3, 7, 5), border="crop"
    ).double()
    assert tokenizer.grid((64, 64, 64)) == (21, 9 * 12)
    volume = torch.rand(7, 15, 21, dtype=torch.float64)
    w = {f"tokenizer.{k}": v.numpy() for k, v in tokenizer.state_dict().items()}
    both = torch.stack([volume, torch.zeros_like(volume)])[None]
    tokens = tokenizer(both)[0].detach().numpy()
    assert tokens.shape == (*tokenizer.grid((7, 15, 21)), 5) == (2, 8, 5)
    np.testing.assert_allclose(
        tokens, reference.tokenize(volume.numpy(), w, patch=(3, 7, 5)), atol=1e-12
    )


@pytest.mark.parametrize("border", ["crop", "pad"])
@pytest.mark.parametrize("stride", [(3, 4, 2), (2, 4, 1)])
def test_the_weight_of_a_token_lies_on_the_voxels_that_it_depends_on(border, stride):
    """On a volume of three edges, by changing one voxel at a time."""
    tokenizer = PatchTokenizer(
        in_channels=1, dim=64, patch_size=(3, 4, 2), stride=stride, border=border
    )
    volume = torch.rand(1, 1, 4, 9, 5)
    tokens = tokenizer(volume)
    steps, places = tokenizer.grid((4, 9, 5))
    assert tokens.shape[1:3] == (steps, places)
    weights = torch.eye(steps * places).view(-1, steps, places)
    covered = tokenizer.to_voxels(weights, torch.Size([4, 9, 5])) > 0
    for d, h, w in itertools.product(range(4), range(9), range(5)):
        changed = volume.clone()
        changed[0, 0, d, h, w] += 5
        differs = (tokenizer(changed) != tokens).any(dim=3).flatten()
        assert torch.equal(differs, covered[:, d, h, w])


def test_the_resnets_tokens_lie_where_its_planes_do():
    """On planes of two edges: a token that is spread covers its own eighth of rows and columns."""
    tokenizer = ResNetTokenizer(in_channels=1, dim=6, pretrained=False).eval()
    volumes = torch.rand(1, 1, 3, 20, 33)
    assert tokenizer(volumes).shape == (1, *tokenizer.grid((3, 20, 33)), 6) == (1, 3, 15, 6)
    weights = torch.zeros(1, 3, 15)
    weights[0, 1, 2 * 5 + 4] = 1  # the last row and column of the second slice
    spread = tokenizer.to_voxels(weights, torch.Size([3, 20, 33]))
    assert spread.shape == (1, 3, 20, 33)
    assert spread[0, 1, -1, -1] == spread.max()
    assert not spread[0, [0, 2]].any()


def test_pretrained_stem_sums_the_colours(monkeypatch):
    """A grey slice gives what the same slice as three equal colours gives ImageNet's net."""
    import torchvision.models as models

    net = models.resnet18(weights=None).eval()
    monkeypatch.setattr(models, "resnet18", lambda weights: net)
    tokenizer = ResNetTokenizer(in_channels=1, dim=4, pretrained=True).eval()
    grey = torch.rand(1, 1, 1, 28, 28)
    colours = net.conv1(grey[:, :, 0].repeat(1, 3, 1, 1))
    torch.testing.assert_close(tokenizer.backbone[0](grey[:, :, 0]), colours)


def test_missing_imagenet_weights_are_one_sentence(monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("torchvision.models.resnet18", offline)
    with pytest.raises(InputError, match=r"resnet_pretrained=false, or download https://.*\.pth"):
        ResNetTokenizer(in_channels=1, dim=4, pretrained=True)


def test_batch_norm_tokenizer_is_two_convolutions():
    tokenizer = BatchNormTokenizer(
        in_channels=1, dim=6, patch_size=(3,) * 3, stride=(3,) * 3, border="crop"
    )
    kinds = [nn.Conv3d, nn.BatchNorm3d, nn.ReLU] * 2
    assert all(map(isinstance, tokenizer.embed, kinds))
    assert len(tokenizer.embed) == len(kinds)
    assert tokenizer(torch.rand(2, 1, 9, 9, 9)).shape == (2, 3, 9, 6)


@pytest.mark.parametrize("border", ["crop", "pad"])
@pytest.mark.parametrize(("patch", "stride"), [(3, 3), (4, 4), (4, 2), (5, 3)])
def test_slices_of_a_step_are_those_that_its_tokens_depend_on(border, patch, stride):
    tokenizer = PatchTokenizer(
        in_channels=1, dim=4, patch_size=(patch,) * 3, stride=(stride,) * 3, border=border
    ).eval()
    volume = torch.rand(1, 1, 10, 10, 10)
    tokens, slabs = tokenizer(volume), tokenizer.slices(10)
    assert len(slabs) == tokens.shape[1]
    for place in range(10):
        changed = volume.clone()
        changed[:, :, place] += 5
        differs = (tokenizer(changed) != tokens).any(dim=3).any(dim=2)[0].tolist()
        assert differs == [first <= place <= last for first, last in slabs]


def test_a_slice_is_a_step_of_the_resnet():
    tokenizer = ResNetTokenizer(in_channels=1, dim=4, pretrained=False)
    assert tokenizer.slices(3) == [(0, 0), (1, 1), (2, 2)]
