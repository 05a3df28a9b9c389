"""Temperature scaling: probabilities that mean what they say, with the same predictions."""

import math

from torch import Tensor
from torch.nn import functional as F

from lmttm.errors import InputError

LOWEST, HIGHEST = 0.05, 20.0

# Fewer say too little of how sure a network may be: the fit follows single volumes.
MIN_VOLUMES = 50
MIN_OF_CLASS = 5


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

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def calibrate(logits: Tensor, labels: Tensor) -> float:
    """A temperature that can be trusted.

    Args:
        logits: `(N classes)` of the validation split.
        labels: `(N)` int64.

    Returns:
        What `fit_temperature` gives.

    Raises:
        InputError: There are too few volumes, or the fit ran to a bound: where the validation
            split is classified without a fault, no temperature is low enough.
    """
    counts = labels.bincount(minlength=logits.shape[1])
    if len(labels) < MIN_VOLUMES or counts.min() < MIN_OF_CLASS:
        raise InputError(
            f"a temperature needs {MIN_VOLUMES} validation volumes, {MIN_OF_CLASS} of each class, "
            f"got {len(labels)} ({', '.join(map(str, counts.tolist()))}); nothing was calibrated"
        )
    temperature = fit_temperature(logits, labels)
    if temperature < 1.01 * LOWEST or temperature > HIGHEST / 1.01:
        raise InputError(
            f"the temperature ran to its bound, {temperature:.3g}: the validation split cannot say "
            "how sure the network may be; nothing was calibrated"
        )
    return temperature
