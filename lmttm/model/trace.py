"""What a run of a model leaves; the training loop knows no more of a model than this."""

from typing import NamedTuple

from torch import Tensor


class Trace(NamedTuple):
    """A model's answer, and how it came to it."""

    logits: Tensor  # (b classes)
    step_logits: Tensor  # (b t classes): the classifier on each step's output tokens alone
    memory: Tensor  # (b k m d): the final memory
