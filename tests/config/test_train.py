"""The section `train`: the bounds of its keys."""

import pytest

from lmttm.config.files import load_config
from lmttm.errors import InputError


@pytest.mark.parametrize("name", ["Train", "0", "fold0", "a-b_c.d", "x" * 100])
def test_a_name_that_can_be_a_folder_is_taken(name):
    assert load_config("base.json", [f"train.name={name}"]).train.name == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-x", "a/b", "a\\b", "a b", "x" * 101])
def test_a_name_that_leaves_its_folder_or_hides_in_it_is_refused(name):
    """Guards against a run that is written outside of `output_dir`."""
    with pytest.raises(InputError, match=r"train\.name"):
        load_config("base.json", [f"train.name={name}"])


@pytest.mark.parametrize(
    "override",
    [
        *("epoch=0", "stop_auc=1.01", "optimizer=SGD", "lr=0", "lr=-1e-3", "weight_decay=-1"),
        *("schedule=step", "clip_norm=-1", "label_smoothing=1", "class_weights=yes", "ema=1"),
        *("keep=worst", "accumulate=0", "precision=fp16", "compile=yes", "save_every=-1"),
        *("logger=none,wandb", "epochs=3"),
    ],
)
def test_values_out_of_bounds_are_refused_by_name(override):
    with pytest.raises(InputError, match=rf"train\.{override.partition('=')[0]} "):
        load_config("base.json", [f"train.{override}"])
