"""The same steps with less arithmetic: no token is embedded or weighted twice.

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
from lmttm.model.softmax import Pooled, join, pool
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
    near = [neighbours(step, num_units=num_units, radius=cell.radius) for step in range(num_steps)]
    following = [next_unit(step, num_units=num_units) for step in range(num_steps)]
    start = _once(memory).type_as(inputs)
    read = _PooledRead(cell.read, inputs, start.shape[2])
    write = _prepared_write(cell.write, inputs, start.shape[2])

    def renew(unit: int, tokens: Tensor, step: int) -> None:
        """Prepares a unit for the steps from `step` on that read it."""
        if slots := _slots(unit, near[step:], following[step:]):
            read.renew(unit, tokens)
            write.renew(unit, tokens, slots)

    units = list(start.expand_as(memory).unbind(dim=1))
    for unit, tokens in enumerate(start.unbind(dim=1)):
        renew(unit, tokens, 0)
    outputs = []
    for step, unit in enumerate(following):
        outputs.append(cell.process(read(near[step], step)))
        units[unit] = write(near[step], units[unit], step, outputs[-1])
        renew(unit, units[unit], step + 1)
    return torch.stack(outputs, dim=1), torch.stack(units, dim=1)


def _slots(unit: int, near: Sequence[Sequence[int]], following: Sequence[int]) -> list[int]:
    """In which slots the coming steps read a unit, until it is replaced."""
    ends = following.index(unit) + 1 if unit in following else len(following)
    return sorted({units.index(unit) for units in near[:ends] if unit in units})


class _PooledRead:
    """`TriTemporalRead` of units and inputs that were pooled in advance."""

    def __init__(self, read: nn.Module, inputs: Tensor, unit_tokens: int) -> None:
        assert isinstance(read, TriTemporalRead)
        assert isinstance(read.summarize, EmbeddingSummarizer)
        self.summarize = read.summarize
        lengths = [unit_tokens, inputs.shape[2]]
        self.unit_places, input_places = _tables(read.positions, lengths, inputs)
        embedded = self.summarize.embed(inputs + input_places)
        self.inputs = _each(pool(embedded))
        self.units: dict[int, Pooled] = {}

    def renew(self, unit: int, tokens: Tensor) -> None:
        self.units[unit] = pool(self.summarize.embed(tokens + self.unit_places))

    def __call__(self, near: list[int], step: int) -> Tensor:
        seen = self.inputs[step]
        units = Pooled(
            *(
                torch.stack(torch.broadcast_tensors(*parts), dim=1)
                for parts in zip(*(self.units[unit] for unit in near), strict=True)
            )
        )
        means = join([units, Pooled(seen.means[:, None], seen.logs[:, None])])
        return self.summarize.finish(means).flatten(1, 2)


class _PooledWrite:
    """`SummarizingWrite` of units and inputs that were pooled in advance."""

    def __init__(self, write: SummarizingWrite, inputs: Tensor, unit_tokens: int) -> None:
        assert isinstance(write.summarize, EmbeddingSummarizer)
        self.summarize = write.summarize
        lengths = [unit_tokens] * write.num_neighbours + [inputs.shape[2], write.output_tokens]
        *slots, input_places, self.output_places = _tables(write.positions, lengths, inputs)
        self.sums = make_sums(self.summarize, torch.stack(slots))
        self.inputs = _each(pool(self.summarize.embed(inputs + input_places)))
        self.units: dict[tuple[int, int], Pooled] = {}

    def renew(self, unit: int, tokens: Tensor, slots: list[int]) -> None:
        pooled = _each(pool(self.sums.embed(tokens, slots)))
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


def _each(pooled: Pooled) -> list[Pooled]:
    """What was pooled together, one by one along the first axis."""
    return [Pooled(*part) for part in zip(*pooled, strict=True)]
