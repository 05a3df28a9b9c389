"""Temperature scaling, against a search on a grid."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lmttm.evaluation.calibration import fit_temperature


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
