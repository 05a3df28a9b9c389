"""One step of the machine: read, process, write."""

from torch import Tensor, nn

from lmttm.model.memory import neighbours, next_unit, replace


class Cell(nn.Module):
    """One step of the machine: read, process, write.

    Args:
        read: Neighbouring units and input tokens -> read tokens.
        process: Read tokens -> output tokens.
        write: Neighbouring units, next unit, input and output tokens -> the new next unit;
            None where there is no memory.
        radius: Neighbours on each side of the current unit.

    Source: Fig. 2 of the paper.
    """

    def __init__(
        self, *, read: nn.Module, process: nn.Module, write: nn.Module | None, radius: int
    ) -> None:
        super().__init__()
        self.read = read
        self.process = process
        self.write = write
        self.radius = radius

    def forward(self, memory: Tensor, inputs: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Takes one step.

        Args:
            memory: `(b k m d)`; k is 0 where there is no memory.
            inputs: Input tokens of the step, `(b n d)`.
            step: Index of the step, from 0.

        Returns:
            Output tokens `(b u*r d)` and the new memory `(b k m d)`.
        """
        if self.write is None:
            return self.process(self.read([], inputs)), memory
        num_units = memory.shape[1]
        near = neighbours(step, num_units=num_units, radius=self.radius)
        units = [memory[:, unit] for unit in near]
        following = next_unit(step, num_units=num_units)

        outputs = self.process(self.read(units, inputs))
        written = self.write(units, memory[:, following], inputs, outputs)
        return outputs, replace(memory, following, written)
