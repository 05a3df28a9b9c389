"""The trainer, against an epoch written out by hand."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lmttm.config.files import load_config
from lmttm.data.augment import Augment
from lmttm.data.dataset import Split
from lmttm.data.feed import one_ahead
from lmttm.evaluation.evaluate import evaluate
from lmttm.model.build import build_model
from lmttm.training import trainer as trainer_module
from lmttm.training.steps import NotFinite
from lmttm.training.trainer import Trainer, shuffling
from tests.conftest import TINY


def split_of(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, 28, 28, 28), generator=generator, dtype=torch.uint8)
    return Split("train", images, torch.arange(n) % 2)


def trainer_of(model, split, **changes):
    settings = {
        "augment": Augment(),
        "optimizer": torch.optim.SGD(model.parameters(), lr=1.0),
        "lr_at": lambda step: 0.01 / (step + 1),
        "seed": 1,
        "batch_size": 4,
        "clip_norm": 0.5,
    }
    return Trainer(model, split, **settings | changes)


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
    trainer = trainer_of(model, split)
    trainer.epoch = 2
    loss = trainer.train_epoch()
    assert trainer.epoch == 3

    order = torch.randperm(10, generator=shuffling(1, 2))
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
    model, _ = machine
    split = split_of(12)
    seen = []

    class Watch(Augment):
        def __call__(self, volumes):
            seen.append(volumes[:, 0, 0, 0, :3].sum(dim=1))
            return volumes, None

    for epoch, seed in ((0, 1), (0, 1), (1, 1), (0, 2)):
        trainer = trainer_of(model, split, augment=Watch(), seed=seed, lr_at=lambda step: 0.0)
        trainer.epoch = epoch
        trainer.train_epoch()
    first, again, later, other = torch.cat(seen).view(4, 12)
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first, other)
    assert torch.equal(first.sort().values, later.sort().values)


def state_of(trainer):
    """Copies of everything that a step may change."""
    tensors = {**trainer.model.state_dict()}
    for index, state in trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"{index}.{name}": value for name, value in state.items()}
    return {name: value.clone() for name, value in tensors.items()}


@pytest.mark.parametrize("fused", [False, True], ids=["looks at each step", "looks later"])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_nothing_and_stops(machine, fused, where, tmp_path):
    """Fused, as on a GPU, the host learns of it later; the steps behind it go on as usual."""
    model, _ = machine
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, fused=fused)
    trainer = trainer_of(model, split_of(40), optimizer=adam, lr_at=lambda step: 1e-3)
    states = [state_of(trainer)]

    def watch():
        states.append(state_of(trainer))
        if where == "loss":
            spoilt = len(states) == 3
            trainer.class_weights = torch.full((2,), torch.nan) if spoilt else None
        return False

    if where == "gradient":
        calls = []

        def spoil(gradient):
            calls.append(1)
            return gradient * torch.nan if len(calls) == 3 else gradient

        model.classifier.weight.register_hook(spoil)
    with pytest.raises(
        NotFinite, match=r"not finite at epoch 1, step 3 .*lower train.lr"
    ) as caught:
        trainer.train_epoch(watch)
    after = states[3] if fused else state_of(trainer)
    for name, value in states[2].items():
        assert torch.equal(value, after[name]), name
    assert len(states) == (11 if fused else 3)

    order = torch.randperm(40, generator=shuffling(1, 0))
    assert caught.value.fault["indices"] == order[8:12].tolist()
    assert math.isfinite(caught.value.fault["last_finite_loss"])
    caught.value.write(tmp_path / "not_finite.json")
    assert json.loads((tmp_path / "not_finite.json").read_text())["step"] == 3


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_a_batch_in_parts_gives_the_same_step(machine, parts):
    """The parts start from the same carried memory, which is stored once, as their mean."""
    model, config = machine
    torch.manual_seed(0)
    twin = build_model(config)
    whole = trainer_of(model, split_of(10))
    in_parts = trainer_of(twin, split_of(10), accumulate=parts)
    for _ in range(2):
        assert in_parts.train_epoch() == pytest.approx(whole.train_epoch(), abs=1e-5)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(twin.state_dict()[name], value, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize("parts", [2, 3, 4])
@pytest.mark.parametrize("mixed", [False, True], ids=["plain", "mixed"])
def test_parts_of_a_batch_share_the_weight_of_its_classes(machine, parts, mixed):
    """Guards against parts that each divide by the weight of their own classes.

    The loss then depended on the number of parts: 2.123, 2.026, 1.448 for 1, 2, 4. Compared in
    float64, also for parts of unequal size.
    """
    _, config = machine

    class InPairs(Augment):
        def __call__(self, volumes):  # partners within every part, by a fixed share
            partner = torch.arange(len(volumes)).flip(0)
            share = torch.tensor(0.3, dtype=torch.float64)
            blended = share * volumes + (1 - share) * volumes[partner]
            return blended.double(), (partner, share)

    class Exact(Augment):
        def __call__(self, volumes):
            return volumes.double(), None

    images = split_of(7).images
    split = Split("train", images, torch.tensor([0, 0, 0, 0, 1, 0, 1]))
    results = []
    for accumulate in (1, parts):
        torch.manual_seed(0)
        model = build_model(config).double()
        trainer = trainer_of(
            model,
            split,
            batch_size=7,
            accumulate=accumulate,
            clip_norm=0.0,
            augment=Exact(),
            label_smoothing=0.1,
            class_weights=torch.tensor([0.25, 3.0], dtype=torch.float64),
        )
        if mixed:
            trainer.augment = InPairs()
            trainer.split = Split("train", images[:1].expand(7, -1, -1, -1), split.labels)
        results.append((trainer.train_epoch(), model.state_dict()))
    (loss, weights), (loss_in_parts, weights_in_parts) = results
    assert loss_in_parts == pytest.approx(loss, rel=1e-12)
    for name, value in weights.items():
        torch.testing.assert_close(
            weights_in_parts[name], value, rtol=1e-9, atol=1e-12, msg=f"{name} ({parts} parts)"
        )


@pytest.mark.parametrize("fused", [False, True], ids=["looks at each step", "looks later"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_that_is_not_finite_leaves_batch_norm_alone(fused, accumulate):
    """Guards against NaN in running statistics, with which every later evaluation is NaN."""
    config = load_config("demo.json", [*TINY, "model.preprocess_mode=3dBN"])
    model = build_model(config)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused)
    calls = []

    class Spoils(Augment):
        def __call__(self, volumes):
            calls.append(1)
            return (volumes * torch.nan if len(calls) == 1 + 2 * accumulate else volumes), None

    settings = {"optimizer": adam, "augment": Spoils(), "accumulate": accumulate}
    trainer = trainer_of(model, split_of(40), **settings)
    states = []

    def watch():
        states.append({name: value.clone() for name, value in model.named_buffers()})
        return False

    with pytest.raises(NotFinite, match="at epoch 1, step 3"):
        trainer.train_epoch(watch)
    after = states[2] if fused else dict(model.named_buffers())
    assert any(name.endswith("running_mean") for name in after)
    for name, value in states[1].items():
        assert torch.equal(value, after[name]), name
    assert all(value.isfinite().all() for value in model.buffers())


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False), (True, True)])
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_training_goes_on_with_the_optimizer_of_another_device(machine, name, before, after):
    """Guards against a saved `fused` that overrules the present one.

    A GPU's optimizer is fused, a CPU's is not: a run that came from the CPU died in `found_inf`.
    """
    model, config = machine
    kind = getattr(torch.optim, name)
    split = split_of(12)
    first = trainer_of(model, split, optimizer=kind(model.parameters(), lr=1e-3, fused=before))
    first.train_epoch()
    state = copy.deepcopy((model.state_dict(), first.state_dict()))
    expected = first.train_epoch()

    twin = build_model(config)
    optimizer = kind(twin.parameters(), lr=1e-3, fused=after)
    second = trainer_of(twin, split, optimizer=optimizer)
    twin.load_state_dict(state[0])
    second.load_state_dict(state[1])
    assert second.train_epoch() == pytest.approx(expected, rel=1e-5)
    assert optimizer.param_groups[0]["fused"] is after
    assert all(entry["step"] == 6 for entry in optimizer.state.values())


def test_the_first_batch_may_be_the_short_one(machine, monkeypatch):
    """Guards against compiling for the short batch at which a run was resumed.

    And against never compiling where a batch is larger than the split.
    """
    model, _ = machine
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    for volumes, accumulate, full in ((10, 1, 4), (10, 3, 2), (3, 1, 3)):
        settings = {"compile": "on", "accumulate": accumulate}
        trainer = trainer_of(model, split_of(volumes), **settings)
        assert trainer.run.size == full


def test_averaged_weights_follow_their_formula(machine):
    model, _ = machine
    model.initial_memory.carried_memory.fill_(0.5)
    trainer = trainer_of(model, split_of(16), ema=0.9)
    expected = []

    def watch():
        now = [p.detach().clone() for p in model.parameters()]
        if expected:
            expected[:] = [0.9 * e + 0.1 * p for e, p in zip(expected, now, strict=True)]
        else:
            expected.extend(now)
        return False

    trainer.train_epoch(watch)
    kept = trainer.model_to_keep
    for ours, theirs in zip(kept.parameters(), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    # A carried memory is no weight: the average has the model's own.
    assert torch.equal(kept.initial_memory.carried_memory, model.initial_memory.carried_memory)


def test_label_smoothing_class_weights_and_mixing_equal_their_formulas(machine):
    model, _ = machine
    split = split_of(6)
    weights = torch.tensor([0.5, 2.0])
    trainer = trainer_of(model, split, label_smoothing=0.2, class_weights=weights)
    logits = torch.randn(4, 2, dtype=torch.float64)
    labels, partner = torch.tensor([0, 1, 1, 0]), torch.tensor([1, 0, 2, 3])

    def expected(labels):
        smooth = 0.8 * np.eye(2)[labels] + 0.1
        log_p = logits.log_softmax(dim=1).numpy()
        w = weights.numpy()
        return -(smooth * w * log_p).sum() / w[labels].sum()

    trainer.class_weights = weights.double()
    mixed = trainer._loss(logits, labels, (partner, torch.tensor(0.3)))
    a, b = expected(labels.numpy()), expected(labels[partner].numpy())
    weight = trainer._weight(labels).item()
    assert weight == 5.0
    assert mixed.item() / weight == pytest.approx(0.3 * a + 0.7 * b)
    assert trainer._loss(logits, labels, None).item() / weight == pytest.approx(a)


def test_training_goes_on_within_an_epoch(machine):
    model, config = machine
    torch.manual_seed(0)
    twin = build_model(config)
    split = split_of(20)
    moves = {"augment": Augment(flip_axes=["D"], shift=1, mixup=0.5), "ema": 0.5}

    def adam(model):
        return torch.optim.Adam(model.parameters(), lr=1e-3)

    whole = trainer_of(model, split, optimizer=adam(model), **moves)
    torch.manual_seed(5)
    losses = [whole.train_epoch() for _ in range(2)]

    torch.manual_seed(5)
    first = trainer_of(twin, split, optimizer=adam(twin), **moves)
    first.train_epoch()
    assert first.train_epoch(lambda: first.steps_done == 3) is None
    state = copy.deepcopy((first.state_dict(), twin.state_dict()))
    torch.manual_seed(77)
    third = build_model(config)
    second = trainer_of(third, split, optimizer=adam(third), **moves)
    third.load_state_dict(state[1])
    second.load_state_dict(state[0])
    assert (second.epoch, second.steps_done) == (1, 3)
    assert second.train_epoch() == losses[1]
    for name, value in model.state_dict().items():
        assert torch.equal(third.state_dict()[name], value), name
    for a, b in zip(
        whole.model_to_keep.parameters(), second.model_to_keep.parameters(), strict=True
    ):
        assert torch.equal(a, b)


def test_a_stop_after_the_last_step_of_an_epoch_keeps_its_learning_rate(machine):
    """Guards against a record of the epoch with the rate of the configuration, as it was then."""
    model, _ = machine
    split = split_of(8)
    trainer = trainer_of(model, split)
    assert trainer.train_epoch(lambda: trainer.steps_done == 2) is None
    state = copy.deepcopy(trainer.state_dict())
    resumed = trainer_of(model, split)
    resumed.load_state_dict(state)
    assert resumed.train_epoch() == trainer.train_epoch()
    assert resumed.lr == trainer.lr == 0.01 / 2


def test_bf16_trains_in_bfloat16_and_keeps_fp32_weights(machine):
    model, _ = machine
    kinds = []
    model.classifier.register_forward_hook(lambda _, __, out: kinds.append(out.dtype))
    loss = trainer_of(model, split_of(8), bf16=True).train_epoch()
    assert math.isfinite(loss)
    assert set(kinds) == {torch.bfloat16}
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32}
    evaluate(model, split_of(3), batch_size=2)
    assert kinds[-1] == torch.float32


@pytest.mark.parametrize("unseen", [False, True], ids=["each step", "together"])
def test_the_numbers_of_each_step_are_handed_out_once(machine, unseen, monkeypatch):
    """The host reads them where it checks the steps, and never waits for them otherwise."""
    monkeypatch.setattr(trainer_module, "_CHECK_EVERY", 2)
    model, _ = machine
    optimizer = torch.optim.AdamW(model.parameters(), fused=unseen)
    trainer = trainer_of(model, split_of(10), optimizer=optimizer)  # 3 steps an epoch
    taken, counts = [], []

    def after_step():
        found = trainer.take_checked()
        taken.extend(found)
        counts.append(len(found))
        return False

    losses = [trainer.train_epoch(after_step)]
    taken += trainer.take_checked()
    losses.append(trainer.train_epoch(after_step))
    taken += trainer.take_checked()
    assert counts == ([0, 2, 0, 0, 2, 0] if unseen else [1] * 6)
    assert [step.number for step in taken] == [1, 2, 3, 4, 5, 6]
    assert [step.lr for step in taken] == [0.01 / (step + 1) for step in range(6)]
    for epoch, loss in enumerate(losses):
        parts = [step.loss for step in taken[3 * epoch : 3 * epoch + 3]]
        assert np.dot(parts, [4, 4, 2]) / 10 == pytest.approx(loss, rel=1e-5)
    assert all(step.gradient_norm > 0 for step in taken)
    assert trainer.take_checked() == []


def test_volumes_on_the_host_train_as_those_on_the_device(machine, monkeypatch):
    """Guards against a batch loaded ahead that is not the one whose step it is."""
    model, _ = machine
    twin = copy.deepcopy(model)
    settings = {"accumulate": 2, "class_weights": torch.tensor([0.5, 2.0]), "batch_size": 4}
    there = trainer_of(model, split_of(10), **settings)
    host = trainer_of(twin, split_of(10), **settings)
    expected = [there.train_epoch() for _ in range(2)]
    monkeypatch.setattr("lmttm.training.trainer.feed", one_ahead)
    assert host.train_epoch(lambda: host.steps_done == 2) is None
    assert [host.train_epoch() for _ in range(2)] == expected
    for name, value in model.state_dict().items():
        assert torch.equal(twin.state_dict()[name], value), name
