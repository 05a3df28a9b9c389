"""The picture of a sweep: its dots and its squares are means over the runs."""

import numpy as np
import pytest
from PIL import Image

from lmttm.report import sweep_figure as module
from lmttm.report.sweep_figure import sweep_figure


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws a sweep, really; gives the figure for a look at what is in it."""

    def drawn(rows, axes, title="mine"):
        kept, save = [], module.save
        monkeypatch.setattr(module, "save", lambda path, f: kept.append(f) or save(path, f))
        sweep_figure(tmp_path / "results.png", rows, axes, "val", title=title)
        assert (tmp_path / "results.png").stat().st_size > 5000
        return kept[0]

    return drawn


def runs(**axes):
    """Three runs of one combination: AUC 0.5, 0.6 and 0.7, shifted by `plus`."""
    plus = axes.pop("plus", 0.0)
    return [{**axes, "val_auc": 0.5 + plus + seed / 10} for seed in range(3)]


def dots(panel, size):
    """Where the dots of a size lie: each row's, from left to right."""
    lines = [line for line in panel.lines if line.get_marker() == "o"]
    return [line.get_xdata() for line in lines if line.get_markersize() == size]


MEAN, RUN = 7, 4  # the sizes of their dots


def test_one_axis_gives_dots_with_their_spread(drawn):
    figure = drawn(runs(dim="8") + runs(dim="16", plus=0.2), ["dim"])
    panel = figure.axes[0]
    np.testing.assert_allclose(dots(panel, MEAN), [[0.6], [0.8]])
    np.testing.assert_allclose(dots(panel, RUN), [[0.5, 0.6, 0.7], [0.7, 0.8, 0.9]])
    whiskers = [line.get_xdata() for line in panel.lines if line.get_marker() == "None"][:2]
    np.testing.assert_allclose(whiskers, [[0.5, 0.7], [0.7, 0.9]])  # n - 1 below the root
    assert [text.get_text() for text in panel.get_yticklabels()] == ["8 (n = 3)", "16 (n = 3)"]
    assert figure.get_suptitle() == "mine\nAUC, val split, 6 runs"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["mean ± standard deviation", "single runs", "chance: 0.500"]


def test_nothing_is_drawn_as_a_length_on_an_axis_that_says_where_it_starts(drawn):
    """Guards against bars whose lengths do not start at 0: 0.8 drawn as twice 0.65."""
    panel = drawn(runs(dim="8", plus=0.2), ["dim"]).axes[0]
    assert list(panel.patches) == []
    low, high = panel.get_xlim()
    assert 0 < low < 0.7 < 0.9 < high < 1
    said = f"AUC, val split; the axis runs from {low:.2f} to {high:.2f}, not from 0"
    assert panel.get_xlabel() == said


def test_chance_beyond_the_axis_is_in_words(drawn):
    """Guards against a line that the legend names and nobody finds."""
    legend = drawn(runs(dim="8", plus=0.2), ["dim"]).legends[0]
    assert legend.get_texts()[-1].get_text() == "chance: 0.500 (outside the axis)"


def test_small_differences_do_not_fill_the_axis(drawn):
    """Guards against luck that is magnified until it looks like a finding."""
    rows = [{"dim": str(n), "val_auc": 0.8 + n / 1000} for n in range(3)]
    figure = drawn(rows, ["dim"])
    low, high = figure.axes[0].get_xlim()
    assert high - low > 0.05
    assert dots(figure.axes[0], RUN) == []  # the mean of one run is that run
    assert figure.legends[0].get_texts()[0].get_text() == "the only run"
    squares = [{"a": str(n), "b": "1", "val_auc": 0.8 + n / 1000} for n in range(3)]
    low, high = drawn(squares, ["a", "b"]).axes[0].images[0].get_clim()
    assert high - low > 0.05


def test_dots_at_the_best_score_are_drawn_whole(drawn):
    panel = drawn([{"dim": "8", "val_auc": 1.0}] * 2, ["dim"]).axes[0]
    assert panel.get_xlim()[1] == 1
    assert not any(line.get_clip_on() for line in panel.lines if line.get_marker() == "o")


def test_two_axes_give_a_heat_map(drawn):
    rows = runs(dim="8", mode="TL") + runs(dim="8", mode="none", plus=0.1)
    rows += runs(dim="16", mode="TL", plus=0.2)  # and one combination without a run
    figure = drawn(rows, ["dim", "mode"])
    assert figure.get_suptitle() == "mine\nAUC, val split, 9 runs"
    assert figure.axes[1].get_ylabel().endswith("chance: 0.5")
    panel = figure.axes[0]
    np.testing.assert_allclose(
        panel.images[0].get_array().filled(np.nan), [[0.6, 0.7], [0.8, np.nan]]
    )
    assert [text.get_text() for text in panel.texts] == [
        f"{mean}\n± 0.100" for mean in ("0.600", "0.700", "0.800")
    ]


def test_three_axes_are_joined_and_a_score_that_is_not_defined_is_left_out(drawn):
    rows = [*runs(a="1", b="2", c="3"), {"a": "1", "b": "2", "c": "4", "val_auc": None}]
    panel = drawn(rows, ["a", "b", "c"]).axes[0]
    assert [text.get_text() for text in panel.get_yticklabels()] == [
        "1, 2, 3 (n = 3)",
        "1, 2, 4 (n = 0)",
    ]
    np.testing.assert_allclose(dots(panel, MEAN), [[0.6]])


def test_data_sets_are_never_compared_by_colour(drawn):
    """Guards against a heat map in which the easier data set outshines every difference."""
    rows = runs(dataset="A", dim="8") + runs(dataset="A", dim="16") + runs(dataset="B", dim="8")
    panel = drawn(rows, ["dataset", "dim"]).axes[0]
    assert [text.get_text() for text in panel.get_yticklabels()] == [
        "A, 8 (n = 3)",
        "A, 16 (n = 3)",
        "B, 8 (n = 3)",
    ]
    between = [line.get_ydata()[0] for line in panel.lines if line.get_color() == "grey"]
    assert between == [1.5]


@pytest.mark.parametrize("axes", [["dataset"], ["dataset", "b"], ["a", "b"], ["a", "b", "c"]])
def test_long_names_leave_room_for_the_picture(drawn, axes, tmp_path):
    """Guards against labels and titles that are cut off, and panels of no size."""
    rows = [{axis: f"{n}/{60 * axis}/{n}" for axis in axes} | {"val_auc": 0.8} for n in (1, 2)]
    figure = drawn(rows, axes, title="a sweep of 200 letters " + 177 * "x")
    assert figure.axes[0].get_position().width > 0.4
    with Image.open(tmp_path / "results.png") as image:
        pixels = np.array(image.convert("L"))
    assert min(edge.min() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])) == 255


def test_a_sweep_in_which_no_auc_is_defined_is_drawn(drawn):
    panel = drawn([{"dim": "8", "val_auc": None}], ["dim"]).axes[0]
    assert dots(panel, MEAN) == []
    drawn([{"a": "8", "b": "1", "val_auc": None}], ["a", "b"])
