"""How cost grows: the fit of a power law, and the sizes that are varied."""

import json
from pathlib import Path

import numpy as np
import pytest

from lmttm.config.files import load_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def growth(monkeypatch):
    """The module `benchmarks/growth.py`, which imports from its own folder."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import growth

    return growth


def test_the_exponent_of_a_power_law_is_found(growth):
    """Guards against a slope over sizes instead of their logarithms."""
    sizes = [15, 21, 30, 42]
    exponent, factor = growth.fit(sizes, [0.02 * size**2.5 for size in sizes])
    assert (exponent, factor) == (pytest.approx(2.5), pytest.approx(0.02))
    # Errors of a tenth, up and down, leave the middle of the line where it is.
    noisy = [
        3 * size * error for size, error in zip((1, 2, 4, 8), (1.1, 0.9, 0.9, 1.1), strict=True)
    ]
    exponent, factor = growth.fit((1, 2, 4, 8), noisy)
    assert exponent == pytest.approx(1)
    assert factor == pytest.approx(3 * np.sqrt(1.1 * 0.9))


def test_each_size_grows_alone(growth, monkeypatch):
    """Guards against units that shrink as their number grows, and against slabs cut off."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from measuring import form, steps_and_tokens

    def seen(name, value):
        overrides = ["distance=off", "dataset_name=noise/"]
        config = load_config("adrenalmnist3d.json", overrides)
        size = growth.SIZES[name]
        config = load_config("adrenalmnist3d.json", [*overrides, *size.overrides(config, value)])
        steps, tokens = steps_and_tokens(form(config, fast=True, precision="fp32"))
        model = config.model
        each = model.memory_tokens_size // model.num_units
        return steps, model.num_units, each, model.dim, tokens, config.batch_size

    assert seen("steps", 9) == (9, 4, 16, 64, 81, 32)
    for value in growth.SIZES["steps"].values:
        assert seen("steps", value) == (value, 4, 16, 64, 81, 32)
    assert seen("units", 7) == (9, 7, 16, 64, 81, 32)
    assert seen("tokens", 256) == (9, 4, 64, 64, 81, 32)
    assert seen("width", 128) == (9, 4, 16, 128, 81, 32)
    assert seen("volume", 42) == (14, 4, 16, 64, 196, 32)
    assert seen("batch", 8) == (9, 4, 16, 64, 81, 8)


def test_one_command_measures_all_sizes(growth, tmp_path, monkeypatch, capsys):
    small = {"steps": (2, 3), "units": (1, 2), "tokens": (4, 8), "width": (8, 16)}
    small |= {"volume": (14, 28), "batch": (1, 2)}
    sizes = {name: size._replace(values=small[name]) for name, size in growth.SIZES.items()}
    monkeypatch.setattr(growth, "SIZES", sizes)
    tiny = ["model.dim=16", "model.memory_tokens_size=4", "model.num_blocks=2", "model.depth=1"]
    tiny += ["model.patch_size=7", "model.summarize_num_tokens=2", "batch_size=2", "device=cpu"]
    assert growth.main(["small.json", *tiny, "--repeats", "1", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "growth.json").read_text())
    assert {name: tuple(row["values"]) for name, row in result["sizes"].items()} == small
    for row in result["sizes"].values():
        assert min(row["seconds"]) > 0
        assert row["exponent"] == pytest.approx(
            np.log(row["seconds"][1] / row["seconds"][0])
            / np.log(row["values"][1] / row["values"][0]),
            abs=0.01,
        )
    assert "| memory tokens | 4, 8 | " in capsys.readouterr().out
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_not_measured_is_refused(growth, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert growth.main(["resnet3d.json", *out]) == 2
    assert "the benchmark measures lmttm and ttm" in capsys.readouterr().err
    assert growth.main(["small.json", "--repeats", "0", *out]) == 2
    assert "--repeats must be at least 1, got 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
