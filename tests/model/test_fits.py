"""The fast form is for exactly what it was written for; anything else takes the plain walk."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from lmttm.config.files import load_config
from lmttm.config.kinds import PROCESS_UNITS
from lmttm.model import machine
from lmttm.model.build import build_model
from lmttm.model.cell import Cell
from lmttm.model.fits import fits
from lmttm.model.read import TriTemporalRead
from lmttm.model.write import EraseAddWrite, SummarizingWrite
from tests.conftest import TINY


def build(*overrides):
    torch.manual_seed(0)
    model = build_model(load_config("demo.json", [*TINY, *overrides])).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


@pytest.mark.parametrize("memory", ["TL", "TL-MHA", "TL-AddErase", "none"])
@pytest.mark.parametrize("unit", PROCESS_UNITS)
@pytest.mark.parametrize("positions", ["true", "false"])
def test_the_shipped_modes_fit(memory, unit, positions):
    overrides = [f"model.memory_mode={memory}", f"model.process_unit={unit}"]
    overrides += [
        f"model.{part}_use_positional_embedding={positions}" for part in ("read", "write")
    ]
    assert fits(build(*overrides, "model.drop_path=0.1").cell)


class GatedWrite(SummarizingWrite):
    """A subclass with a parameter of its own."""

    def forward(self, units, target, inputs, outputs):
        written = super().forward(units, target, inputs, outputs)
        return target + self.gate.sigmoid() * (written - target)


class TwiceRead(TriTemporalRead):
    """A subclass without anything of its own but `forward`."""

    def forward(self, units, inputs):
        return 2 * super().forward(units, inputs)


class UnitsWrite(EraseAddWrite):
    """A write that needs the units, which the fast form of `EraseAddWrite` does not get."""

    def forward(self, units, target, inputs, outputs):
        return super().forward(units, target, inputs, outputs) + torch.stack(units).mean(dim=0)


class MeanSummarizer(nn.Module):
    """A summarizer of a third kind, without `embed` and `finish`."""

    def __init__(self, num_tokens):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_tokens, 1))

    def forward(self, tokens):
        return self.scale * tokens.mean(dim=1, keepdim=True)


class HalfCell(Cell):
    """A step that forgets half."""

    def forward(self, memory, inputs, step):
        outputs, memory = super().forward(memory, inputs, step)
        return outputs, memory / 2


def of_class(part, kind):
    def change(model):
        getattr(model.cell, part).__class__ = kind

    return change


def gated(model):
    model.cell.write.__class__ = GatedWrite
    model.cell.write.gate = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))


def other_cell(model):
    model.cell.__class__ = HalfCell


def third_summarizer(part):
    def change(model):
        tokens = 2  # read tokens of a neighbour, and memory tokens of a unit
        getattr(model.cell, part).summarize = MeanSummarizer(tokens).double()

    return change


def hook(model):
    model.cell.write.register_forward_hook(lambda module, given, result: 2 * result)


def hook_on_a_layer(model):
    model.cell.write.summarize.score[1].register_forward_hook(lambda m, given, result: 2 * result)


def method_of_an_object(model):
    write = model.cell.write
    plain = write.forward
    write.forward = lambda *given: 2 * plain(*given)


def method_of_a_summarizer(model):
    summarize = model.cell.read.summarize
    plain = summarize.forward
    summarize.forward = lambda tokens: 2 * plain(tokens)


def parametrized_layer(model):
    parametrizations.spectral_norm(model.cell.write.summarize.score[1])


def pruned_layer(model):
    prune.random_unstructured(model.cell.write.summarize.value[0], "weight", 0.5)


def layer_with_bias(model):
    model.cell.write.summarize.value[0] = nn.Linear(16, 16).double()


def norm_without_weights(model):
    model.cell.write.summarize.score[0] = nn.LayerNorm(16, elementwise_affine=False).double()


CHANGES = {
    "a derived write": gated,
    "a derived read": of_class("read", TwiceRead),
    "a derived cell": other_cell,
    "a third kind of summarizer in the read": third_summarizer("read"),
    "a third kind of summarizer in the write": third_summarizer("write"),
    "a hook": hook,
    "a hook on a layer": hook_on_a_layer,
    "a method of an object": method_of_an_object,
    "a method of a summarizer": method_of_a_summarizer,
    "a spectral norm": parametrized_layer,
    "pruning": pruned_layer,
    "a layer with a bias": layer_with_bias,
    "a norm without weights": norm_without_weights,
}


def outputs_and_gradients(model, volumes):
    trace = model.run(volumes)
    (trace.logits.square().sum() + trace.memory.square().sum()).backward()
    return {**trace._asdict(), **{name: p.grad for name, p in model.named_parameters()}}


def check(change, *overrides):
    """Both forms give what the changed cell says, all gradients included; it matters."""
    volumes = torch.rand(2, 1, 28, 28, 28, dtype=torch.float64)
    plain, quick = build(*overrides, "fast=false"), build(*overrides, "fast=true")
    before = quick.run(volumes)
    assert fits(quick.cell)
    change(plain)
    change(quick)
    quick.load_state_dict(plain.state_dict())
    assert not fits(quick.cell)
    changed = outputs_and_gradients(plain, volumes)
    for name, got in outputs_and_gradients(quick, volumes).items():
        assert torch.equal(got, changed[name]), name
    assert not torch.equal(before.logits, changed["logits"])


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_anything_else_takes_the_plain_walk(change):
    """Guards against a fast form that silently ignores what was derived or attached."""
    check(change)


def test_a_write_derived_from_erase_and_add_gets_its_units():
    """Guards against an empty list of units for any write that is not the summarizing one."""
    check(of_class("write", UnitsWrite), "model.memory_mode=TL-AddErase")


def test_a_hook_that_is_removed_lets_the_fast_form_return():
    model = build()
    handle = model.cell.write.register_forward_hook(lambda *_: None)
    assert not fits(model.cell)
    handle.remove()
    assert fits(model.cell)


def test_the_check_is_made_when_the_model_is_called(monkeypatch):
    """Guards against a decision at construction, which a later change would pass by."""
    model = build()
    taken = []
    plain = machine.walk
    monkeypatch.setattr(machine, "walk", lambda *given: taken.append(1) or plain(*given))
    volumes = torch.rand(1, 1, 28, 28, 28, dtype=torch.float64)
    model.run(volumes)
    assert taken == []
    hook(model)
    model.run(volumes)
    assert taken == [1]


def test_what_is_attached_to_the_processing_unit_does_not_matter():
    """It is called in both forms."""
    model = build()
    model.cell.process.register_forward_hook(lambda module, given, result: 2 * result)
    assert fits(model.cell)


def test_a_changed_cell_is_compiled_as_it_is():
    """The check may be part of a compiled graph, in either form."""
    for change, memory in [(None, "TL"), (gated, "TL"), (None, "TL-AddErase")]:
        model = build(f"model.memory_mode={memory}")
        if change:
            change(model)
        volumes = torch.rand(1, 1, 28, 28, 28, dtype=torch.float64)
        torch.compiler.reset()
        compiled = torch.compile(model.run, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(volumes).logits, model.run(volumes).logits)
