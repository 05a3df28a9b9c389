"""Our networks beside those of other libraries: the same data, the same training, in turn."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from lmttm.config.files import load_config
from lmttm.data import phantoms
from lmttm.model.convolution import Convolution
from lmttm.sweeps.cost import cost

ROOT = Path(__file__).resolve().parents[2]
TINY = ["model.dim=16", "model.memory_tokens_size=8", "batch_size=4", "device=cpu"]


@pytest.fixture(autouse=True)
def folder(monkeypatch):
    """Benchmarks import from their own folder."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


class Small(nn.Module):
    """A network of another library, which answers as MONAI's transformer does."""

    def __init__(self, channels, classes):
        super().__init__()
        self.conv = nn.Conv3d(channels, 4, 3, stride=14)
        self.head = nn.Linear(4, classes)

    def forward(self, volumes):
        return self.head(self.conv(volumes).mean(dim=(2, 3, 4))), []


@pytest.fixture
def few(monkeypatch):
    """Two networks in the place of all: the machine, and one of another library."""
    import rivals

    of_all = rivals.networks

    def networks(config, source):
        channels = config.model.in_channels + (config.distance == "on")
        small = rivals.Network(
            Small(channels, config.model.out_class_num), (channels, *config.shape)
        )
        ours = f"LMTTM of {source}"
        return {ours: of_all(config, source)[ours], "small": lambda: small}

    monkeypatch.setattr(rivals, "networks", networks)


def test_speed_is_measured_in_turn_and_told_in_one_table(few, tmp_path, capsys):
    import networks

    out = ["--repeats", "1", "--out", str(tmp_path)]
    assert networks.main(["adrenalmnist3d.json", *TINY, *out]) == 0
    rows = json.loads((tmp_path / "networks.json").read_text())["rows"]
    assert [row["network"] for row in rows] == ["LMTTM of adrenalmnist3d.json", "small"]
    parameters, gflop = cost(load_config("adrenalmnist3d.json", TINY))
    assert rows[0]["parameters"] == parameters
    assert rows[0]["gflop"] == pytest.approx(gflop, abs=0.001)
    # 2 x 2 x 2 places of 4 channels, each of 27 voxels in 2 channels; then 4 x 2.
    assert rows[1]["parameters"] == 4 * (2 * 27 + 1) + 2 * (4 + 1)
    for row in rows:
        assert min(row[mode]["volumes_per_second"] for mode in ("training", "inference")) > 0
    assert "| LMTTM of adrenalmnist3d.json | 0.0" in capsys.readouterr().out


def test_the_race_ends_at_the_score_the_time_or_the_last_epoch(few, tmp_path, monkeypatch, capsys):
    """Guards against a network that takes the time of all."""
    import networks
    import race

    monkeypatch.setattr(phantoms, "SPLITS", {"train": 12, "val": 8, "test": 8})
    scores = iter((0.6, 0.5, 0.9, 0.7, 0.6))  # of the two networks in turn, then of the second
    monkeypatch.setattr(race.metrics, "score", lambda *_: {"auc": next(scores)})
    data = ["dataset_name=PhantomMNIST3D", "train.epoch=3", "train.warmup_steps=1"]
    arguments = ["demo.json", *TINY, *data, "--until", "0.9", "--out", str(tmp_path)]
    assert networks.main(arguments) == 0
    found = json.loads((tmp_path / "race.json").read_text())["networks"]
    assert [point["val_auc"] for point in found["LMTTM of demo.json"]] == [0.6, 0.9]
    assert [point["epoch"] for point in found["small"]] == [1, 2, 3]
    assert next(scores, None) is None
    table = capsys.readouterr().out
    assert "| LMTTM of demo.json | 0.0 | 2 | 0.900 |" in table
    assert "| small | not within 0.0 | 3 | 0.700 |" in table
    assert (tmp_path / "race.png").read_bytes().startswith(b"\x89PNG")
    scores = iter((0.6, 0.5))
    assert networks.main([*arguments, "--minutes", "0"]) == 0
    assert next(scores, None) is None


def test_networks_of_another_library_train_as_ours_do():
    """Guards against volumes too small for a network, and a border that moves the volume."""
    from rivals import Network

    net = Network(Small(1, 2), (1, 28, 28, 28), least_edge=32)
    inner = []
    net.net.register_forward_pre_hook(lambda _, volumes: inner.append(volumes[0]))
    volumes = torch.rand(2, 1, 28, 28, 28)
    trace = net.run(volumes)
    assert inner[0].shape == (2, 1, 32, 32, 32)
    assert torch.equal(inner[0][:, :, 2:-2, 2:-2, 2:-2], volumes)
    assert inner[0].sum() == pytest.approx(volumes.sum().item(), rel=1e-5)
    assert trace.logits.shape == (2, 2)
    assert trace.step_logits.shape == (2, 1, 2)
    odd = Network(Small(1, 2), (1, 29, 40, 28), least_edge=32)
    assert [sum(odd.border[i : i + 2]) for i in (4, 2, 0)] == [3, 0, 4]  # D, H, W


def test_the_shipped_networks_take_the_same_volumes():
    """Guards against a network that sees another channel, or answers for other classes."""
    from rivals import networks

    config = load_config("adrenalmnist3d.json", [*TINY, "model.out_class_num=3"])
    built = networks(config, "mine.json")
    assert list(built)[:4] == [
        *("LMTTM of mine.json", "LMTTM of base.json", "TTM of mine.json", "r3d_18 (torchvision)"),
    ]
    for build in list(built.values())[:4]:
        model = build()
        assert model.input_shape == (2, 28, 28, 28)
        assert model.eval()(torch.zeros(1, 2, 28, 28, 28)).shape == (1, 3)


@pytest.mark.slow
def test_monai_gives_three_networks():
    """Guards against weights that no gradient reaches, and probabilities in place of logits."""
    pytest.importorskip("monai")
    from rivals import networks

    config = load_config("adrenalmnist3d.json", [*TINY, "model.out_class_num=3"])
    built = {name: build() for name, build in networks(config, "").items() if "MONAI" in name}
    assert list(built) == ["ResNet-18 (MONAI)", "DenseNet-121 (MONAI)", "ViT (MONAI)"]
    for model in built.values():
        logits = model(torch.rand(2, 2, 28, 28, 28))
        assert logits.shape == (2, 3)
        logits.sum().backward()
        named = dict(model.named_parameters())
        without = {name for name, weight in named.items() if weight.grad is None}
        assert all("norm_cross_attn" in name for name in without)  # which MONAI builds for others
        convolutions = [part for part in model.modules() if isinstance(part, nn.Conv3d)]
        assert {type(part) for part in convolutions} == {Convolution}
        assert not any(isinstance(part, nn.Tanh) for part in model.modules())


def test_without_monai_its_networks_are_left_out(monkeypatch):
    import rivals

    monkeypatch.setattr(rivals, "has_monai", lambda: False)
    assert len(rivals.networks(load_config("adrenalmnist3d.json"), "")) == 4


def test_what_cannot_be_reached_is_refused(tmp_path, capsys):
    import networks

    for until in ("1", "0.5", "90"):
        arguments = ["adrenalmnist3d.json", "--until", until, "--out", str(tmp_path / "out")]
        assert networks.main(arguments) == 2
        assert "--until must lie between 0.5 and 1, got" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
