"""The stem: features of each voxel, from two convolutions."""

import torch
from torch.nn import functional as F

from lmttm.model.stem import Stem, StemmedTokenizer
from lmttm.model.tokenizer import PatchTokenizer


def tokenizer(border="crop"):
    torch.manual_seed(0)
    patches = PatchTokenizer(
        in_channels=4, dim=6, patch_size=(4,) * 3, stride=(4,) * 3, border=border
    )
    return StemmedTokenizer(stem=Stem(in_channels=2, channels=4), tokenizer=patches).eval()


def test_the_second_convolution_adds_to_the_first():
    stem = Stem(in_channels=2, channels=4)
    volumes = torch.rand(3, 2, 5, 6, 7)

    def layer(inputs, weight):
        """Without a running mean, in training: each channel is normalised over the batch."""
        found = F.conv3d(inputs, weight, padding=1)
        mean = found.mean(dim=(0, 2, 3, 4), keepdim=True)
        variance = found.var(dim=(0, 2, 3, 4), keepdim=True, unbiased=False)
        return ((found - mean) / (variance + 1e-5).sqrt()).clamp(min=0)

    first = layer(volumes, stem.first[0].weight)
    expected = first + layer(first, stem.second[0].weight)
    torch.testing.assert_close(stem(volumes), expected, rtol=0, atol=1e-5)


def test_a_stem_keeps_steps_slabs_and_voxels_of_its_tokenizer():
    """Guards against heat maps and slabs that the stem moves."""
    stemmed = tokenizer("pad")
    shape, behind = torch.Size((10, 8, 9)), stemmed.tokenizer
    steps, tokens = stemmed.grid(shape)
    assert (steps, tokens) == behind.grid(shape)
    assert stemmed(torch.rand(2, 2, *shape)).shape == (2, steps, tokens, 6)
    assert stemmed.slices(10) == behind.slices(10)
    weights = torch.rand(2, steps, tokens)
    assert torch.equal(stemmed.to_voxels(weights, shape), behind.to_voxels(weights, shape))


def test_a_token_depends_on_its_patch_and_two_voxels_around_it():
    """Guards against features that are moved against the voxels of their patch."""
    stemmed = tokenizer().double()
    volume = torch.rand(1, 2, 12, 12, 12, dtype=torch.float64, requires_grad=True)
    tokens = stemmed(volume)  # 3 steps of 3 x 3 tokens
    (gradient,) = torch.autograd.grad(tokens[0, 1, 4].sum(), volume)
    reached = gradient[0].abs().sum(dim=0) > 0
    for others in ((1, 2), (0, 2), (0, 1)):
        assert reached.any(dim=others).nonzero().flatten().tolist() == list(range(2, 10))
