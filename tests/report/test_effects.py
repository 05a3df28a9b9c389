"""What each slab and memory unit did: bars and curves are the numbers of an explanation."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from lmttm.report.effects import effect_plots, probability_plot
from tests.report.made import explained

CLASSES = ("one", "other")


@pytest.mark.parametrize(("steps", "units"), [(1, 1), (4, 3), (4, 0), (12, 5)])
def test_what_is_drawn_are_the_numbers_of_the_explanation(steps, units):
    found = explained(steps, units).found
    panel, *others = Figure().subplots(1, 4)
    probability_plot(panel, found, CLASSES)
    curves = [line.get_ydata() for line in panel.lines[:2]]
    np.testing.assert_allclose(curves, found.running.T)
    assert panel.lines[2].get_ydata()[0] == 0.5  # chance

    effect_plots(others, found, CLASSES)
    bars = [[bar.get_height() for bar in panel.patches] for panel in others]
    np.testing.assert_allclose(np.reshape(bars[0], (units + 1, steps)).T, found.shares)
    top = max(bar.get_y() + bar.get_height() for bar in others[0].patches)
    assert top == pytest.approx(1)  # stacked, not side by side
    answer = found.probabilities.argmax()
    np.testing.assert_allclose(bars[1], found.without_step[:, answer])
    np.testing.assert_allclose(bars[2], found.without_unit[:, answer])
    np.testing.assert_allclose(others[1].lines[0].get_ydata(), found.probabilities[answer])
    assert CLASSES[answer] in others[1].get_title()


def test_bars_start_at_zero():
    """Guards against lengths that say more than their numbers."""
    panels = Figure().subplots(1, 3)
    effect_plots(panels, explained().found, CLASSES)
    assert {panel.get_ylim()[0] for panel in panels} == {0}
    lowest = [min(bar.get_y() for bar in panel.patches) for panel in panels]
    assert lowest == [0, 0, 0]
