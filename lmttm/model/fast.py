"""The same steps with less arithmetic: no token is embedded twice.

A summarizer embeds tokens one by one (`embed`) before it pools them (`pool`). Therefore

- the input tokens of all steps are embedded together, before the loop;
- if all volumes start from the same memory, it is embedded once for all of them;
- for the read, a unit is embedded once, when it is written, not at each step that reads it,
  because all neighbours share one position table;
- for the write, where a unit's position depends on its slot (current, past, next), the products
  of its tokens are computed once, and those of the positions are added (`lmttm.model.sums`).

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
from lmttm.model.summarizers import Embedded, EmbeddingSummarizer
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
    start = _once(memory).type_as(inputs)
    units = list(start.expand_as(memory).unbind(dim=1))
    read = _EmbeddedRead(cell.read, inputs, start.unbind(dim=1))
    write = _embedded_write(cell.write, inputs, start.unbind(dim=1))
    outputs = []
    for step in range(num_steps):
        near = neighbours(step, num_units=num_units, radius=cell.radius)
        following = next_unit(step, num_units=num_units)
        outputs.append(cell.process(read(near, step)))
        units[following] = write(near, units[following], step, outputs[-1])
        if step + 1 < num_steps:
            read.renew(following, units[following])
            write.renew(following, units[following])
    return torch.stack(outputs, dim=1), torch.stack(units, dim=1)


class _EmbeddedRead:
    """`TriTemporalRead` on tokens embedded in advance."""

    def __init__(self, read: nn.Module, inputs: Tensor, units: Sequence[Tensor]) -> None:
        assert isinstance(read, TriTemporalRead)
        assert isinstance(read.summarize, EmbeddingSummarizer)
        self.summarize = read.summarize
        self.places = _tables(read.positions, [units[0].shape[1], inputs.shape[2]], inputs)
        self.inputs = _by_step(self.summarize.embed(inputs + self.places[1]))
        self.units = [self.summarize.embed(unit + self.places[0]) for unit in units]

    def __call__(self, near: list[int], step: int) -> Tensor:
        seen = self.inputs[step]
        reads = [self.summarize.pool(_for_each(self.units[unit], seen), seen) for unit in near]
        return torch.cat(reads, dim=1)

    def renew(self, unit: int, tokens: Tensor) -> None:
        self.units[unit] = self.summarize.embed(tokens + self.places[0])


class _EmbeddedWrite:
    """`SummarizingWrite` on tokens embedded or projected in advance."""

    def __init__(self, write: SummarizingWrite, inputs: Tensor, units: Sequence[Tensor]) -> None:
        assert isinstance(write.summarize, EmbeddingSummarizer)
        self.summarize = write.summarize
        unit_tokens, input_tokens = units[0].shape[1], inputs.shape[2]
        lengths = [unit_tokens] * write.num_neighbours + [input_tokens, write.output_tokens]
        *slots, input_places, self.output_places = _tables(write.positions, lengths, inputs)
        self.sums = make_sums(self.summarize, torch.stack(slots))
        self.inputs = _by_step(self.summarize.embed(inputs + input_places))
        self.units = [self.sums.project(unit) for unit in units]

    def __call__(self, near: list[int], target: Tensor, step: int, outputs: Tensor) -> Tensor:
        seen = self.inputs[step]
        parts = [self.sums.embed(self.units[unit], slot) for slot, unit in enumerate(near)]
        parts = [_for_each(part, seen) for part in parts]
        embedded_outputs = self.summarize.embed(outputs + self.output_places)
        return self.summarize.pool(*parts, seen, embedded_outputs)

    def renew(self, unit: int, tokens: Tensor) -> None:
        self.units[unit] = self.sums.project(tokens)


class _PlainWrite:
    """`EraseAddWrite`, which needs no preparation and does not use the units."""

    def __init__(self, write: EraseAddWrite, inputs: Tensor) -> None:
        self.write = write
        self.inputs = inputs

    def __call__(self, near: list[int], target: Tensor, step: int, outputs: Tensor) -> Tensor:
        written: Tensor = self.write([], target, self.inputs[step], outputs)
        return written

    def renew(self, unit: int, tokens: Tensor) -> None:
        pass


def _embedded_write(
    write: nn.Module, inputs: Tensor, units: Sequence[Tensor]
) -> _EmbeddedWrite | _PlainWrite:
    if isinstance(write, SummarizingWrite):
        return _EmbeddedWrite(write, inputs, units)
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


def _for_each(embedded: Embedded, seen: Embedded) -> Embedded:
    """Embedded tokens for each volume of a batch, expanded if they were shared by all."""
    volumes = seen[0].shape[0]
    first, second = (part.expand(volumes, *part.shape[1:]) for part in embedded)
    return first, second


def _by_step(embedded: Embedded) -> list[Embedded]:
    """Embedded tokens of all steps `(t b n ...)`, step by step."""
    return list(zip(*embedded, strict=True))
