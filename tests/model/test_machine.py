"""The whole machine: against its equations, and what must never happen to it."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from lmttm.config.files import load_config
from lmttm.errors import InputError
from lmttm.model import machine
from lmttm.model.build import build_model
from tests import reference
from tests.conftest import TINY


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
        inputs = reference.tokenize(volumes[b, 0].numpy(), w, patch=(7, 7, 7))
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
    model.remember(torch.randn(4, 2, 16), num_steps=4, finite=torch.tensor(True))
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


def test_modules_run_where_their_inputs_are():
    """Guards against a device call inside a forward: on the meta device it would fail."""
    for combination in (["TL", "3d"], ["TL-MHA", "3dBN"], ["TL-AddErase", "resnet18"]):
        overrides = [f"model.memory_mode={combination[0]}"]
        overrides += [f"model.preprocess_mode={combination[1]}", "model.memory_start=carried"]
        model = tiny_model(*overrides).to("meta")
        trace = model.run(torch.rand(2, 1, 28, 28, 28, device="meta"))
        assert {part.device.type for part in trace} == {"meta"}


def test_model_files_name_no_device():
    """Guards against device calls in the modules (`.cuda()`, `.to(device)`)."""
    files = sorted((Path(__file__).resolve().parents[2] / "lmttm" / "model").glob("*.py"))
    assert len(files) > 10
    for path in files:
        source = path.read_text(encoding="utf-8")
        assert ".cuda(" not in source, path.name
        assert not re.search(r"\.to\((?!memory_format)", source), path.name


def test_an_answer_takes_the_walk_that_the_machine_was_built_with(monkeypatch):
    """Guards against a `fast` that is not looked at."""
    for form, module in (("false", machine), ("true", machine.fast)):
        model, taken, walk = tiny_model(f"fast={form}").eval(), [], module.walk
        with monkeypatch.context() as patch:
            patch.setattr(module, "walk", lambda *given, w=walk, t=taken: t.append(1) or w(*given))
            model(torch.rand(1, 1, 28, 28, 28))
        assert taken == [1], form


@pytest.mark.parametrize("kind", ["lmttm", "ttm", "resnet3d"])
@pytest.mark.parametrize(
    "shape", [(2, 28, 28, 28), (2, 1, 28, 28, 27), (1, 2, 28, 28, 28), (1, 1, 28, 64, 28), (28,)]
)
def test_a_volume_of_another_shape_is_refused_with_both_shapes(kind, shape):
    """Guards against an error of a convolution, or of a position table three modules further."""
    model = tiny_model(f"model.model={kind}")
    told = re.escape(f"takes volumes of shape (b, 1, 28, 28, 28), got {shape}")
    for call in (model, model.run):
        with pytest.raises(InputError, match=told):
            call(torch.rand(shape))


def test_thin_slabs_make_more_steps():
    """Slabs of three slices in a volume of 64^3: 21 steps, of 9 x 9 patches each."""
    model = tiny_model("dataset_name=mine/", "size=64", "model.patch_size=[3,7,7]")
    trace = model.run(torch.rand(1, 1, 64, 64, 64))
    assert trace.step_logits.shape == (1, 21, 2)
    assert model.cell.read.positions.table.shape[0] == 2 + 9 * 9
