"""Temperature scaling: probabilities that mean what they say, with the same predictions."""

import math

from torch import Tensor
from torch.nn import functional as F


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that makes the labels of a validation split most likely.

    Logits divided by it keep their order, so that no predicted class changes.

    Args:
        logits: `(N classes)`.
        labels: `(N)` int64.

    Returns:
        A number from 0.05 to 20; above 1 the network was too sure of itself.

    Source: Guo et al., arXiv 1706.04599.
    """
    from scipy.optimize import minimize_scalar  # slow to import

    logits = logits.double()

    def loss(log_temperature: float) -> float:
        return F.cross_entropy(logits / math.exp(log_temperature), labels).item()

    bounds = (math.log(0.05), math.log(20))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)
