"""Pictures of an explanation: heat maps lie over their slices, and nothing is left out."""

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


def test_what_each_part_did_stands_below_the_slices():
    volume, found = explained(steps=4, units=3, edge=12)
    figure = heatmap.draw(volume, found, slabs_of(4, 12), CLASSES, "some title")
    answer = found.probabilities.argmax()
    above = f"some title\npredicted {CLASSES[answer]}, p = {found.probabilities[answer]:.3f}"
    assert figure.get_suptitle() == above
    titles = [panel.get_title() for panel in figure.axes]
    for start in ("probability of each", "what the reads", f"probability of {CLASSES[answer]}"):
        assert sum(title.startswith(start) for title in titles) == 1


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
