"""The same steps with less arithmetic: no product of a token is computed twice.

A summarizer embeds tokens one by one before a softmax weights them, and a softmax can be taken
part by part (`lmttm.model.softmax`). Therefore

- the input tokens of all steps are embedded and pooled together, before the loop;
- if all volumes start from the same memory, it is embedded and pooled once for all of them;
- for the read, a unit is embedded and pooled once, when it is written, not at each step that
  reads it, because all neighbours share one position table; what is left of a step's read is to
  join each neighbour's means with those of the inputs;
- for the write, where a unit's position depends on its slot (current, past, next), the products
  of its tokens are computed once, those of the positions are added (`lmttm.model.sums`), and all
  slots in which the unit will be read are pooled together.

Outputs and gradients equal those of `machine.walk`, which mirrors the equations, for the reads,
writes and summarizers that this file was written for; see `lmttm.model.fits`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lmttm.model.cell import Cell
from lmttm.model.layers import Positions
from lmttm.model.memory import neighbours, next_unit
from lmttm.model.read import TriTemporalRead
from lmttm.model.softmax import Pooled, join, pool, stack, unstack
from lmttm.model.summarizers import EmbeddingSummarizer
from lmttm.model.sums import make_sums
from lmttm.model.write import EraseAddWrite, SummarizingWrite


def walk(cell: Cell, inputs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Takes all steps; see `machine.walk`.

    Args:
        cell: One step; must fit (`lmttm.model.fits`).
        inputs: Input tokens `(b t n d)`.
        memory: The initial memory `(b k m d)`.

    Returns:
        Output tokens `(b t u*r d)` and the final memory `(b k m d)`.
    """
    if cell.write is None:  # no step depends on another: take them together
        together: Tensor = cell.process(cell.read([], inputs.flatten(0, 1)))
        return together.unflatten(0, inputs.shape[:2]), memory

    inputs = inputs.transpose(0, 1).contiguous()  # t b n d: each step is contiguous
    num_steps, num_units = len(inputs), memory.shape[1]
    # Of each step: the units that it reads, and the unit that it replaces.
    reads = [neighbours(step, num_units=num_units, radius=cell.radius) for step in range(num_steps)]
    replaced = [next_unit(step, num_units=num_units) for step in range(num_steps)]
    start = _once(memory).type_as(inputs)
    read = _PooledRead(cell.read, inputs, start.shape[2])
    write = _prepared_write(cell.write, inputs, start.shape[2])

    def renew(unit: int, tokens: Tensor, step: int) -> None:
        """Prepares a unit for the steps from `step` on that read it."""
        if slots := _slots(unit, reads[step:], replaced[step:]):
            read.renew(unit, tokens)
            write.renew(unit, tokens, slots)

    units = list(start.expand_as(memory).unbind(dim=1))
    for unit, tokens in enumerate(start.unbind(dim=1)):
        renew(unit, tokens, 0)
    outputs = []
    for step, (near, unit) in enumerate(zip(reads, replaced, strict=True)):
        outputs.append(cell.process(read(near, step)))
        units[unit] = write(near, units[unit], step, outputs[-1])
        renew(unit, units[unit], step + 1)
    return torch.stack(outputs, dim=1), torch.stack(units, dim=1)


def _slots(unit: int, reads: Sequence[Sequence[int]], replaced: Sequence[int]) -> list[int]:
    """In which slots the coming steps read a unit, until one of them replaces it."""
    ends = replaced.index(unit) + 1 if unit in replaced else len(replaced)
    return sorted({near.index(unit) for near in reads[:ends] if unit in near})


class _PooledRead:
    """`TriTemporalRead` of units and inputs that were pooled in advance."""

    def __init__(self, read: nn.Module, inputs: Tensor, unit_tokens: int) -> None:
        assert isinstance(read, TriTemporalRead)
        assert isinstance(read.summarize, EmbeddingSummarizer)
        self.summarize = read.summarize
        lengths = [unit_tokens, inputs.shape[2]]
        self.unit_places, input_places = _tables(read.positions, lengths, inputs)
        seen = (inputs + input_places)[:, :, None]  # t b 1 n d: the same for all neighbours
        self.inputs = unstack(pool(self.summarize.embed(seen)))  # of each step, b 1 r d
        self.units: dict[int, Pooled] = {}  # b r d; b is 1 where volumes share it

    def renew(self, unit: int, tokens: Tensor) -> None:
        self.units[unit] = pool(self.summarize.embed(tokens + self.unit_places))

    def __call__(self, near: list[int], step: int) -> Tensor:
        units = stack([self.units[unit] for unit in near], dim=1)  # b u r d
        return self.summarize.finish(join([units, self.inputs[step]])).flatten(1, 2)


class _PooledWrite:
    """`SummarizingWrite` of units and inputs that were pooled in advance."""

    def __init__(self, write: SummarizingWrite, inputs: Tensor, unit_tokens: int) -> None:
        assert isinstance(write.summarize, EmbeddingSummarizer)
        self.summarize = write.summarize
        lengths = [unit_tokens] * write.num_neighbours + [inputs.shape[2], write.output_tokens]
        *slots, input_places, self.output_places = _tables(write.positions, lengths, inputs)
        self.sums = make_sums(self.summarize, torch.stack(slots))
        self.inputs = unstack(pool(self.summarize.embed(inputs + input_places)))  # b m d
        self.units: dict[tuple[int, int], Pooled] = {}  # by unit and slot, each b m d

    def renew(self, unit: int, tokens: Tensor, slots: list[int]) -> None:
        pooled = unstack(pool(self.sums.embed(tokens, slots)))
        self.units |= {(unit, slot): part for slot, part in zip(slots, pooled, strict=True)}

    def __call__(self, near: list[int], target: Tensor, step: int, outputs: Tensor) -> Tensor:
        units = [self.units[unit, slot] for slot, unit in enumerate(near)]
        written = pool(self.summarize.embed(outputs + self.output_places))
        return self.summarize.finish(join([*units, self.inputs[step], written]))


class _PlainWrite:
    """`EraseAddWrite`, which needs no preparation and does not use the units."""

    def __init__(self, write: EraseAddWrite, inputs: Tensor) -> None:
        self.write = write
        self.inputs = inputs

    def renew(self, unit: int, tokens: Tensor, slots: list[int]) -> None:
        pass

    def __call__(self, near: list[int], target: Tensor, step: int, outputs: Tensor) -> Tensor:
        written: Tensor = self.write([], target, self.inputs[step], outputs)
        return written


def _prepared_write(
    write: nn.Module, inputs: Tensor, unit_tokens: int
) -> _PooledWrite | _PlainWrite:
    if isinstance(write, SummarizingWrite):
        return _PooledWrite(write, inputs, unit_tokens)
    assert isinstance(write, EraseAddWrite)
    return _PlainWrite(write, inputs)


def _tables(positions: nn.Module, lengths: list[int], inputs: Tensor) -> list[Tensor]:
    """A position table split into parts of these lengths; zeros if there is no table."""
    if isinstance(positions, nn.Identity):
        return [inputs.new_zeros(1, inputs.shape[-1])] * len(lengths)
    assert isinstance(positions, Positions)
    return list(positions.table.type_as(inputs).split(lengths))


def _once(memory: Tensor) -> Tensor:
    """The memory of one volume `(1 k m d)` if all start from the same (expanded) memory."""
    return memory[:1] if memory.stride(0) == 0 else memory
