"""Temperature scaling, against a search on a grid."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lmttm.errors import InputError
from lmttm.evaluation.calibration import calibrate, fit_temperature


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_is_found_again(true):
    torch.manual_seed(0)
    logits = 2 * torch.randn(4000, 3)
    labels = torch.multinomial(logits.softmax(dim=1), 1)[:, 0]
    assert fit_temperature(true * logits, labels) == pytest.approx(true, rel=0.1)


def test_no_other_temperature_is_better_and_no_prediction_changes():
    torch.manual_seed(1)
    logits, labels = 5 * torch.randn(50, 2), torch.randint(2, (50,))
    found = fit_temperature(logits, labels)
    best = F.cross_entropy(logits.double() / found, labels)
    for other in np.geomspace(0.05, 20, 200):
        assert F.cross_entropy(logits.double() / other, labels) >= best - 1e-6
    assert torch.equal((logits / found).argmax(dim=1), logits.argmax(dim=1))


def test_a_fit_that_can_be_trusted_is_the_fit():
    torch.manual_seed(2)
    logits = 2 * torch.randn(200, 2)
    labels = torch.multinomial(logits.softmax(dim=1), 1)[:, 0]
    assert calibrate(3 * logits, labels) == fit_temperature(3 * logits, labels)


@pytest.mark.parametrize(
    "labels", [[0, 1] * 20, [0] * 70 + [1] * 4, [0] * 200], ids=["40", "4 of a class", "one class"]
)
def test_too_few_volumes_are_refused(labels):
    """Guards against a temperature that follows single volumes."""
    with pytest.raises(InputError, match="needs 50 validation volumes, 5 of each class, got"):
        calibrate(torch.randn(len(labels), 2), torch.tensor(labels))


@pytest.mark.parametrize("sign", [1, -1], ids=["all right", "all wrong"])
def test_a_fit_that_runs_to_its_bound_is_refused(sign):
    """Guards against wrong answers that go from p = .80 to 1 - 1e-12 without a word."""
    labels = torch.arange(60) % 2
    logits = sign * torch.nn.functional.one_hot(labels, 2).float()
    with pytest.raises(InputError, match=r"ran to its bound, .* nothing was calibrated"):
        calibrate(logits, labels)
