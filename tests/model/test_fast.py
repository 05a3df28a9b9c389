"""The fast form, step by step against the plain form that mirrors the equations."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from lmttm.config.files import load_config
from lmttm.config.kinds import MEMORY_MODES, PROCESS_UNITS
from lmttm.data import phantoms
from lmttm.data.augment import Augment
from lmttm.data.dataset import Split
from lmttm.model import fast
from lmttm.model import machine as model
from lmttm.model import memory as model_memory
from lmttm.model.build import build_model
from lmttm.training.trainer import Trainer
from tests.conftest import TINY

VARIANTS = [
    (*rest, kind, units, radius)
    for rest in itertools.product(MEMORY_MODES, PROCESS_UNITS, ["true", "false"])
    for kind, units, radius in [("lmttm", 4, 1), ("ttm", 4, 1), ("lmttm", 2, 2), ("lmttm", 3, 0)]
]


def machines(*overrides, dtype):
    """The same machine in both forms, with weights at which no term vanishes."""
    pair = []
    for form in ("false", "true"):
        config = load_config("demo.json", [*TINY, *overrides, f"fast={form}"])
        torch.manual_seed(0)
        machine = build_model(config).to(dtype)
        for parameter in machine.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        pair.append(machine)
    return pair


def outputs_and_gradients(machine, volumes):
    torch.manual_seed(1)  # of the noise on a carried memory
    trace = machine.run(volumes)
    loss = F.cross_entropy(trace.logits, torch.arange(len(volumes)) % 2)
    (loss + trace.memory.square().sum() + trace.step_logits.square().sum()).backward()
    gradients = {name: p.grad for name, p in machine.named_parameters()}
    return {**trace._asdict(), **gradients}


def check(overrides, dtype, tolerance, volumes=3):
    volumes = torch.rand(volumes, 1, 28, 28, 28, dtype=dtype)
    plain, quick = (outputs_and_gradients(m, volumes) for m in machines(*overrides, dtype=dtype))
    assert plain.keys() == quick.keys()
    for name, expected in plain.items():
        largest = expected.abs().max().item() if expected.numel() else 0.0
        torch.testing.assert_close(
            quick[name], expected, rtol=0, atol=tolerance * largest, msg=name
        )


@pytest.mark.parametrize(("memory", "mdu", "positions", "kind", "units", "radius"), VARIANTS)
def test_outputs_and_gradients_agree_in_float64(memory, mdu, positions, kind, units, radius):
    overrides = [
        f"model.memory_mode={memory}",
        f"model.process_unit={mdu}",
        f"model.read_use_positional_embedding={positions}",
        f"model.write_use_positional_embedding={positions}",
        f"model.model={kind}",
        f"model.num_blocks={units}",
        f"model.radius={radius}",
        "model.memory_tokens_size=12",
        "model.patch_size=5",
        "model.memory_start=learned",
    ]
    check(overrides, torch.float64, 1e-9)


@pytest.mark.parametrize("volumes", [1, 3])
@pytest.mark.parametrize("start", ["zeros", "learned", "carried"])
@pytest.mark.parametrize(
    "shape",
    [
        ["model.num_blocks=8", "model.memory_tokens_size=16", "model.patch_size=9"],  # three steps
        ["model.num_blocks=3", "model.memory_tokens_size=6", "model.patch_size=28"],  # one step
        ["model.num_blocks=1", "model.memory_tokens_size=4", "model.patch_size=5"],
    ],
)
def test_few_steps_any_start_and_single_volumes_agree(shape, start, volumes):
    check([*shape, f"model.memory_start={start}"], torch.float64, 1e-9, volumes)


@pytest.mark.parametrize("num_units", [1, 2, 3, 6])
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_units_are_pooled_for_the_slots_in_which_they_will_be_read(num_units, radius):
    """Guards against work on what no step reads, and against a slot that is forgotten."""
    steps = range(7)
    reads = [model_memory.neighbours(s, num_units=num_units, radius=radius) for s in steps]
    replaced = [model_memory.next_unit(s, num_units=num_units) for s in steps]
    for first, unit in itertools.product(range(8), range(num_units)):
        expected = set()
        for step in steps[first:]:
            expected |= {slot for slot, read in enumerate(reads[step]) if read == unit}
            if replaced[step] == unit:
                break
        assert fast._slots(unit, reads[first:], replaced[first:]) == sorted(expected)


@pytest.mark.parametrize("memory", MEMORY_MODES)
def test_outputs_and_gradients_agree_in_float32(memory):
    overrides = [f"model.memory_mode={memory}", "model.memory_start=learned", "model.patch_size=4"]
    check(overrides, torch.float32, 1e-4)


def test_both_forms_have_the_same_weights():
    plain, quick = machines(dtype=torch.float32)
    assert plain.state_dict().keys() == quick.state_dict().keys()
    assert not plain.fast
    assert quick.fast


class DoubleSplit(Split):
    """A split whose volumes come in float64."""

    def inputs(self, chosen):
        return super().inputs(chosen).double()


def test_training_follows_the_plain_form():
    """Three epochs on phantoms in float64, no dropout: losses agree to a relative 1e-9."""
    images, labels = map(torch.from_numpy, phantoms.generate(48, seed=0))
    split = DoubleSplit("train", images, labels[:, 0].long())
    losses = []
    for machine in machines("model.memory_start=carried", dtype=torch.float64):
        trainer = Trainer(
            machine,
            split,
            augment=Augment(),
            optimizer=torch.optim.AdamW(machine.parameters()),
            lr_at=lambda step: 1e-3,
            seed=1,
            batch_size=4,
            clip_norm=0.5,
        )
        torch.manual_seed(0)
        losses.append([trainer.train_epoch() for _ in range(3)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)


def test_the_fast_form_takes_less_arithmetic():
    from torch.utils.flop_counter import FlopCounterMode

    config = load_config("base.json")
    machine = build_model(config).requires_grad_(False)
    counts = []
    for walk in (model.walk, fast.walk):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            inputs = machine.tokenizer(torch.rand(1, 1, 28, 28, 28))
            walk(machine.cell, inputs, machine.initial_memory(1))
        counts.append(counter.get_total_flops())
    assert 10e9 < counts[0] < 11.5e9
    assert counts[1] < 0.7 * counts[0]


@pytest.mark.parametrize("memory", ["TL", "TL-MHA"])
def test_a_start_that_all_volumes_share_is_embedded_once(memory):
    from torch.utils.flop_counter import FlopCounterMode

    config = load_config("small.json", [f"model.memory_mode={memory}", "model.memory_start=zeros"])
    machine = build_model(config).requires_grad_(False)
    flops = {}
    for volumes in (1, 4):
        with FlopCounterMode(display=False) as counter:
            machine.run(torch.rand(volumes, 1, 28, 28, 28))
        flops[volumes] = counter.get_total_flops()
    once = flops[1] - (flops[4] - flops[1]) / 3  # what does not grow with the batch
    units, tokens, dim = 4, config.model.memory_tokens_size // 4, config.model.dim
    assert once >= units * tokens * 4 * 2 * dim**2  # four Linear maps d -> d of each unit
