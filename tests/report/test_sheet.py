"""The sheet of volumes: the right ones, cut through their centre."""

import numpy as np
import pytest

from lmttm.report import sheet

NAMES = ("class 0", "class 1")


def test_the_most_confident_errors_come_first():
    labels = np.array([0, 0, 0, 1, 1])
    second = np.array([0.1, 0.9, 0.6, 0.4, 0.2])
    probabilities = np.stack([1 - second, second], axis=1)
    assert sheet.most_wrong(labels, probabilities) == [1, 4, 2, 3]
    assert sheet.most_wrong(labels, probabilities, number=2) == [1, 4]
    assert sheet.most_wrong(labels, np.eye(2)[labels]) == []


def test_the_most_typical_volumes_are_right_and_of_every_class():
    labels = np.array([0, 0, 0, 1, 1, 1])
    second = np.array([0.1, 0.3, 0.9, 0.6, 0.8, 0.2])
    probabilities = np.stack([1 - second, second], axis=1)
    assert sheet.most_typical(labels, probabilities) == [0, 1, 4, 3]
    assert sheet.most_typical(labels, probabilities, number=1) == [0, 4]
    assert sheet.most_typical(1 - labels, np.eye(2)[labels]) == []


def sheet_titles(figure):
    return [part.get_suptitle() for part in figure.subfigs]


def test_volumes_are_called_by_their_scans():
    """Guards against a picture that leaves the reader to count the rows of a table."""
    images, chances = np.zeros((2, 4, 4, 4), np.uint8), np.array([[0.3, 0.7], [0.2, 0.8]])
    names = ["p1/$a$ b.nii.gz", f"{'long/' * 9}scan.nii.gz"]
    drawn = sheet.contact_sheet(
        images, [0, 1], np.array([0, 0]), chances, NAMES, volume_names=names
    )
    one, two = sheet_titles(drawn)
    assert one == "p1/\\$a\\$ b.nii.gz: label class 0\npredicted class 1 (p = 0.70)"
    assert two.startswith("...")
    assert "long/scan.nii.gz: label class 0" in two


@pytest.mark.parametrize("chosen", [[], [0], [0, 1]])
def test_a_long_title_fits(chosen):
    """Guards against a title that is cut at both ends of a small picture."""
    images, chances = np.zeros((2, 4, 4, 4), np.uint8), np.full((2, 2), 0.5)
    title = " + ".join(f"fold{n}" for n in range(16)) + ": my_set, all scans: most wrong"
    figure = sheet.contact_sheet(images, chosen, np.zeros(2, int), chances, NAMES, title=title)
    figure.draw_without_rendering()
    above = figure._suptitle or figure.texts[0]
    box = above.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert 0 <= box.y0 < box.y1 <= figure.bbox.height


@pytest.mark.parametrize("chosen", [[], [2], [0, 2, 4]])
def test_the_contact_sheet_shows_each_volume_through_its_centre(chosen):
    labels = np.array([0, 1, 0, 1, 0])
    probabilities = np.full((5, 2), 0.5)
    images = np.zeros((5, 9, 9, 9), np.uint8)
    images[:, 1:4, 4:7, 6:9] = 200
    images[4] = 0  # an empty volume is cut in its middle
    figure = sheet.contact_sheet(images, chosen, labels, probabilities, NAMES, title="some run")
    above = figure.get_suptitle() or figure.texts[0].get_text()
    assert above.startswith("some run\n")
    panels = [panel for panel in figure.axes if panel.images]
    assert len(panels) == 3 * len(chosen)
    for number, index in enumerate(chosen):
        cuts = [panel.get_xlabel() for panel in panels[3 * number : 3 * number + 3]]
        middle = (4, 4, 4) if index == 4 else (2, 5, 7)
        assert cuts == [
            f"{axis}: slice {c + 1} of 9" for axis, c in zip("DHW", middle, strict=True)
        ]
        if chosen:
            assert sheet_titles(figure)[number].startswith(f"#{index}: label class {index % 2}\n")
        first = panels[3 * number].images[0].get_array()
        assert np.array_equal(first, images[index, middle[0]])
