"""What a run stores to decide by, and for which weights it holds."""

import json

import pytest
import torch

from lmttm.errors import InputError
from lmttm.evaluation.calibration import Temperature
from lmttm.evaluation.threshold import Threshold
from lmttm.model.build import build_model
from lmttm.runs import decisions
from lmttm.runs.checkpoint import Checkpoint

POINT = Threshold("sensitivity=0.9", 0.31, 98, 23, 0.92, 0.71)


@pytest.fixture
def members(tiny):
    torch.manual_seed(0)
    weights = [build_model(tiny).state_dict() for _ in range(2)]
    return [Checkpoint(tiny, w, 1, {}, {}, {}) for w in weights]


def test_a_temperature_is_kept_for_its_weights(tmp_path, members):
    """Guards against the temperature of an earlier training, used with the weights of a later."""
    decisions.store_temperature(tmp_path / "new", members[0], Temperature(1.75), 98)
    assert decisions.stored_temperature(tmp_path / "new", members[0]) == 1.75
    with pytest.raises(InputError, match="was made for other weights"):
        decisions.stored_temperature(tmp_path / "new", members[1])
    with pytest.raises(InputError, match=r"there is no .*calibration.json; run predict.py"):
        decisions.stored_temperature(tmp_path, members[0])


def test_a_temperature_that_could_not_be_fitted_says_so_again(tmp_path, members, caplog):
    """Guards against probabilities that are called calibrated for all later scans."""
    decisions.store_temperature(tmp_path / "run", members[0], Temperature(1.0, "too few"), 12)
    assert decisions.stored_temperature(tmp_path / "run", members[0]) == 1
    assert "the stored temperature of run is 1: too few" in caplog.text


def test_a_threshold_is_kept_for_its_rule_and_its_weights(tmp_path, members):
    decisions.store_threshold(tmp_path, members, POINT)
    assert decisions.stored_threshold(tmp_path, members, POINT.rule) == POINT
    with pytest.raises(InputError, match=r"was chosen by sensitivity=0.9; run predict.py with"):
        decisions.stored_threshold(tmp_path, members, "youden")
    for other in (members[:1], members[::-1]):
        with pytest.raises(InputError, match="was made for other weights"):
            decisions.stored_threshold(tmp_path, other, POINT.rule)


@pytest.mark.parametrize("text", ["", "[]", "3", '{"temperature": 1}', "{", "null"])
def test_a_damaged_file_is_one_message(tmp_path, members, text):
    (tmp_path / decisions.CALIBRATION).write_text(text)
    with pytest.raises(InputError, match=r"calibration.json"):
        decisions.stored_temperature(tmp_path, members[0])


@pytest.mark.parametrize("value", [None, "2", 0.0, -1.0, [1.0]])
def test_a_temperature_must_be_a_number(tmp_path, members, value):
    decisions.store_temperature(tmp_path, members[0], Temperature(2.0), 98)
    path = tmp_path / decisions.CALIBRATION
    path.write_text(json.dumps(json.loads(path.read_text()) | {"temperature": value}))
    with pytest.raises(InputError, match="has no temperature"):
        decisions.stored_temperature(tmp_path, members[0])
