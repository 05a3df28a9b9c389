"""What training and evaluation require of a model, and what its run returns."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from lmttm.errors import InputError


class Trace(NamedTuple):
    """The result of a model's run."""

    logits: Tensor  # (b classes)
    step_logits: Tensor  # (b t classes): the classifier on each step's output tokens alone
    memory: Tensor  # (b k m d): the final memory


class Classifier(nn.Module, ABC):
    """A model of volumes: the machine, a baseline, or one of your own.

    It is a base class, not a `Protocol`, because training also needs what every `nn.Module`
    has (parameters, buffers, the training mode), and a protocol cannot require a class.

    Args:
        input_shape: Channels and voxels of a volume, c D H W.
    """

    def __init__(self, input_shape: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.input_shape = input_shape

    def check(self, volumes: Tensor) -> None:
        """Raises an InputError unless volumes `(b c D H W)` have the shape of the model's input."""
        if volumes.shape[1:] != self.input_shape:
            wanted = ", ".join(map(str, self.input_shape))
            raise InputError(
                f"the model takes volumes of shape (b, {wanted}), got {tuple(volumes.shape)}"
            )

    if TYPE_CHECKING:  # `nn.Module` has it, but says nothing of its types

        def __call__(self, volumes: Tensor) -> Tensor:
            """Calls `forward`."""

    @abstractmethod
    def forward(self, volumes: Tensor) -> Tensor:
        """Classifies volumes `(b c D H W)` in [0, 1]: logits `(b classes)`. Changes nothing."""

    @abstractmethod
    def run(self, volumes: Tensor) -> Trace:
        """Classifies volumes and also returns the logits of each step and the final memory."""

    @abstractmethod
    def remember(self, mean: Tensor, *, num_steps: int, finite: Tensor) -> None:
        """Carries memory over to the next batch, where a model does so; training only.

        Args:
            mean: The mean over a batch of its final memories `(k m d)`.
            num_steps: Steps that were taken, t.
            finite: A boolean tensor `()` on the device: whether the step was finite.
        """


class OneStep(Classifier):
    """A network without steps and memory, as training and evaluation take it."""

    def run(self, volumes: Tensor) -> Trace:
        """Classifies volumes; the trace has one step, which is the answer."""
        logits = self(volumes)
        memory = logits.new_zeros(len(logits), 0, 0, 0)
        return Trace(logits=logits, step_logits=logits[:, None], memory=memory)

    def remember(self, mean: Tensor, *, num_steps: int, finite: Tensor) -> None:
        """Does nothing: there is no memory to carry over."""
