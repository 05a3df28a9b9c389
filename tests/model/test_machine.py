"""The whole machine: against its equations, and what must never happen to it."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lmttm.config.files import CONFIG_DIR, load_config
from lmttm.config.schema import Config
from lmttm.model.build import build_model
from tests import reference
from tests.conftest import TINY

SHIPPED = sorted(path.name for path in CONFIG_DIR.glob("*.json"))
NOISES = ["none", "normal", "uniform", "laplace", "exponential", "gamma", "poisson"]


def tiny_model(*overrides, seed=0):
    torch.manual_seed(seed)
    return build_model(load_config("demo.json", [*TINY, *overrides]))


def weights_of(model):
    return {name: value.numpy() for name, value in model.state_dict().items()}


def randomise(model):
    """Weights of a size at which no term of the equations vanishes."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.mark.parametrize("kind", ["lmttm", "ttm"])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_steps_equal_the_transcribed_equations(kind, norm):
    """Each step of the machine is the one that the equations describe, volume by volume."""
    overrides = [f"model.model={kind}", f"model.norm={norm}", "model.depth=2"]
    overrides += ["model.mark_neighbours=false"]  # which the paper does not have
    model = randomise(tiny_model(*overrides)).double().eval()
    w = weights_of(model)
    volumes = torch.rand(2, 1, 28, 28, 28, dtype=torch.float64)
    units = 4 if kind == "lmttm" else 1
    settings = {"heads": 8, "norm": norm, "depth": 2, "share_layers": True}

    trace = model.run(volumes)
    memory_of_model = model.initial_memory(2)
    tokens_of_model = model.tokenizer(volumes)
    for b in range(2):
        inputs = reference.tokenize(volumes[b, 0].numpy(), w, patch=7)
        memory, outputs = np.zeros((units, 8 // units, 16)), []
        state = memory_of_model[b : b + 1]
        for t in range(4):
            out, memory = reference.step(
                memory, inputs[t], t, w, linked=kind == "lmttm", **settings
            )
            cell_out, state = model.cell(state, tokens_of_model[b : b + 1, t], t)
            np.testing.assert_allclose(cell_out[0].detach(), out, rtol=1e-8)
            np.testing.assert_allclose(state[0].detach(), memory, rtol=1e-8, atol=1e-12)
            outputs.append(out)
        mean = np.stack(outputs).mean(axis=(0, 1))
        logits = w["classifier.weight"] @ mean + w["classifier.bias"]
        np.testing.assert_allclose(trace.logits[b].detach(), logits, rtol=1e-8)
        np.testing.assert_allclose(trace.memory[b].detach(), memory, rtol=1e-8, atol=1e-12)
        by_step = [w["classifier.weight"] @ o.mean(axis=0) + w["classifier.bias"] for o in outputs]
        np.testing.assert_allclose(trace.step_logits[b].detach(), by_step, rtol=1e-8)


def test_ttm_has_one_unit_whatever_num_blocks_says():
    """Guards against reading a single block three times, which is neither model."""
    trace = tiny_model("model.model=ttm", "model.num_blocks=4").run(torch.rand(1, 1, 28, 28, 28))
    assert trace.memory.shape == (1, 1, 8, 16)


@pytest.mark.parametrize("start", ["zeros", "learned", "carried"])
def test_a_prediction_depends_on_its_volume_only(start):
    """Guards against a prediction that depends on the batch or on what came before it.

    One volume alone, in a batch of 7 and in a batch of 32, before and after predicting
    other volumes, with a carried memory that is not zero.
    """
    model = tiny_model(f"model.memory_start={start}", "model.drop_r=0.5")
    volumes = torch.rand(32, 1, 28, 28, 28)
    model.remember(torch.randn(4, 2, 16), num_steps=4, sound=torch.tensor(True))
    model.eval()
    with torch.no_grad():
        alone = torch.cat([model(volumes[i : i + 1]) for i in range(32)])
        model(torch.rand(5, 1, 28, 28, 28))
        in_sevens = torch.cat([model(part) for part in volumes.split(7)])
        together = model(volumes)
        backwards = model(volumes.flip(0)).flip(0)
    for other in (in_sevens, together, backwards):
        torch.testing.assert_close(other, alone, rtol=0, atol=1e-5)
    if start == "carried":
        assert model.initial_memory.carried_memory.abs().max() > 0.1


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("start", ["zeros", "learned", "carried"])
def test_a_forward_pass_changes_nothing(mode, start):
    """Guards against memory and ring position that go from one batch to the next."""
    model = tiny_model(f"model.memory_start={start}")
    getattr(model, mode)()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plain = {name: repr(vars(module)) for name, module in model.named_modules()}
    model.run(torch.rand(3, 1, 28, 28, 28))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert plain == {name: repr(vars(module)) for name, module in model.named_modules()}


def test_no_shape_holds_the_batch_size():
    """Guards against a parameter shaped by the batch, and a last batch that crashes."""
    model = tiny_model("batch_size=7")
    assert not [n for n, value in model.state_dict().items() if 7 in value.shape[:1]]
    for size in (1, 2, 7, 9):
        assert model(torch.rand(size, 1, 28, 28, 28)).shape == (size, 2)


def test_a_step_changes_the_next_unit_only():
    model = tiny_model().eval()
    memory, inputs = torch.rand(2, 4, 2, 16), torch.rand(2, 16, 16)
    for step in range(6):
        _, new = model.cell(memory, inputs, step)
        changed = [unit for unit in range(4) if not torch.equal(new[:, unit], memory[:, unit])]
        assert changed == [(step + 1) % 4]


def test_modules_run_where_their_inputs_are():
    """Guards against a device call inside a forward: on the meta device it would fail."""
    for combination in (["TL", "3d"], ["TL-MHA", "3dBN"], ["TL-AddErase", "resnet18"]):
        overrides = [f"model.memory_mode={combination[0]}"]
        overrides += [f"model.preprocess_mode={combination[1]}", "model.memory_start=carried"]
        model = tiny_model(*overrides).to("meta")
        trace = model.run(torch.rand(2, 1, 28, 28, 28, device="meta"))
        assert {part.device.type for part in trace} == {"meta"}


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_cpu_agree():
    model = tiny_model().eval()
    volumes = torch.rand(3, 1, 28, 28, 28)
    there = model.cuda()(volumes.cuda()).cpu()
    torch.testing.assert_close(there, model.cpu()(volumes), rtol=1e-4, atol=1e-5)


def check_training_step(model, config: Config):
    """One training step: shapes stay, and every parameter gets a gradient."""
    edge = config.size
    channels = 2 if config.distance == "on" else 1
    volumes = torch.rand(2, channels, edge, edge, edge)
    trace = model.run(volumes)
    labels = torch.arange(2) % config.model.out_class_num
    F.cross_entropy(trace.logits, labels).backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    assert trace.memory.isfinite().all()
    return volumes, trace


@pytest.mark.parametrize("name", SHIPPED)
def test_every_parameter_of_each_shipped_configuration_gets_a_gradient(name):
    """Guards against modules that are built and never used."""
    config = load_config(name)
    # What the data would decide is tried both ways.
    for distance in ["off", "on"] if config.distance == "auto" else [config.distance]:
        decided = config.model_copy(update={"distance": distance})
        torch.manual_seed(config.seed)
        check_training_step(build_model(decided), decided)


STARTS = ["zeros", "learned", *(f"carried {noise}" for noise in NOISES)]
COMBINATIONS = [
    (*combination, STARTS[number % len(STARTS)])
    for number, combination in enumerate(
        itertools.product(
            ["3d", "3dBN", "resnet18"],
            ["TL", "TL-MHA", "TL-AddErase", "none"],
            ["transformer", "mixer", "mlp"],
            ["lmttm", "ttm"],
            ["shared", "separate"],
        )
    )
]


@pytest.mark.parametrize(("tokenizer", "memory", "mdu", "kind", "layers", "start"), COMBINATIONS)
def test_every_combination_trains(tokenizer, memory, mdu, kind, layers, start):
    """Guards against variants that crash, grow, or mix the volumes of a batch."""
    start, _, noise = start.partition(" ")
    overrides = [
        f"model.preprocess_mode={tokenizer}",
        f"model.memory_mode={memory}",
        f"model.process_unit={mdu}",
        f"model.model={kind}",
        f"model.share_layers={str(layers == 'shared').lower()}",
        f"model.memory_start={start}",
        f"model.load_memory_add_noise_mode={noise or 'none'}",
        "model.depth=2",
        "model.patch_size=4",
    ]
    config = load_config("demo.json", [*TINY, *overrides])
    torch.manual_seed(0)
    model = build_model(config)
    volumes, trace = check_training_step(model, config)

    num_units = 0 if memory == "none" else {"lmttm": 4, "ttm": 1}[kind]
    unit_tokens = 8 // num_units if num_units else 0
    assert trace.memory.shape == (2, num_units, unit_tokens, 16)
    with torch.no_grad():
        mean, steps = trace.memory.mean(dim=0), trace.step_logits.shape[1]
        model.remember(mean, num_steps=steps, sound=torch.tensor(True))
        again = model.run(volumes).memory
        assert again.shape == trace.memory.shape
        if num_units:
            assert again.abs().max() < 10 * trace.memory.abs().max() + 1
        model.eval()
        alone = torch.cat([model(volumes[i : i + 1]) for i in range(2)])
        torch.testing.assert_close(model(volumes), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("num_blocks", [1, 2, 3, 8])
@pytest.mark.parametrize("radius", [0, 1, 2, 5])
@pytest.mark.parametrize("mode", ["TL", "TL-MHA", "TL-AddErase"])
def test_any_number_of_units_and_any_radius(num_blocks, radius, mode):
    overrides = [f"model.num_blocks={num_blocks}", f"model.radius={radius}"]
    overrides += [f"model.memory_mode={mode}", "model.memory_tokens_size=24", "model.patch_size=2"]
    model = tiny_model(*overrides)
    inputs = torch.rand(1, 14**2, 16)
    memory = model.initial_memory(1)
    units = min(2 * radius + 1, num_blocks)
    for step in range(3):
        outputs, memory = model.cell(memory, inputs, step)
    assert outputs.shape == (1, 2 * units, 16)
    assert memory.shape == (1, num_blocks, 24 // num_blocks, 16)


def test_published_size():
    """The base configuration has the published number of parameters."""
    model = build_model(load_config("base.json"))
    tables = sum(p.numel() for n, p in model.named_parameters() if n.endswith("positions.table"))
    total = sum(p.numel() for p in model.parameters())
    assert round(total / 1e6, 3) == 3.168
    assert round((total - tables) / 1e6, 3) == 2.884


def test_initial_weights_are_xavier_with_zero_biases():
    model = build_model(load_config("base.json"))
    layer = model.cell.process.layers[0].linear1
    bound = (6 / (448 + 3 * 448)) ** 0.5
    assert 0.99 * bound < layer.weight.abs().max() <= bound
    assert not layer.bias.any()
    assert not model.tokenizer.embed[0].bias.any()


def test_more_units_than_steps_is_told(caplog):
    tiny_model("model.num_blocks=8")
    assert "4 steps never write all 8 units" in caplog.text


def test_model_files_name_no_device():
    """Guards against device calls in the modules (`.cuda()`, `.to(device)`)."""
    package = Path(__file__).resolve().parents[2] / "lmttm"
    names = ["layers", "tokenizer", "memory", "read", "mdu", "write", "model"]
    for name in names:
        source = (package / f"{name}.py").read_text()
        assert ".cuda(" not in source
        assert ".to(" not in source
