"""A GPU computes what the CPU computes, and fails as it does (`make test-cuda`).

On the CPU the same tests run in small, which proves their code and not the GPU.
"""

import copy
import json
import math
from unittest.mock import patch

import pytest
import torch
from torch.nn import functional as F

from lmttm.config.files import load_config
from lmttm.data.augment import Augment
from lmttm.data.dataset import Split
from lmttm.data.placing import placed
from lmttm.device import enough_memory, make_deterministic
from lmttm.errors import RunError
from lmttm.evaluation.evaluate import evaluate
from lmttm.model.build import build_model
from lmttm.training import loop
from lmttm.training.captured import Captured
from lmttm.training.compiled import Compiled
from lmttm.training.loop import train
from lmttm.training.setup import make_trainer
from lmttm.training.steps import NotFinite
from lmttm.training.trainer import Trainer
from tests.conftest import TINY
from tests.cuda.conftest import ON_GPU, found
from tests.cuda.test_fake import VARIANTS, config_of
from tests.training.worker import no_pictures, small_phantoms

# Torch says so of operations that have no deterministic form on CUDA.
pytestmark = pytest.mark.filterwarnings("ignore:.*deterministic")
QUIET = "model.drop_r=0 model.load_memory_add_noise=false train.precision=fp32"


def noise(volumes, channels=1):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(volumes, channels, 28, 28, 28, generator=generator)


def noise_split(volumes):
    images = (255 * noise(volumes)[:, 0]).to(torch.uint8)
    return Split("train", images, torch.arange(volumes) % 2)


def outcome(model, device):
    """Logits, loss and gradients of a model for the same four volumes, and its evaluation."""
    model = copy.deepcopy(model).to(device)
    volumes = noise(4).to(device, next(model.parameters()).dtype)
    with torch.no_grad():
        scored = model.eval()(volumes)
    logits = model.train().run(volumes).logits
    loss = F.cross_entropy(logits, torch.tensor([0, 1, 1, 0], device=device))
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return {"scored": scored, "logits": logits, "loss": loss, **gradients}


AGREEMENTS = [
    *[pytest.param(changes, ON_GPU.values[0], marks=pytest.mark.cuda) for changes in VARIANTS],
    *[(changes, "cpu") for changes in VARIANTS[::9]],
]


@pytest.mark.parametrize(("changes", "where"), AGREEMENTS)
def test_the_device_agrees_with_the_cpu(changes, where):
    """Guards against TF32, another GELU and every other function that differs on CUDA."""
    device = found(where)
    make_deterministic(0)
    model = build_model(config_of(f"{changes} {QUIET}".replace("model.drop_path=0.2", "")))
    if "resnet" in changes:  # rounding adds up over its layers: 5 % of a gradient, also on the CPU
        model.double()
    expected = outcome(model, torch.device("cpu"))
    for name, value in outcome(model, device).items():
        largest = expected[name].abs().max().item()
        torch.testing.assert_close(
            value.cpu(), expected[name], rtol=0, atol=1e-4 * largest + 1e-6, msg=name
        )


def test_products_and_convolutions_are_in_fp32(device):
    """Guards against TF32, which keeps 10 bits and is torch's default for convolutions."""
    make_deterministic(0)
    a, b = torch.randn(64, 512), torch.randn(512, 64)
    volumes, weights = torch.randn(2, 8, 12, 12, 12), torch.randn(16, 8, 3, 3, 3)
    for operation, pair in ((torch.matmul, (a, b)), (F.conv3d, (volumes, weights))):
        exact = operation(*(tensor.double() for tensor in pair))
        found = operation(*(tensor.to(device) for tensor in pair)).cpu()
        assert (found - exact).abs().max() < 1e-5 * exact.abs().max()


def test_a_volume_is_scored_alike_in_any_batch(device):
    """Guards against logits that depend on the other volumes of a batch."""
    make_deterministic(0)
    model = build_model(config_of("model.norm=pre model.preprocess_mode=3dBN")).to(device)
    split = noise_split(7).to(device)
    together = evaluate(model, split, batch_size=7)
    for size in (1, 3):
        torch.testing.assert_close(
            evaluate(model, split, batch_size=size), together, rtol=0, atol=1e-5
        )


