"""Which cells the fast form was written for."""

import itertools

from torch import nn

from lmttm.device import shapes_only
from lmttm.model.cell import Cell
from lmttm.model.read import TriTemporalRead
from lmttm.model.summarizers import AttentionSummarizer, Summarizer, TokenLearner
from lmttm.model.write import EraseAddWrite, SummarizingWrite


def fits(cell: nn.Module) -> bool:
    """Whether `fast.walk` gives the same for a cell as calling it step by step.

    That is so if the cell, its read and its write are of exactly the classes that the fast form
    was written for, down to their last layer: no subclass, no other layer, no hook, no method
    replaced. The processing unit may be anything, as it is called in both forms.
    """
    if type(cell) is not Cell or _has_additions(cell):
        return False
    return _layout(cell.read) in _READS and _layout(cell.write) in _WRITES


def _layout(module: nn.Module | None) -> tuple[object, ...]:
    """What a module is made of: the class of each part and each parameter, by name."""
    if module is None:
        return ()
    classes = [
        (name, None if _has_additions(part) else type(part))
        for name, part in module.named_modules()
    ]
    return (*classes, *(name for name, _ in module.named_parameters()))


_CLASSES = (
    Cell,
    TriTemporalRead,
    TokenLearner,
    AttentionSummarizer,
    SummarizingWrite,
    EraseAddWrite,
)
# An attribute of such a name would be called instead of the class's method.
_METHODS = sorted({name for c in _CLASSES for name in dir(c) if callable(getattr(c, name))})


def _has_additions(module: nn.Module) -> bool:
    """Whether calling a module runs anything but what its class says."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    return any(map(len, hooks)) or any(name in module.__dict__ for name in _METHODS)


def _known() -> tuple[set[tuple[object, ...]], set[tuple[object, ...]]]:
    """The layouts of the reads and of the writes that the fast form was written for."""

    def token_learner(num_tokens: int) -> Summarizer:
        return TokenLearner(dim=1, num_tokens=num_tokens, dropout=0.0)

    def attention(num_tokens: int) -> Summarizer:
        return AttentionSummarizer(dim=1, num_tokens=num_tokens, num_heads=1, dropout=0.0)

    reads: set[tuple[object, ...]] = set()
    writes: set[tuple[object, ...]] = {(), _layout(EraseAddWrite(dim=1, unit_tokens=1))}
    for make_summarizer, positions in itertools.product((token_learner, attention), (False, True)):
        read = TriTemporalRead(
            dim=1,
            unit_tokens=1,
            input_tokens=1,
            read_tokens=1,
            make_summarizer=make_summarizer,
            positions=positions,
        )
        write = SummarizingWrite(
            dim=1,
            unit_tokens=1,
            num_neighbours=1,
            input_tokens=1,
            output_tokens=1,
            make_summarizer=make_summarizer,
            positions=positions,
        )
        reads.add(_layout(read))
        writes.add(_layout(write))
    return reads, writes


with shapes_only():  # what they are made of matters, not the weights
    _READS, _WRITES = _known()
