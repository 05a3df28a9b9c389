"""What is refused before the first run, since a table would say something else than was run."""

import pytest

from lmttm.config.files import load_config
from lmttm.errors import InputError
from lmttm.sweeps.plan import Sweep, make_trials

OPTIMIZER = load_config("demo.json").train.optimizer


def plain(key, *values):
    return {key: list(values)}


def settings(axis, *overrides):
    return {axis: [{"label": str(i), "set": keys} for i, keys in enumerate(overrides)]}


def trials_of(grid, overrides=(), **changes):
    document = {"base": "demo.json", "grid": grid, "seeds": [0, 1]} | changes
    return make_trials(Sweep.model_validate(document), list(overrides), "runs")


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        (plain("seed", 5, 6), 'seed must not vary in the grid: it comes from the "seeds"'),
        (plain("folds", 3, 5), "folds must not vary in the grid: it comes from --folds"),
        (plain("fold", 0, 1), "fold must not vary in the grid: it comes from --folds"),
        (plain("train.name", "a", "b"), "train.name must not vary in the grid"),
        (plain("output_dir", "a", "b"), "output_dir must not vary in the grid"),
        (settings("luck", {"seed": 1}, {"seed": 2}), "seed must not vary in the grid"),
        (settings("cut", {"folds": 3}, {}), "folds must not vary in the grid"),
        (settings("epoch", {}, {"train.lr": 1e-3}), "name of a column, got epoch"),
        (settings("runs", {}, {"train.lr": 1e-3}), "name of a column, got runs"),
        (settings("trial", {}, {"train.lr": 1e-3}), "name of a column, got trial"),
        (settings("gflop", {}, {"train.lr": 1e-3}), "name of a column, got gflop"),
        (settings("against", {}, {"train.lr": 1e-3}), "name of a column, got against"),
        (settings("over volumes", {}, {"train.lr": 1e-3}), "name of a column, got over volumes"),
        (settings("val_auc", {}, {"train.lr": 1e-3}), "name of a column, got val_auc"),
        (settings("test_balanced_acc", {}, {"train.lr": 1e-3}), "got test_balanced_acc"),
        (
            settings("model.dim", {"model.dim": 16}, {"model.dim": 24}),
            "the axis model.dim has the name of a key, so its values must be plain",
        ),
        (
            plain("model.dim", 16, 32) | settings("size of it", {"model.dim": 64}, {}),
            "two axes set model.dim: model.dim and size of it",
        ),
        (
            plain("model.summarize_num_tokens", 2, 4) | plain("model.summerize_num_tokens", 4, 8),
            "two axes set model.summarize_num_tokens",
        ),
        (
            settings("twice", {"train.lr": 1e-3}, {"train.lr": 0.001}),
            "the trials 0-s0 and 1-s0 are the same run",
        ),
        (settings("empty", {}, {"train.optimizer": OPTIMIZER.lower()}), "are the same run"),
        (plain("train.lr", 0.001, 1e-3), "two trials of the sweep have the name 0.001-s0"),
    ],
)
def test_an_axis_that_would_be_overruled_or_mistaken_is_refused(grid, told):
    with pytest.raises(InputError) as caught:
        trials_of(grid)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("seed=7", "seed must not be overridden"),
        ("folds=3", "folds must not be overridden: it comes from --folds"),
        ("fold=1", "fold must not be overridden"),
        ("train.name=mine", "train.name must not be overridden"),
        ("model.dim=48", "model.dim must not be overridden: the axis model.dim sets it"),
    ],
)
def test_an_override_without_effect_is_refused(override, told):
    """Guards against `seed=7` on the command line, and a table of seeds 0 and 1."""
    with pytest.raises(InputError, match=told):
        trials_of(plain("model.dim", 16, 32), [override])
    assert len(trials_of(plain("model.dim", 16, 32), ["output_dir=elsewhere"])) == 4


@pytest.mark.parametrize("key", ["dataset_name", "model.out_class_num", "dataset"])
def test_data_sets_are_not_set_twice(key):
    sets = ["PhantomMNIST3D"]
    with pytest.raises(InputError, match=f"{key}"):
        trials_of(plain(key, 2, 3), datasets=sets)
    if key != "dataset":
        with pytest.raises(InputError, match=f'{key} must not be overridden: .* its "datasets"'):
            trials_of(plain("model.dim", 16, 32), [f"{key}=3"], datasets=sets)


def test_a_comparison_whose_base_makes_its_trials_equal_is_refused():
    """Guards against "LMTTM" and "TTM" in a table, where the base makes both of them TTM."""
    grid = {
        "model": [
            {"label": "LMTTM", "set": {}},
            {"label": "TTM", "set": {"model.model": "ttm"}},
        ]
    }
    assert len(trials_of(grid)) == 4
    with pytest.raises(InputError, match="the trials LMTTM-s0 and TTM-s0 are the same run"):
        trials_of(grid, base="ttm.json")
