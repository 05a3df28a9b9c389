"""The picture of maps without steps: each beside that of random weights, at its hottest place."""

from dataclasses import replace

import numpy as np

from lmttm.report.map_figure import draw_maps
from lmttm.report.sheet import centre_of
from tests.report.made import explained_by_maps


def test_each_map_stands_beside_that_of_random_weights_at_its_hottest_place():
    shown = explained_by_maps()
    figure = draw_maps(shown.grey[0], shown.maps, "some title")
    assert figure.get_suptitle().startswith("some title\n")
    panels = [panel for panel in figure.axes if panel.images]
    assert len(panels) == 6 * len(shown.maps)
    for number, panel in enumerate(panels):
        found, axis = shown.maps[number // 6], number % 3
        heat = (found.heat, found.random)[number % 6 // 3]
        place = np.unravel_index(found.heat.argmax(), found.heat.shape)[axis]
        grey, over = panel.images
        np.testing.assert_array_equal(grey.get_array(), shown.grey[0].take(place, axis))
        np.testing.assert_allclose(over.get_array(), heat.take(place, axis) / heat.max())
        edge = shown.grey[0].shape[axis]
        assert panel.get_xlabel() == f"{'DHW'[axis]}: slice {place + 1} of {edge}"
    assert any("largest" in panel.get_ylabel() for panel in figure.axes)


def test_an_empty_map_is_shown_at_the_centre_of_the_volume():
    shown = explained_by_maps()
    empty = replace(shown.maps[0], heat=np.zeros_like(shown.maps[0].heat))
    figure = draw_maps(shown.grey[0], [empty], "")
    labels = [panel.get_xlabel() for panel in figure.axes if panel.images][:3]
    centre = centre_of(shown.grey[0])
    numbered = zip("DHW", centre, shown.grey[0].shape, strict=True)
    assert labels == [f"{axis}: slice {place + 1} of {edge}" for axis, place, edge in numbered]
