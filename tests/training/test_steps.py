"""The circumstances of a step that was not finite, as a person and a program read them."""

import json
import math

from lmttm.training.steps import NotFinite

FAULT = {
    "epoch": 2,
    "step": 7,
    "lr": 0.001,
    "loss": math.nan,
    "gradient_norm": math.inf,
    "last_finite_loss": 0.25,
    "indices": [4, 1],
}


def test_the_message_says_where_and_what_to_try():
    message = str(NotFinite(**FAULT))
    assert "at epoch 2, step 7 (loss nan, gradient norm inf, learning rate 0.001" in message
    assert "last finite loss 0.25); lower train.lr or set train.clip_norm" in message


def test_the_file_is_json_that_any_program_reads(tmp_path):
    """Guards against NaN and Infinity, which are no JSON."""
    NotFinite(**FAULT).write(tmp_path / "not_finite.json")

    def refuse(name):
        raise AssertionError(name)

    text = (tmp_path / "not_finite.json").read_text()
    found = json.loads(text, parse_constant=refuse)
    assert found == FAULT | {"loss": "nan", "gradient_norm": "inf"}