def losses_of(config, device, epochs=2):
    make_deterministic(config.seed, device)
    model = build_model(config).to(device)
    trainer = make_trainer(config, noise_split(10), model)
    return trainer, [trainer.train_epoch() for _ in range(epochs)]


COMPILED = {
    "the machine": ("model.norm=pre", 1e-4),
    "the recipe's parts": (
        "model.preprocess_mode=3dBN model.memory_start=learned train.ema=0.9 train.optimizer=AdamW",
        1e-4,
    ),
    "a batch in parts": ("train.accumulate=2", 1e-4),
    "bf16": ("train.precision=bf16", 0.02),
}
WHERE = [pytest.param("cpu", marks=pytest.mark.slow, id="cpu"), ON_GPU]


SMALL = f"{QUIET} model.patch_size=14 model.num_blocks=2 model.memory_tokens_size=4"


def plain_losses(changes, device):
    config = config_of(f"{SMALL} {changes} train.compile=off")
    fp32 = config.train.model_copy(update={"precision": "fp32"})
    return losses_of(config.model_copy(update={"train": fp32}), device)[1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("case", COMPILED)
def test_compiled_training_follows_the_plain_one(case, where):
    """Guards against a graph whose results are overwritten, and a compiler that quietly failed."""
    device = found(where)
    changes, tolerance = COMPILED[case]
    trainer, compiled = losses_of(config_of(f"{SMALL} {changes} train.compile=on"), device)
    assert isinstance(trainer.run, Compiled)
    assert trainer.run.compiled is not None
    assert compiled == pytest.approx(plain_losses(changes, device), rel=tolerance)


@pytest.mark.parametrize("where", [ON_GPU])
@pytest.mark.parametrize("case", [case for case in COMPILED if case != "a batch in parts"])
def test_captured_training_follows_the_plain_one(case, where):
    """Guards against a replay of old gradients, and against a capture that quietly failed."""
    device = captures(where)
    changes, tolerance = COMPILED[case]
    trainer, captured = losses_of(config_of(f"{SMALL} {changes} train.compile=graph"), device)
    assert isinstance(trainer.run, Captured)
    assert trainer.run.graphed is not None
    assert captured == pytest.approx(plain_losses(changes, device), rel=tolerance)


@pytest.mark.parametrize("where", [ON_GPU])
def test_capturing_changes_nothing(where):
    """Guards against random numbers and statistics of batch norm that the warm-up has used up."""
    device = captures(where)
    config = config_of("model.preprocess_mode=3dBN train.compile=graph")
    make_deterministic(0, device)
    model = build_model(config).to(device)
    before = [buffer.clone() for buffer in model.buffers()]
    state = torch.cuda.get_rng_state(device)
    make_trainer(config, noise_split(10), model)
    assert torch.equal(torch.cuda.get_rng_state(device), state)
    for buffer, old in zip(model.buffers(), before, strict=True):
        assert torch.equal(buffer, old)


def captures(where):
    """The device; skips where it has no CUDA graphs."""
    device = found(where)
    if device.type != "cuda":
        pytest.skip("only CUDA has graphs")
    return device


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("case", ["base.json", "recipe.json", "resnet3d.json", "memory_mha"])
def test_a_training_repeats_itself_to_the_last_bit(device, case, precision):
    """Guards against sums in any order: fused attention's gradients on CUDA, for example."""
    name, *changes = REPEATED.get(case, (case,))
    config = load_config(name, [*TINY, *changes, f"train.precision={precision}", "distance=off"])
    losses = [losses_of(config, device)[1] for _ in range(2)]
    assert losses[0] == losses[1]


REPEATED = {"memory_mha": ("base.json", "model.memory_mode=TL-MHA")}


def loop_config(folder, device, epochs):
    overrides = [
        *("model.preprocess_mode=3dBN", "train.schedule=constant", "train.warmup_steps=2"),
        *("train.ema=0.8", "train.stop_auc=0", "train.compile=off", "batch_size=8"),
        *(f"output_dir={folder}", f"device={device}", f"train.epoch={epochs}"),
    ]
    return load_config("demo.json", [*TINY, *QUIET.split(), *overrides])


@pytest.fixture
def small_loop():
    """Trainings on 18 phantoms that draw no pictures."""
    with no_pictures(), patch.object(loop, "load_dataset", small_phantoms):
        yield


def records(folder):
    lines = (folder / "demo" / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_run_moves_to_the_device_and_back(device, tmp_path, small_loop):
    """Guards against a state that only the kind of device that saved it can take."""
    train(loop_config(tmp_path / "moved", "cpu", 1))
    for epochs, place in ((2, device), (3, "cpu"), (4, device)):
        train(loop_config(tmp_path / "moved", place, epochs), resume=True)
    train(loop_config(tmp_path / "stayed", "cpu", 4))
    moved, stayed = records(tmp_path / "moved"), records(tmp_path / "stayed")
    tolerance = 0 if device.type == "cpu" else 1e-3
    assert len(moved) == 4
    for one, other in zip(moved, stayed, strict=True):
        for key in ("train_loss", "val_loss"):
            assert one[key] == pytest.approx(other[key], rel=tolerance), key


def test_out_of_memory_says_what_to_try(device, tmp_path, small_loop):
    """Guards against torch's own text, and against memory that stays taken after it."""
    step = Trainer._step

    def greedy(trainer, *args):
        step(trainer, *args)
        torch.empty(2**50, device=trainer.device)

    told = "out of memory with batch_size=8; try batch_size=4, or train.accumulate=2"
    with patch.object(Trainer, "_step", greedy), pytest.raises(RunError, match=told):
        train(loop_config(tmp_path, device, 1))
    with enough_memory(1):
        assert torch.ones(3, device=device).sum().item() == 3


@pytest.mark.parametrize("distance", ["off", "on"])
def test_volumes_on_the_host_train_and_score_as_those_on_the_device(device, distance, tmp_path):
    """Guards against a batch that is overwritten before it has arrived."""
    losses, logits = [], []
    for share in (1.0, 1e-12):
        config = config_of(f"{QUIET} distance={distance} memory_share={share} cache={tmp_path}")
        make_deterministic(0)
        model = build_model(config).to(device)
        trainer = make_trainer(config, noise_split(30), model)
        assert trainer.is_resident == (share == 1.0 or device.type == "cpu")
        losses.append([trainer.train_epoch() for _ in range(2)])
        logits.append(evaluate(model, placed(noise_split(9), config, device), batch_size=4))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=1e-4)


def state_of(trainer):
    """Copies of weights, buffers and the optimizer's state."""
    tensors = {**trainer.model.state_dict()}
    for index, state in trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    return {name: value.clone() for name, value in tensors.items()}


class Spoils(Augment):
    """Makes the volumes of the third step infinite."""

    calls = 0

    def __call__(self, volumes):
        self.calls += 1
        return (volumes * torch.inf if self.calls == 3 else volumes), None


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW", "RMSprop"])
def test_a_step_that_is_not_finite_changes_nothing(device, optimizer):
    """Guards against NaN in weights, statistics or memory before the host learns of it."""
    changes = f"model.preprocess_mode=3dBN train.optimizer={optimizer} train.clip_norm=1"
    config = config_of(f"{QUIET} {changes}")
    trainer = make_trainer(config, noise_split(24), build_model(config).to(device))
    trainer.augment = Spoils()
    states = [state_of(trainer)]

    def watch():
        states.append(state_of(trainer))
        return False

    with pytest.raises(NotFinite, match="not finite at epoch 1, step 3") as caught:
        trainer.train_epoch(watch)
    looks_later = device.type == "cuda" and optimizer != "RMSprop"
    after = states[3] if looks_later else state_of(trainer)
    for name, value in states[2].items():
        assert torch.equal(value, after[name]), name
    assert not all(torch.equal(value, states[1][name]) for name, value in states[2].items())
    assert len(states) == (7 if looks_later else 3)
    assert math.isfinite(caught.value.fault["last_finite_loss"])
