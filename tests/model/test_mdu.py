"""The Memory Distillation Units."""

import numpy as np
import pytest
import torch

from lmttm.model.layers import Dropout
from lmttm.model.mdu import MLPMDU, MixerMDU, TransformerMDU
from tests import reference

COMMON = {
    "dim": 12,
    "depth": 3,
    "mlp_ratio": 3,
    "dropout": 0.0,
    "share_layers": False,
    "drop_path": 0.0,
}


def units():
    return [
        TransformerMDU(num_heads=4, norm="post", **COMMON),
        TransformerMDU(num_heads=4, norm="pre", **COMMON),
        MixerMDU(num_tokens=6, **COMMON),
        MLPMDU(**COMMON),
    ]


@pytest.mark.parametrize("index", range(4))
def test_output_depends_on_its_own_volume_only(index):
    """Guards against attention across the batch instead of across the tokens."""
    mdu = units()[index].eval()
    tokens = torch.randn(5, 6, 12)
    alone = torch.cat([mdu(tokens[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(mdu(tokens), alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("share_layers", [False, True])
def test_transformer_equals_its_equations(norm, share_layers):
    settings = COMMON | {"share_layers": share_layers}
    mdu = TransformerMDU(num_heads=4, norm=norm, **settings).double().eval()
    for parameter in mdu.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    w = {f"cell.process.{k}": v.numpy() for k, v in mdu.state_dict().items()}
    tokens = torch.randn(2, 6, 12, dtype=torch.float64)
    settings = {"heads": 4, "norm": norm, "depth": 3, "share_layers": share_layers}
    expected = [reference.mdu(t.numpy(), w, **settings) for t in tokens]
    np.testing.assert_allclose(mdu(tokens).detach().numpy(), expected, rtol=1e-9)


def test_mixer_equals_its_equations():
    """Guards against a second residual sum that starts from the block's input."""
    mdu = MixerMDU(num_tokens=6, **COMMON | {"depth": 1}).double()
    for parameter in mdu.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    w = {k: v.numpy() for k, v in mdu.state_dict().items()}
    x = tokens = np.random.default_rng(0).normal(size=(6, 12))

    def mlp(y, name):
        hidden = reference.gelu(y @ w[f"{name}.0.weight"].T + w[f"{name}.0.bias"])
        return hidden @ w[f"{name}.2.weight"].T + w.get(f"{name}.2.bias", 0)

    def norm(y, name):
        return reference.layer_norm(y, w[f"{name}.weight"], w[f"{name}.bias"])

    x = x + mlp(norm(x, "layers.0.token_norm").T, "layers.0.mix_tokens").T
    x = x + mlp(norm(x, "layers.0.channel_norm"), "layers.0.mix_channels")
    expected = norm(x, "final")
    assert w["layers.0.mix_tokens.0.weight"].shape == (36, 6)
    assert w["layers.0.mix_channels.0.weight"].shape == (36, 12)
    np.testing.assert_allclose(mdu(torch.tensor(tokens)[None])[0].detach(), expected, rtol=1e-9)


def test_mlp_equals_its_equation():
    mdu = MLPMDU(**COMMON | {"depth": 1}).double()
    w = [p.detach().numpy() for p in mdu.parameters()]
    x = np.random.default_rng(0).normal(size=(6, 12))
    hidden = reference.gelu(x @ w[0].T + w[1])
    expected = x + reference.gelu(hidden @ w[2].T + w[3])
    np.testing.assert_allclose(mdu(torch.tensor(x)[None])[0].detach(), expected, rtol=1e-9)


@pytest.mark.parametrize("kind", ["transformer", "mixer", "mlp"])
def test_shared_layers_have_the_weights_of_one(kind):
    make = {
        "transformer": lambda **s: TransformerMDU(num_heads=4, norm="post", **s),
        "mixer": lambda **s: MixerMDU(num_tokens=6, **s),
        "mlp": lambda **s: MLPMDU(**s),
    }[kind]

    def count(**changes):
        return sum(p.numel() for p in make(**COMMON | changes).parameters())

    extra = 24 if kind == "mixer" else 0  # the final LayerNorm
    assert count(share_layers=True) == count(depth=1)
    assert count() - extra == 3 * (count(depth=1) - extra)
    shared = make(**COMMON | {"share_layers": True}).eval()
    once = make(**COMMON | {"depth": 1}).eval()
    once.load_state_dict(shared.state_dict())
    once.final, final = torch.nn.Identity(), once.final
    tokens = torch.randn(1, 6, 12)
    torch.testing.assert_close(shared(tokens), final(once(once(once(tokens)))))


def test_heads_must_share_the_width():
    with pytest.raises(ValueError, match="got dim=12, num_heads=5"):
        TransformerMDU(num_heads=5, norm="post", **COMMON)


@pytest.mark.parametrize("share", [0.2, 0.7])
@pytest.mark.parametrize(
    ("kind", "extra"),
    [
        (TransformerMDU, {"num_heads": 4, "norm": "post"}),
        (TransformerMDU, {"num_heads": 4, "norm": "pre"}),
        (MixerMDU, {"num_tokens": 6}),
        (MLPMDU, {}),
    ],
)
def test_a_skipped_layer_leaves_its_volume_and_the_others_make_up_for_it(kind, extra, share):
    """Guards against a share that is inverted, not made up for, or drawn for the whole batch."""
    unit = kind(**COMMON | {"depth": 1, "drop_path": share}, **extra)
    unit.final = torch.nn.Identity()
    tokens = torch.randn(400, 6, 12)
    found = unit(tokens) - tokens
    skipped = (found == 0).flatten(1).all(dim=1)
    assert abs(skipped.float().mean().item() - share) < 0.1
    change = unit.eval()(tokens) - tokens  # in evaluation nothing is skipped
    expected = change[~skipped] / (1 - share)
    torch.testing.assert_close(found[~skipped], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_transformer_takes_the_weights_of_torch_s_own_layer(norm):
    """What it computes, and its gradients, are those of `nn.TransformerEncoderLayer`."""
    mdu = TransformerMDU(num_heads=4, norm=norm, **COMMON | {"depth": 1}).double()
    mdu.final = torch.nn.Identity()
    theirs = torch.nn.TransformerEncoderLayer(
        12, 4, 36, 0.0, "gelu" if norm == "pre" else "relu", norm_first=norm == "pre",
        batch_first=True,
    ).double()  # fmt: skip
    mdu.layers[0].load_state_dict(theirs.state_dict())
    tokens = torch.randn(2, 6, 12, dtype=torch.float64)
    outputs = mdu(tokens), theirs(tokens)
    torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-10)
    for part in outputs:
        part.square().sum().backward()
    expected = dict(theirs.named_parameters())
    for name, parameter in mdu.layers[0].named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-9, atol=1e-9)


def test_transformer_starts_as_torch_s_own_layer():
    torch.manual_seed(0)
    mine = TransformerMDU(num_heads=4, norm="post", **COMMON | {"depth": 1}).layers[0].state_dict()
    torch.manual_seed(0)
    theirs = torch.nn.TransformerEncoderLayer(12, 4, 36).state_dict()
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_dropout_is_where_torch_s_own_layer_has_it(norm, monkeypatch):
    """Guards against a rate that does not reach each place: weights, changes, hidden layer."""
    seen = []

    def forward(layer, tokens):
        seen.append((layer.p, tokens.shape))
        return tokens

    monkeypatch.setattr(Dropout, "forward", forward)
    mdu = TransformerMDU(num_heads=4, norm=norm, **COMMON | {"depth": 1, "dropout": 0.5})
    mdu(torch.randn(2, 6, 12))
    assert seen == [(0.5, s) for s in [(2, 4, 6, 6), (2, 6, 12), (2, 6, 36), (2, 6, 12)]]


def test_attention_in_bfloat16_takes_its_softmax_in_float32(monkeypatch):
    """Guards against weights that sum to one only to the two digits of bfloat16."""
    mdu = TransformerMDU(num_heads=4, norm="pre", **COMMON | {"depth": 1}).bfloat16()
    dtypes = []
    softmax = torch.Tensor.softmax

    def watched(scores, *args, **options):
        weights = softmax(scores, *args, **options)
        dtypes.append(weights.dtype)
        return weights

    monkeypatch.setattr(torch.Tensor, "softmax", watched)
    assert mdu(torch.randn(2, 6, 12).bfloat16()).dtype == torch.bfloat16
    assert dtypes == [torch.float32]
