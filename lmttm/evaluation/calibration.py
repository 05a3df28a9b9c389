"""Temperature scaling: probabilities that mean what they say, with the same predictions."""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

LOWEST, HIGHEST = 0.05, 20.0

# Fewer say too little of how sure a network may be: the fit follows single volumes.
MIN_VOLUMES = 50
MIN_OF_CLASS = 5

_DROP = 1.92  # of the log-likelihood from its maximum to the ends of a 95 % interval


@dataclass(frozen=True)
class Temperature:
    """A temperature that can be trusted.

    Attributes:
        value: It; 1 where none could be fitted.
        kept: Why it stays 1; empty where it was fitted.
    """

    value: float
    kept: str = ""


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

    def loss(log_temperature: float) -> float:
        return _loss(logits, labels, math.exp(log_temperature))

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)


def _loss(logits: Tensor, labels: Tensor, temperature: float) -> float:
    return F.cross_entropy(logits.double() / temperature, labels).item()


def calibrate(logits: Tensor, labels: Tensor) -> Temperature:
    """A temperature that can be trusted: the fitted one, or 1.

    It stays 1 where a fit would follow single volumes, or has no end: of a validation split that
    is classified without an error no temperature is low enough, and any below 1 makes the errors
    among new volumes look certain. The lower end of the fit's 95 % interval (by the likelihood)
    must lie above 0.05, and the fit itself below 20.

    Args:
        logits: `(N classes)` of the validation split.
        labels: `(N)` int64.

    Returns:
        What `fit_temperature` gives, or 1 and the reason.
    """
    counts = labels.bincount(minlength=logits.shape[1])
    if len(labels) < MIN_VOLUMES or counts.min() < MIN_OF_CLASS:
        shown = ", ".join(map(str, counts.tolist()))
        return Temperature(
            1.0,
            f"a fit needs {MIN_VOLUMES} validation volumes, {MIN_OF_CLASS} of each class, "
            f"got {len(labels)} ({shown})",
        )
    fitted = fit_temperature(logits, labels)
    drop = len(labels) * (_loss(logits, labels, LOWEST) - _loss(logits, labels, fitted))
    if drop < _DROP or fitted > HIGHEST / 1.01:
        errors = int((logits.argmax(dim=1) != labels).sum())
        return Temperature(
            1.0,
            f"with {errors} of {len(labels)} validation volumes misclassified a fit has no end (it "
            f"reached {fitted:.2g}, in a range from {LOWEST:g} to {HIGHEST:g})",
        )
    return Temperature(fitted)
