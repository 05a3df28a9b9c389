"""The picture of prepared scans."""

import numpy as np
import pytest

from lmttm.report import prepared, style


@pytest.mark.parametrize("name", ["$x_1$", r"$\frac$", "漢字", "a\\xff"])
def test_any_name_can_be_drawn(name, tmp_path):
    figure = prepared.draw({name: np.zeros((8, 9, 10), np.uint8)})
    style.save(tmp_path / "a.png", figure)


def test_a_row_for_each_scan_with_its_histogram(tmp_path):
    volumes = {
        "a.nii": np.full((8, 9, 10), 7, np.uint8),
        "b" * 120: np.zeros((8, 9, 10), np.uint8),
    }
    figure = prepared.draw(volumes)
    assert len(figure.subfigs) == 2
    panels = figure.subfigs[0].axes
    assert [panel.images[0].get_array().shape for panel in panels[:3]] == [
        (9, 10),
        (8, 10),
        (8, 9),
    ]
    (shares,) = panels[3].lines
    assert [*zip(*shares.get_data(), strict=True)] == [(7, 1.0)]
    assert not panels[3].patches, "bars whose axis is logarithmic begin nowhere"
    style.save(tmp_path / "a.png", figure)
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_a_row_for_each_scan_of_a_case_at_the_same_slices():
    """Guards against scans that cannot be compared, as each shows the centre of its own mass."""
    case = np.zeros((2, 8, 9, 10), np.uint8)
    case[0, 2, 3, 4] = 200
    case[1, 6, 6, 6] = 100
    figure = prepared.draw({"a.nii,b.nii": case, "c.nii": case[0]})
    assert [row.get_suptitle() for row in figure.subfigs] == [
        *("a.nii,b.nii: path", "a.nii,b.nii: path_2"),
        "c.nii",
    ]
    for row, channel in zip(figure.subfigs, (case[0], case[1], case[0]), strict=True):
        shown = [panel.images[0].get_array() for panel in row.axes[:3]]
        for axis, place in enumerate((2, 3, 4)):
            assert np.array_equal(shown[axis], channel.take(place, axis))
