"""The plot of the probabilities as they form."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from lmttm.report.running_plot import running_plot
from tests.report.made import HOSTILE


@pytest.mark.parametrize(("steps", "classes"), [(1, 2), (9, 2), (28, 11)])
def test_points_are_the_probabilities_and_names_are_escaped(steps, classes):
    running = np.random.default_rng(0).dirichlet(np.ones(classes), steps)
    svg = ElementTree.fromstring(running_plot(running, [HOSTILE] * classes))
    lines = svg.findall("polyline")
    assert len(lines) == classes
    looks = {(line.get("stroke"), line.get("stroke-dasharray")) for line in lines}
    assert len(looks) == classes, "two classes look the same"
    cursor = next(line for line in svg.findall("line") if line.get("class") == "cursor")
    top, bottom = float(cursor.get("y1")), float(cursor.get("y2"))
    for number, line in enumerate(lines):
        points = np.array([point.split(",") for point in line.get("points").split()], float)
        found = (bottom - points[:, 1]) / (bottom - top)
        np.testing.assert_allclose(found, running[:, number], atol=1e-3)
        gaps = float(cursor.get("data-left")) + np.arange(steps) * float(cursor.get("data-gap"))
        np.testing.assert_allclose(points[:, 0], gaps, atol=0.01)
    width = float(svg.get("viewBox").split()[2])
    assert all(float(text.get("x")) < width for text in svg.findall("text"))
