"""3D convolutions in bfloat16, of volumes that are less deep than the kernel."""

import pytest
import torch
from torch import nn

from lmttm.config.files import load_config
from lmttm.model.build import build_model
from lmttm.model.convolution import Convolution, correct


def gradients(conv, volumes, *, bf16):
    """Of weights and volumes."""
    volumes = volumes.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        outputs = conv(volumes)
    return outputs, *torch.autograd.grad(outputs.float().square().sum(), [conv.weight, volumes])


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("edge", [2, 5])
def test_gradients_in_bfloat16_are_those_of_fp32(depth, edge):
    """Guards against torch's gradient at a depth of 2, which is of memory that is another's."""
    for _ in range(4):
        conv = Convolution(16, 16, 3, padding=1)
        volumes = torch.randn(4, 16, depth, edge, edge)
        expected = gradients(conv, volumes, bf16=False)
        for found, right in zip(gradients(conv, volumes, bf16=True), expected, strict=True):
            assert (found - right).abs().max() < 0.03 * right.abs().max()


def test_kernels_of_five_and_seven_do_not_crash():
    """Guards against a process that torch ends with "double free or corruption"."""
    for kernel, depth in ((5, 2), (5, 4), (7, 3), (7, 6)):
        conv = Convolution(8, 8, kernel, padding=kernel // 2)
        volumes = torch.randn(2, 8, depth, 7, 7)
        _, found, _ = gradients(conv, volumes, bf16=True)
        _, right, _ = gradients(conv, volumes, bf16=False)
        assert (found - right).abs().max() < 0.03 * right.abs().max()


def test_it_leaves_bfloat16_only_where_it_must():
    """Guards against deep volumes that lose their speed, and another result in fp32."""
    conv = Convolution(4, 4, 3, padding=1)
    same = nn.Conv3d(4, 4, 3, padding=1)
    same.load_state_dict(conv.state_dict())
    for depth, kind in ((1, torch.bfloat16), (2, torch.float32), (3, torch.bfloat16)):
        volumes = torch.randn(2, 4, depth, 5, 5)
        assert torch.equal(conv(volumes), same(volumes))
        with torch.autocast("cpu", torch.bfloat16):
            assert conv(volumes).dtype == kind


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.preprocess_mode=3dBN", "model.patch_size=14"],  # two steps
        ["model.model=resnet3d", "size=[12,28,28]"],  # two slices in the last block
    ],
)
def test_models_of_few_slabs_train_in_bfloat16(overrides):
    """Guards against a model whose convolutions learn from noise."""
    tiny = [
        "dataset_name=mine/",
        "model.dim=16",
        "model.memory_tokens_size=4",
        "model.num_blocks=2",
    ]
    config = load_config("small.json", [*tiny, *overrides])
    model = build_model(config)
    if config.model.model == "resnet3d":
        assert {type(m) for m in model.modules() if isinstance(m, nn.Conv3d)} == {Convolution}
    depths = set()
    for module in model.modules():
        if isinstance(module, Convolution):
            module.register_forward_hook(
                lambda _, given, out: depths.add((given[0].shape[2], out.dtype))
            )
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(torch.rand(2, 1, *config.shape))
    logits.float().sum().backward()
    assert (2, torch.float32) in depths
    assert (2, torch.bfloat16) not in depths
    assert all(w.grad is None or w.grad.isfinite().all() for w in model.parameters())


def test_networks_of_other_libraries_are_corrected_in_place():
    net = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Sequential(nn.Conv3d(2, 2, 1), nn.ReLU()))
    weights = list(net.parameters())
    correct(net)
    assert isinstance(net[0], Convolution)
    assert isinstance(net[1][0], Convolution)
    assert all(a is b for a, b in zip(net.parameters(), weights, strict=True))
