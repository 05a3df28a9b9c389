"""Temperature scaling, against a search on a grid."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lmttm.evaluation.calibration import Temperature, calibrate, fit_temperature


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
    assert calibrate(3 * logits, labels) == Temperature(fit_temperature(3 * logits, labels))


@pytest.mark.parametrize(
    "labels", [[0, 1] * 20, [0] * 70 + [1] * 4, [0] * 200], ids=["40", "4 of a class", "one class"]
)
def test_too_few_volumes_leave_it_at_1(labels):
    """Guards against a temperature that follows single volumes."""
    found = calibrate(torch.randn(len(labels), 2), torch.tensor(labels))
    assert found.value == 1
    assert found.kept.startswith("a fit needs 50 validation volumes, 5 of each class, got ")


def separated(scale, wrong=0):
    """Logits and labels of 98 volumes; all but a few are right, by a margin around the scale."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(98) % 2
    margin = scale * (0.3 + torch.rand(98, generator=generator))
    logits = margin[:, None] * F.one_hot(labels, 2)
    labels[:wrong] = 1 - labels[:wrong]
    return logits, labels


@pytest.mark.parametrize("scale", [1.0, 10.0, 50.0])
def test_a_split_without_an_error_leaves_it_at_1(scale):
    """Guards against wrong answers among new volumes that go from p = .80 to 1 - 1e-12.

    Where margins are large, the likelihood is flat below some temperature, and the fit ends in the
    midst of its range, such as at 0.2.
    """
    found = calibrate(*separated(scale))
    assert found.value == 1
    assert found.kept.startswith("with 0 of 98 validation volumes misclassified a fit has no end")


def test_a_fit_that_only_few_barely_wrong_answers_end_is_not_trusted():
    """Its likelihood at the end of the range is as good as that of the fit."""
    logits, labels = separated(1.0)
    logits[0] = torch.tensor([0.0, 0.02])  # wrong, by next to nothing
    assert fit_temperature(logits, labels) > 0.05 * 1.01
    assert calibrate(logits, labels).value == 1
    assert "with 1 of 98 validation volumes" in calibrate(logits, labels).kept


@pytest.mark.parametrize(("scale", "wrong"), [(5.0, 2), (20.0, 3), (5.0, 30)])
def test_errors_end_a_fit(scale, wrong):
    logits, labels = separated(scale, wrong)
    assert calibrate(logits, labels) == Temperature(fit_temperature(logits, labels))


def test_a_split_without_a_right_answer_leaves_it_at_1():
    logits, labels = separated(1.0, wrong=98)
    found = calibrate(logits, labels)
    assert found.value == 1
    assert (
        "98 of 98 validation volumes misclassified a fit has no end (it reached 20," in found.kept
    )
