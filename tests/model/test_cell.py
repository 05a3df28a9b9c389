"""One step of the machine: what is read, what is replaced, what stays."""

import pytest
import torch
from torch import nn

from lmttm.config.files import load_config
from lmttm.config.kinds import MEMORY_MODES
from lmttm.model.build import build_model
from lmttm.model.cell import Cell
from tests.conftest import TINY


def tiny_model(*overrides):
    return build_model(load_config("demo.json", [*TINY, *overrides]))


class Noted(nn.Module):
    """A part of a cell that notes its arguments and gives a fixed answer."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer
        self.seen = []

    def forward(self, *arguments):
        self.seen.append(arguments)
        return self.answer


@pytest.mark.parametrize("step", [0, 1, 2, 3, 6])
def test_a_step_is_read_process_write(step):
    """Current, past and next unit are read and handed on; the next one is replaced."""
    memory, inputs = torch.rand(2, 4, 3, 8), torch.rand(2, 5, 8)
    reads, outputs, written = (torch.rand(2, n, 8) for n in (6, 6, 3))
    read, process, write = Noted(reads), Noted(outputs), Noted(written)
    cell = Cell(read=read, process=process, write=write, radius=1)
    found, new = cell(memory, inputs, step)

    current, past, following = step % 4, (step - 1) % 4, (step + 1) % 4
    units = [memory[:, unit] for unit in (current, past, following)]
    (seen_units, seen_inputs), (processed,) = read.seen[0], process.seen[0]
    written_units, target, written_inputs, written_outputs = write.seen[0]
    for group in (seen_units, written_units):
        assert all(torch.equal(a, b) for a, b in zip(group, units, strict=True))
    assert seen_inputs is written_inputs is inputs
    assert torch.equal(target, memory[:, following])
    assert processed is reads
    assert written_outputs is found is outputs
    assert torch.equal(new[:, following], written)
    others = [unit for unit in range(4) if unit != following]
    assert torch.equal(new[:, others], memory[:, others])


def test_without_a_write_there_is_no_memory_to_read():
    memory, inputs = torch.zeros(2, 0, 0, 8), torch.rand(2, 5, 8)
    reads, outputs = torch.rand(2, 2, 8), torch.rand(2, 2, 8)
    read, process = Noted(reads), Noted(outputs)
    cell = Cell(read=read, process=process, write=None, radius=1)
    found, new = cell(memory, inputs, 3)
    assert found is outputs
    assert new is memory
    assert read.seen == [([], inputs)]


def test_a_step_changes_the_next_unit_only():
    model = tiny_model().eval()
    memory, inputs = torch.rand(2, 4, 2, 16), torch.rand(2, 16, 16)
    for step in range(6):
        _, new = model.cell(memory, inputs, step)
        changed = [unit for unit in range(4) if not torch.equal(new[:, unit], memory[:, unit])]
        assert changed == [(step + 1) % 4]


@pytest.mark.parametrize("num_blocks", [1, 2, 3, 8])
@pytest.mark.parametrize("radius", [0, 1, 2, 5])
@pytest.mark.parametrize("mode", [name for name, mode in MEMORY_MODES.items() if mode.write])
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
