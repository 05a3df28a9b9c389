"""Pictures of an explanation: bars and curves are its numbers, and nothing is left out."""

from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from lmttm.report import heatmap

CLASSES = ("a", "b", "c")
READ_TOKENS = 2


class Found(NamedTuple):
    """An explanation of one volume, as the pictures take it."""

    probabilities: np.ndarray
    running: np.ndarray
    token_attention: np.ndarray
    attention: np.ndarray
    shares: np.ndarray
    without_step: np.ndarray
    without_unit: np.ndarray


def explained(steps=4, units=3, edge=8):
    rng = np.random.default_rng(0)
    running = rng.dirichlet(np.ones(len(CLASSES)), steps)
    maps = rng.random((max(units, 1) * READ_TOKENS, edge, edge, edge)) / edge**3
    found = Found(
        probabilities=running[-1],
        running=running,
        token_attention=maps,
        attention=maps.mean(axis=0),
        shares=rng.dirichlet(np.ones(units + 1), steps),
        without_step=rng.dirichlet(np.ones(len(CLASSES)), steps),
        without_unit=rng.dirichlet(np.ones(len(CLASSES)), units),
    )
    return rng.integers(0, 256, (edge, edge, edge), dtype=np.uint8), found


def slabs_of(steps, edge):
    return [(step * edge // steps, (step + 1) * edge // steps - 1) for step in range(steps)]


def panel_of(figure, title):
    (panel,) = (panel for panel in figure.axes if title in panel.get_title())
    return panel


@pytest.mark.parametrize(("steps", "units"), [(1, 1), (4, 3), (4, 0), (12, 5)])
def test_the_numbers_that_are_drawn_are_those_of_the_explanation(steps, units):
    volume, found = explained(steps, units, edge=12)
    figure = heatmap.draw(volume, found, slabs_of(steps, 12), CLASSES, "some title")
    answer = found.probabilities.argmax()
    above = f"some title\npredicted {CLASSES[answer]}, p = {found.probabilities[answer]:.3f}"
    assert figure.get_suptitle() == above
    curves = panel_of(figure, "probability of each class").lines[: len(CLASSES)]
    np.testing.assert_allclose([line.get_ydata() for line in curves], found.running.T)
    panel = panel_of(figure, "if one slab is empty")
    assert CLASSES[answer] in panel.get_title()
    np.testing.assert_allclose(
        [bar.get_height() for bar in panel.patches], found.without_step[:, answer]
    )
    np.testing.assert_allclose(panel.lines[0].get_ydata(), found.probabilities[answer])
    shares = panel_of(figure, "what the reads attended to").patches
    heights = np.reshape([bar.get_height() for bar in shares], (units + 1, steps))
    np.testing.assert_allclose(heights.T, found.shares)
    top = max(bar.get_y() + bar.get_height() for bar in shares)
    assert top == pytest.approx(1)  # stacked, not side by side
    bars = panel_of(figure, "if one memory").patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], found.without_unit[:, answer])


def test_slices_are_taken_from_the_middle_of_their_slabs():
    volume, found = explained(steps=4, edge=8)
    figure = heatmap.draw(volume, found, slabs_of(4, 8), CLASSES, "")
    titles = [panel.get_title() for panel in figure.axes if panel.get_title().startswith("slab")]
    assert titles == [f"slab {s}: slice {d} of 8" for s, d in ((1, 1), (2, 3), (3, 5), (4, 7))]
    for panel, place in zip((p for p in figure.axes if p.images), (0, 2, 4, 6), strict=True):
        assert np.array_equal(panel.images[0].get_array(), volume[place])


@pytest.mark.parametrize("kind", ["slices", "tokens"])
def test_a_heat_map_has_a_bar_that_explains_its_colours(kind):
    volume, found = explained()
    if kind == "slices":
        figure = heatmap.draw(volume, found, slabs_of(4, 8), CLASSES, "")
    else:
        figure = heatmap.draw_tokens(volume, found, "")
        assert "projection" in figure.get_suptitle()
    assert any("attention" in panel.get_ylabel() for panel in figure.axes)


@pytest.mark.parametrize("units", [0, 1, 3])
def test_every_read_token_has_its_picture(units):
    volume, found = explained(units=units)
    figure = heatmap.draw_tokens(volume, found, "title")
    panels = [panel for panel in figure.axes if panel.images]
    assert len(panels) == len(found.token_attention)
    rows = [panel.get_ylabel() for panel in panels if panel.get_ylabel()]
    assert rows == (["current", "past", "next"][:units] or ["input"])


def test_the_animation_pages_through_the_slices(tmp_path):
    volume, found = explained(edge=5)
    heatmap.animate(tmp_path / "a.gif", volume, found, slabs_of(4, 5), CLASSES, "title")
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 5
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]
