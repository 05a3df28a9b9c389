"""The ring: who is read, who is replaced, what a volume starts from."""

import pytest
import torch

from lmttm.config.files import load_config
from lmttm.config.kinds import NOISES, find
from lmttm.model import machine
from lmttm.model.build import build_model
from lmttm.model.memory import InitialMemory, neighbours, next_unit, replace
from tests.conftest import TINY

YES = torch.tensor(True)


def test_neighbours_of_the_paper_are_current_past_next():
    assert neighbours(0, num_units=4, radius=1) == [0, 3, 1]
    assert neighbours(5, num_units=4, radius=1) == [1, 0, 2]


@pytest.mark.parametrize("num_units", range(1, 8))
@pytest.mark.parametrize("radius", range(4))
def test_neighbours_of_any_ring(num_units, radius):
    for step in range(2 * num_units):
        near = neighbours(step, num_units=num_units, radius=radius)
        assert near[0] == step % num_units
        assert len(near) == len(set(near)) == min(2 * radius + 1, num_units)
        distances = [min((u - step) % num_units, (step - u) % num_units) for u in near]
        assert distances == sorted(distances)
        assert max(distances) <= radius


def test_replace_changes_one_unit_only():
    memory, tokens = torch.rand(2, 4, 3, 5), torch.rand(2, 3, 5)
    for unit in range(4):
        new = replace(memory, unit, tokens)
        assert new.shape == memory.shape
        for other in range(4):
            expected = tokens if other == unit else memory[:, other]
            assert torch.equal(new[:, other], expected)


def initial(start="carried", noise=None):
    return InitialMemory(num_units=3, unit_tokens=2, dim=4, start=start, noise=noise)


def test_starts():
    assert not initial("zeros")(5).any()
    learned = initial("learned")
    assert torch.equal(learned(5)[3], learned.learned_memory)
    assert [name for name, _ in initial("zeros").named_parameters()] == []
    assert list(initial("zeros").state_dict()) == []
    assert list(initial("carried").state_dict()) == ["carried_memory"]


def test_carried_memory_is_the_mean_of_what_was_written():
    memory = initial()
    final = torch.rand(6, 3, 2, 4)
    memory.store(final.mean(dim=0), num_steps=2, finite=YES)  # writes units 1 and 2
    assert not memory.carried_memory[0].any()
    torch.testing.assert_close(memory.carried_memory[1:], final[:, 1:].mean(dim=0))
    memory.store(final.mean(dim=0), num_steps=9, finite=YES)
    torch.testing.assert_close(memory.carried_memory, final.mean(dim=0))


def test_a_mean_that_is_not_finite_is_not_carried():
    memory = initial()
    memory.store(torch.ones(3, 2, 4), num_steps=3, finite=YES)
    bad = torch.rand(3, 2, 4)
    memory.store(bad, num_steps=3, finite=~YES)
    assert torch.equal(memory.carried_memory, torch.ones(3, 2, 4))
    bad[0, 0, 0] = torch.inf
    memory.store(bad, num_steps=3, finite=YES)
    assert torch.equal(memory.carried_memory, torch.ones(3, 2, 4))


@pytest.mark.parametrize("start", ["zeros", "learned"])
def test_other_starts_carry_nothing(start):
    memory = initial(start)
    before = {k: v.clone() for k, v in memory.state_dict().items()}
    memory.store(torch.ones(3, 2, 4), num_steps=3, finite=YES)
    assert all(torch.equal(before[k], v) for k, v in memory.state_dict().items())
    assert memory(1).shape == (1, 3, 2, 4)


@pytest.mark.parametrize("path", [path for path in NOISES.values() if path])
def test_noise_is_fresh_for_each_volume_and_off_in_evaluation(path):
    """Guards against noise that stays on in evaluation."""
    memory = initial(noise=find(path))
    drawn = memory(2)
    assert not torch.equal(drawn[0], drawn[1])
    memory.eval()
    assert not memory(2).any()


@pytest.mark.parametrize(
    ("memory", "noise"),
    [
        *(("TL", noise) for noise in NOISES),
        ("TL-MHA", "none"),
        ("TL-AddErase", "normal"),
    ],
)
def test_carried_memory_stays_bounded(memory, noise):
    """Guards against a memory that grows with every batch: its size settles at once.

    The published writes add a number near 1 each time; 100 of them would be seen.
    """
    overrides = [f"model.memory_mode={memory}", f"model.load_memory_add_noise_mode={noise}"]
    config = load_config("demo.json", [*TINY, "model.memory_start=carried", *overrides])
    model = build_model(config)
    volumes = torch.rand(2, 1, 28, 28, 28)
    sizes = []
    with torch.no_grad():
        inputs = model.tokenizer(volumes)
        for _ in range(100):
            _, final = machine.walk(model.cell, inputs, model.initial_memory(2))
            model.remember(final.mean(dim=0), num_steps=4, finite=YES)
            sizes.append(model.initial_memory.carried_memory.abs().max())
    sizes = torch.stack(sizes)
    assert sizes.isfinite().all()
    assert sizes.max() < 100
    assert sizes[-25:].mean() < 1.5 * sizes[:25].mean()


def test_next_unit_is_the_one_after_the_current():
    assert [next_unit(step, num_units=4) for step in range(5)] == [1, 2, 3, 0, 1]
    assert next_unit(7, num_units=1) == 0
