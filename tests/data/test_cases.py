"""Cases by their names, and from their scans to volumes."""

import numpy as np
import pytest

from lmttm.config.files import load_config
from lmttm.config.volume import Intensity
from lmttm.data.cases import (
    bytes_of,
    find_cases,
    load_volume,
    name_of,
    place_notes,
    read_case,
    scans_of,
    settled_places,
)
from lmttm.data.content import Content
from lmttm.data.preparation import Geometry, Region
from lmttm.data.tables import Entry
from lmttm.errors import InputError
from tests.scanned import write_nifti


def grey(seed):
    return np.random.default_rng(seed).integers(0, 900, (12, 12, 12)).astype(np.int16)


@pytest.fixture
def scans(tmp_path):
    return [write_nifti(tmp_path / f"{n}.nii.gz", grey(n)) for n in range(3)]


def config(*overrides):
    return load_config("base.json", ["dataset_name=mine/", "size=12", *overrides])


TWO = ("model.in_channels=2", "volume.intensity=window,each", "volume.window=[[0,450],null]")


def test_a_case_is_named_by_its_scans(tmp_path, scans):
    one, two, _ = scans
    assert scans_of(f"{one},{two}") == scans_of(f"{one}, {two}") == (one, two)
    assert scans_of([one, str(two)]) == scans_of((one, two)) == (one, two)
    assert scans_of(one) == scans_of(str(one)) == (one,)
    assert scans_of(name_of([one, two])) == (one, two)


def test_a_file_with_a_comma_in_its_name_is_one_scan(tmp_path):
    """Guards against a file that cannot be named any more."""
    path = write_nifti(tmp_path / "left,right.nii", grey(0))
    assert scans_of(str(path)) == (path,)
    assert scans_of(path.with_name("a,b.nii")) == (path.with_name("a,b.nii"),)  # a path is one
    assert scans_of([path, path]) == (path, path)


def test_home_and_variables_hold_for_each_scan(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCANS", "/archive")
    found = scans_of("~/a.nii,$SCANS/b.nii")
    assert [str(path) for path in found] == [f"{tmp_path}/a.nii", "/archive/b.nii"]


def test_a_folder_is_its_scans_where_a_case_is_one_scan(tmp_path, scans):
    assert find_cases((tmp_path,), 1) == [(path,) for path in scans]
    with pytest.raises(InputError, match=r"takes 2 scans for each case, .* path,path_2 .* got 1"):
        find_cases((tmp_path,), 2)
    with pytest.raises(InputError, match="must be one scan of a case, got a folder of 3"):
        find_cases((scans[0], tmp_path), 2)
    with pytest.raises(InputError, match="takes one scan for each case, got 2"):
        find_cases((scans[0], scans[1]), 1)
    with pytest.raises(InputError, match=r"in the order path,path_2,path_3 of the table"):
        find_cases((scans[0], scans[1]), 3)


def test_a_series_of_a_case_may_lie_in_folders(tmp_path, scans):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    path = write_nifti(tmp_path / "deep" / "er" / "a.nii", grey(5))
    assert find_cases((scans[0], tmp_path / "deep"), 2) == [(scans[0], path)]


def test_the_channels_of_a_case_are_its_scans(scans):
    one, two, _ = scans
    both = load_volume([one, two], config(*TWO))
    assert both.shape == (2, 12, 12, 12)
    assert np.array_equal(both[0], np.rint(255 * (grey(0) / 450).clip(0, 1)))
    assert np.array_equal(both[1], load_volume(two, config()))
    assert np.array_equal(both, load_volume(f"{one},{two}", config(*TWO)))
    with pytest.raises(InputError, match="takes 2 scans for each case"):
        load_volume(one, config(*TWO))
    with pytest.raises(InputError, match="takes one scan for each case, got 2"):
        load_volume([one, two], config())


def test_notes_say_which_scan_they_are_about(scans):
    region = Region(np.zeros((2, 2, 2), np.float32), Content(0, 0, two_valued=True), ("odd",))
    assert bytes_of([region], [Intensity("bytes")])[1] == ("odd",)
    assert bytes_of([region] * 2, [Intensity("bytes")] * 2)[1] == ("path: odd", "path_2: odd")
    volume, notes = read_case(scans[:2], Geometry((9, 9, 9)), [Intensity("masks")] * 2)
    assert volume.shape == (2, 9, 9, 9)
    assert [note.partition(":")[0] for note in notes] == ["path"] * 2 + ["path_2"] * 2


def row(**place):
    return Entry((), ("a.nii",), place="data.csv, line 2", **place)


@pytest.mark.parametrize(
    ("rows", "override", "expected"),
    [
        ([row(), row(extent=5.0)], "volume.region=pad", (None, "table")),
        ([row(centre=(1.0, 2.0, 3.0))], "volume.extent=40", ("table", 40.0)),
        ([row(extent=5.0)], "volume.extent=table", (None, "table")),
        ([row()], "volume.centre=1,2,3", ([1.0, 2.0, 3.0], None)),
        (
            [row(), row(extent=5.0)],
            "volume.extent=40",
            r"volume\.extent must be null beside extent",
        ),
        ([row(centre=(1.0, 2.0, 3.0))], "volume.centre=1,2,3", r"null beside centre_d, .* got \[1"),
        ([row(extent=5.0)], "volume.centre=table", r"centre=table needs centre_d, centre_h, "),
        ([row()], "volume.extent=table", r"mine: volume\.extent=table needs extent in the table"),
    ],
)
def test_the_table_or_the_configuration_places_scans(rows, override, expected):
    """Guards against an extent of the configuration that a column of a few rows switches off."""
    volume = config(override).volume
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            settled_places(rows, volume, "mine")
    else:
        settled = settled_places(rows, volume, "mine")
        assert (settled.centre, settled.extent) == expected


def test_a_scan_that_no_table_can_place_is_noted():
    """Guards against an upload to a page that shows a whole scan to a model of regions."""
    assert len(place_notes(None, config("volume.centre=table", "volume.extent=40").volume)) == 1
    assert place_notes(None, config("volume.extent=40").volume) == ()
