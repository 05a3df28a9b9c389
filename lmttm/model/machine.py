"""The Linked Memory Token Turing Machine: the loop over slabs.

Algorithm::

    I = tokenize(volume)
    for each step t, with current unit c, past p = c-1 and next f = c+1 of the ring:
        Z = read(M_c, M_p, M_f, I_t)
        O_t = process(Z)
        M_f = write(M_c, M_p, M_f, I_t, O_t)
    logits = Linear(mean of O over steps and tokens)
"""

import torch
from torch import Tensor, nn

from lmttm.model import fast
from lmttm.model.cell import Cell
from lmttm.model.fits import fits
from lmttm.model.memory import InitialMemory
from lmttm.model.tokenizer import Tokenizer
from lmttm.model.trace import Classifier, Trace


class LMTTM(Classifier):
    """The machine: walks through a volume slab by slab and classifies it.

    Args:
        input_shape: Channels and voxels of a volume, c D H W.
        tokenizer: Volume `(b c D H W)` -> input tokens `(b t n d)`.
        initial_memory: Number of volumes -> their initial memory `(b k m d)`.
        cell: One step.
        pool: Output tokens of each step `(b t n d)` -> `(b t d)`; their mean over the steps
            is classified.
        dim: Width of a token, d.
        num_classes: Classes.
        fast: Whether the steps are taken in the form that saves arithmetic, if it fits
            the cell; see `lmttm.model.fits`.

    Source: Wei et al., doi 10.1016/j.cmpb.2025.108640. With a single unit it is the Token
    Turing Machine, arXiv 2211.09119.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, int, int, int],
        tokenizer: Tokenizer,
        initial_memory: InitialMemory,
        cell: Cell,
        pool: nn.Module,
        dim: int,
        num_classes: int,
        fast: bool,
    ) -> None:
        super().__init__(input_shape)
        self.fast = fast
        self.tokenizer = tokenizer
        self.initial_memory = initial_memory
        self.cell = cell
        self.pool = pool
        self.classifier = nn.Linear(dim, num_classes)

    def forward(self, volumes: Tensor) -> Tensor:
        """Classifies volumes `(b c D H W)` in [0, 1]: logits `(b classes)`. Changes nothing."""
        return self.run(volumes).logits

    def run(self, volumes: Tensor) -> Trace:
        """Classifies volumes and returns how it did so.

        Args:
            volumes: `(b c D H W)`, intensities in [0, 1], as `lmttm.prepare` gives them.

        Returns:
            The logits, the logits of each step and the final memory.

        Raises:
            InputError: The volumes have another shape than those that the model was built for.
        """
        self.check(volumes)
        inputs = self.tokenizer(volumes)
        memory = self.initial_memory(volumes.shape[0])
        take_steps = fast.walk if self.fast and fits(self.cell) else walk
        outputs, memory = take_steps(self.cell, inputs, memory)
        seen = self.pool(outputs)  # b t d
        return Trace(
            logits=self.classifier(seen.mean(dim=1)),
            step_logits=self.classifier(seen),
            memory=memory,
        )

    def remember(self, mean: Tensor, *, num_steps: int, finite: Tensor) -> None:
        """Stores a batch's mean final memory if memory is carried over; training only.

        Takes the arguments of `InitialMemory.store`.
        """
        self.initial_memory.store(mean, num_steps=num_steps, finite=finite)


def walk(cell: Cell, inputs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Takes all steps in order; `fast.walk` computes the same with less arithmetic.

    Args:
        cell: One step.
        inputs: Input tokens `(b t n d)`.
        memory: The initial memory `(b k m d)`.

    Returns:
        Output tokens `(b t u*r d)` and the final memory `(b k m d)`.
    """
    outputs = []
    for step in range(inputs.shape[1]):
        step_outputs, memory = cell(memory, inputs[:, step], step)
        outputs.append(step_outputs)
    return torch.stack(outputs, dim=1), memory
