"""The picture of a sweep: its bars and its squares are means over the runs."""

import numpy as np
import pytest

from lmttm.report import sweep_figure as module
from lmttm.report.sweep_figure import sweep_figure


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws a sweep, really; gives the figure for a look at what is in it."""

    def drawn(rows, axes):
        kept, save = [], module.save
        monkeypatch.setattr(module, "save", lambda path, f: kept.append(f) or save(path, f))
        sweep_figure(tmp_path / "results.png", rows, axes, "val_auc", title="mine")
        assert (tmp_path / "results.png").stat().st_size > 5000
        return kept[0]

    return drawn


def runs(**axes):
    """Three runs of one combination: AUC 0.5, 0.6 and 0.7, shifted by `plus`."""
    plus = axes.pop("plus", 0.0)
    return [{**axes, "val_auc": 0.5 + plus + seed / 10} for seed in range(3)]


def test_one_axis_gives_bars_with_their_spread(drawn):
    rows = runs(dim="8") + runs(dim="16", plus=0.2)
    panel = drawn(rows, ["dim"]).axes[0]
    np.testing.assert_allclose([bar.get_width() for bar in panel.patches], [0.6, 0.8])
    assert [text.get_text() for text in panel.get_yticklabels()] == ["8 (n = 3)", "16 (n = 3)"]
    whiskers = panel.collections[0].get_segments()
    assert whiskers[0][1][0] - whiskers[0][0][0] == pytest.approx(2 * 0.1)  # n - 1 below the root
    assert panel.get_title() == "mine\nAUC, val split, 6 runs"
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["chance: 0.500"]
    dots = [line.get_xdata() for line in panel.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots, [[0.5, 0.6, 0.7], [0.7, 0.8, 0.9]])


def test_two_axes_give_a_heat_map(drawn):
    rows = runs(dim="8", mode="TL") + runs(dim="8", mode="none", plus=0.1)
    rows += runs(dim="16", mode="TL", plus=0.2)  # and one combination without a run
    figure = drawn(rows, ["dim", "mode"])
    assert figure.get_suptitle() == "mine\nAUC, val split, 9 runs"
    assert figure.axes[1].get_ylabel().endswith("chance: 0.500")
    panel = figure.axes[0]
    np.testing.assert_allclose(
        panel.images[0].get_array().filled(np.nan), [[0.6, 0.7], [0.8, np.nan]]
    )
    assert [text.get_text() for text in panel.texts] == ["0.600", "0.700", "0.800"]


def test_three_axes_are_joined_and_a_score_that_is_not_defined_is_left_out(drawn):
    rows = [*runs(a="1", b="2", c="3"), {"a": "1", "b": "2", "c": "4", "val_auc": None}]
    panel = drawn(rows, ["a", "b", "c"]).axes[0]
    assert [text.get_text() for text in panel.get_yticklabels()] == [
        "1, 2, 3 (n = 3)",
        "1, 2, 4 (n = 0)",
    ]
    np.testing.assert_allclose([bar.get_width() for bar in panel.patches], [0.6])
