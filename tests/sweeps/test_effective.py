"""Which keys have an effect, against models that are built and run."""

import pytest
import torch

from lmttm.config.files import load_config
from lmttm.config.schema import Config
from lmttm.errors import InputError
from lmttm.model.build import build_model
from lmttm.sweeps.effective import effective
from lmttm.sweeps.plan import SWEEP_DIR, Sweep, load_sweep, make_trials

SMALL = ["model.dim=16", "model.memory_tokens_size=8", "model.patch_size=6", "model.num_heads=2"]

# Another value of each key that decides how a machine is built.
CHANGES = [
    *("model=ttm", "model=lmttm", "num_blocks=1", "num_blocks=2", "radius=0", "radius=2"),
    *("radius=9", "memory_tokens_size=16", "memory_start=zeros", "memory_start=learned"),
    *("load_memory_add_noise=false", "load_memory_add_noise_mode=none"),
    *("load_memory_add_noise_mode=uniform", "mark_neighbours=true", "num_heads=4"),
    *("drop_r=0.5", "mlp_ratio=2", "norm=pre", "share_layers=false", "drop_path=0.4"),
    *("write_use_positional_embedding=false", "read_use_positional_embedding=false"),
    *(
        "patch_stride=6",
        "patch_stride=5",
        "patch_size=6,6,6",
        "patch_size=7",
        "border=pad",
        "pool=attention",
    ),
    *("summarize_num_tokens=4", "memory_mode=TL", "memory_mode=none"),
]
VARIANTS = [
    [],
    ["model=ttm"],
    ["memory_mode=none"],
    ["memory_mode=none", "process_unit=mlp"],
    ["memory_mode=TL-AddErase", "memory_start=zeros", "depth=1"],
    ["memory_mode=TL-MHA", "process_unit=mixer", "num_blocks=2", "load_memory_add_noise=false"],
]


def config_of(changes, base="base.json") -> Config:
    return load_config(base, [*SMALL, *(f"model.{change}" for change in changes)])


def behaviour(config):
    """The fresh weights, and what the model answers with them in training."""
    torch.manual_seed(0)
    model = build_model(config)
    weights = torch.cat([w.flatten() for w in model.state_dict().values()] or [torch.zeros(1)])
    shapes = [(name, tuple(w.shape)) for name, w in model.state_dict().items()]
    volumes = torch.rand(3, config.num_channels, *config.shape)
    with torch.no_grad():
        logits = model(volumes)
    return str(shapes), weights.sum().item(), logits.flatten().tolist()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: " ".join(v) or "base")
def test_a_key_is_left_out_where_it_changes_nothing_and_only_there(variant):
    """Guards against a run under two names, and against two runs that are taken for one."""
    plain = config_of(variant)
    expected = behaviour(plain)
    others = {change: config_of([*variant, change]) for change in CHANGES}
    found = {change for change, other in others.items() if effective(other) == effective(plain)}
    assert found == {change for change, other in others.items() if behaviour(other) == expected}


def test_the_tokenizer_of_slices_takes_no_patches():
    slices = config_of(["preprocess_mode=resnet18"])
    assert effective(config_of(["preprocess_mode=resnet18", "patch_size=4"])) == effective(slices)
    assert effective(config_of(["patch_size=4"])) != effective(config_of([]))


def test_the_baseline_takes_nothing_of_the_machine():
    baseline = config_of(["model=resnet3d"])
    assert effective(config_of(["model=resnet3d", "drop_r=0.5"])) == effective(baseline)
    assert effective(config_of(["model=resnet3d", "in_channels=2"])) != effective(baseline)
    assert effective(config_of([])) != effective(baseline)


def test_a_border_that_is_not_there_is_neither_left_out_nor_padded():
    whole, cut = (config_of([f"patch_size={edge}"]) for edge in (7, 6))
    assert effective(config_of(["patch_size=7", "border=pad"])) == effective(whole)
    assert effective(config_of(["patch_size=6", "border=pad"])) != effective(cut)


def test_averaging_over_views_needs_views():
    flipped = ["augment.flip_axes=H"]
    plain, both = load_config("base.json"), load_config("base.json", ["test_flips=true"])
    assert effective(plain) == effective(both)
    assert effective(load_config("base.json", flipped)) != effective(
        load_config("base.json", [*flipped, "test_flips=true"])
    )


def test_nothing_of_the_training_is_left_out():
    plain = load_config("base.json")
    for change in ("train.lr=0.01", "seed=1", "batch_size=8", "dataset_name=VesselMNIST3D"):
        assert effective(load_config("base.json", [change])) != effective(plain)


@pytest.mark.parametrize("name", sorted(path.name for path in SWEEP_DIR.glob("*.json")))
def test_no_two_points_of_a_shipped_sweep_are_one_run(name):
    """Guards against memory_mode.json, which trained a machine without memory as LMTTM and TTM.

    Without `effective`: models of equal shapes and equal other keys must answer otherwise.
    """
    sweep = load_sweep(SWEEP_DIR / name)
    shrunk = [text for text in SMALL if text.partition("=")[0] not in sweep.grid]
    seen = {}
    for trial in make_trials(sweep.model_copy(update={"seeds": [0]}), shrunk, "runs"):
        plain = {"name": "trial"}
        config = trial.config.model_copy(
            update={"train": trial.config.train.model_copy(update=plain), "distance": "off"}
        )
        rest = config.model_dump(exclude={"model"}) | {"distance": trial.config.distance}
        other = seen.setdefault(f"{rest} {behaviour(config)}", trial.name)
        assert other == trial.name


@pytest.mark.parametrize(
    ("base", "grid", "keys"),
    [
        ("ttm.json", {"model.num_blocks": [2, 4]}, "model.num_blocks has"),
        ("demo.json", {"model.share_layers": [True, False]}, "model.share_layers has"),
        (
            "demo.json",
            {"model.load_memory_add_noise_mode": ["normal", "gamma"]},
            "model.load_memory_add_noise_mode has",
        ),
        (
            "demo.json",
            {
                "model.memory_mode": ["none"],
                "model": [
                    {"label": "LMTTM", "set": {"model.radius": 2}},
                    {"label": "TTM", "set": {"model.model": "ttm"}},
                ],
            },
            "model.model and model.radius have",
        ),
    ],
)
def test_a_sweep_that_would_train_a_run_twice_is_refused(base, grid, keys):
    """Guards against a table that compares a run with itself."""
    sweep = Sweep.model_validate({"base": base, "grid": grid, "seeds": [0]})
    with pytest.raises(InputError, match=f"are the same run: {keys.replace('.', '[.]')}") as caught:
        make_trials(sweep, [], "runs")
    assert str(caught.value).endswith("no effect in them")
