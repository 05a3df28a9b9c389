"""The training loop, against a loop written out by hand, and the learning rate."""

import math

import pytest
import torch
from torch.nn import functional as F

from lmttm import engine
from lmttm.config import load_config
from lmttm.data import Split, prepare
from lmttm.errors import RunError
from lmttm.model import build_model
from tests.conftest import TINY


def split_of(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, 28, 28, 28), generator=generator, dtype=torch.uint8)
    return Split("train", images, torch.arange(n) % 2)


def settings(config, **changes):
    return {
        "prepare": lambda volumes: prepare(volumes, config),
        "augment": lambda volumes: volumes,
        "lr_at": lambda step: 0.01 / (step + 1),
        "epoch": 0,
        "seed": 1,
        "batch_size": 4,
        "clip_norm": 0.5,
        "progress": False,
    } | changes


@pytest.fixture
def machine():
    quiet = ["model.memory_start=carried", "model.load_memory_add_noise=false"]
    config = load_config("demo.json", [*TINY, *quiet])
    torch.manual_seed(0)
    return build_model(config), config


def test_an_epoch_equals_the_loop_written_out(machine):
    model, config = machine
    split = split_of(10)
    torch.manual_seed(0)
    twin = build_model(config)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    loss = engine.train_epoch(model, split, optimizer=optimizer, **settings(config, epoch=2))

    order = torch.randperm(10, generator=engine.shuffling(1, 2))
    total = 0.0
    for number, chosen in enumerate(order.split(4)):
        twin.zero_grad()
        trace = twin.run(split.images[chosen][:, None] / 255)
        batch_loss = F.cross_entropy(trace.logits, split.labels[chosen])
        total += batch_loss.item() * len(chosen)
        batch_loss.backward()
        norm = math.sqrt(sum(p.grad.square().sum().item() for p in twin.parameters()))
        lr = 0.01 / (2 * 3 + number + 1)  # epochs 0 and 1 took 3 steps each
        with torch.no_grad():
            for p in twin.parameters():
                p -= lr * p.grad * min(1, 0.5 / norm)
            twin.initial_memory.carried_memory.copy_(trace.memory.mean(dim=0))
    assert loss == pytest.approx(total / 10, rel=1e-5)
    for (name, ours), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6, msg=name)
    torch.testing.assert_close(
        model.initial_memory.carried_memory, twin.initial_memory.carried_memory
    )


def test_the_order_changes_with_the_epoch_and_the_seed(machine):
    """Guards against epochs that all have the same order: torch takes 32 bits of a seed."""
    model, config = machine
    split = split_of(12)
    seen = []

    def watch(volumes):
        seen.append(volumes[:, 0, 0, 0, :3].sum(dim=1))
        return volumes

    for epoch, seed in ((0, 1), (0, 1), (1, 1), (0, 2)):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        changes = {"augment": watch, "epoch": epoch, "seed": seed}
        engine.train_epoch(model, split, optimizer=optimizer, **settings(config, **changes))
    first, again, later, other = torch.cat(seen).view(4, 12)
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first, other)
    assert torch.equal(first.sort().values, later.sort().values)


def test_evaluation_scores_every_volume_in_file_order(machine):
    """Guards against a split that is dropped in part or shuffled, and noise that stays on."""
    model, config = machine
    model.initial_memory.store(torch.rand(2, 4, 2, 16), num_steps=4)
    model.train()
    split = split_of(11)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    logits = engine.evaluate(model, split, prepare=lambda v: prepare(v, config), batch_size=4)
    assert not model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    with torch.no_grad():
        for index in range(11):
            alone = model(prepare(split.images[index : index + 1], config))[0]
            torch.testing.assert_close(logits[index], alone, rtol=0, atol=1e-5)


def test_a_loss_that_is_not_finite_stops_the_run(machine):
    model, config = machine
    optimizer = torch.optim.SGD(model.parameters(), lr=1e30)
    with pytest.raises(RunError, match=r"not finite at epoch 1, step \d+ .*lower train.lr"):
        engine.train_epoch(
            model,
            split_of(40),
            optimizer=optimizer,
            **settings(config, lr_at=lambda step: 1e30, clip_norm=0.0),
        )


def test_warm_up_then_cosine():
    rates = [
        engine.learning_rate(step, lr=2.0, warmup_steps=4, total_steps=12, schedule="cosine")
        for step in range(13)
    ]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    assert rates[4] == 2.0
    assert rates[8] == pytest.approx(1.0)
    assert rates[12] == pytest.approx(0.0)
    assert engine.learning_rate(9, lr=2.0, warmup_steps=4, total_steps=12, schedule="constant") == 2


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop"])
def test_optimizers_are_torchs(name):
    model = torch.nn.Linear(2, 2)
    optimizer = engine.make_optimizer(model, name=name, lr=0.3, weight_decay=0.1)
    assert type(optimizer) is getattr(torch.optim, name)
    assert optimizer.defaults["lr"] == 0.3
    assert optimizer.defaults["weight_decay"] == 0.1
