"""What models take, without a weight in memory."""

import pytest

from lmttm.config.files import load_config
from lmttm.errors import InputError
from lmttm.model.build import build_model
from lmttm.sweeps import cost as module
from lmttm.sweeps.cost import cost, costs_of
from lmttm.sweeps.plan import Sweep, make_trials
from tests.conftest import TINY


def trials(**grid):
    sweep = Sweep.model_validate({"base": "demo.json", "grid": grid, "seeds": [0, 1]})
    return make_trials(sweep, TINY, "runs")


def test_parameters_are_those_of_the_model():
    config = load_config("demo.json", TINY)
    parameters, gflop = cost(config)
    assert parameters == sum(weights.numel() for weights in build_model(config).parameters())
    assert 0 < gflop < 1


def test_twice_the_depth_is_twice_the_arithmetic_of_the_processing_unit():
    one, two, three = (
        cost(load_config("demo.json", [*TINY, f"model.depth={depth}"]))[1] for depth in (1, 2, 3)
    )
    assert three - two == pytest.approx(two - one)
    assert two > one


def test_equal_models_are_counted_once(monkeypatch):
    """Guards against minutes of counting before the first of a hundred trials."""
    counted = []
    monkeypatch.setattr(module, "cost", lambda config: counted.append(config) or (1, 2.0))
    found = costs_of(trials(**{"train.lr": [0.1, 0.2], "model.depth": [1, 2]}))
    assert len(found) == 8
    assert {config.model.depth for config in counted} == {1, 2}
    assert len(counted) == 2


def test_a_model_that_cannot_be_built_names_its_trial(monkeypatch):
    def fails(config):
        raise ValueError("too deep")

    monkeypatch.setattr(module, "cost", fails)
    with pytest.raises(InputError, match="trial 2-s0 cannot be built: too deep"):
        costs_of(trials(**{"model.depth": [2]}))
