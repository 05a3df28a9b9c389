"""Cases as somebody names them: scans, folders, or the rows of a table."""

import os

import numpy as np
import pytest

from lmttm.config.files import load_config
from lmttm.data.cases import load_volume
from lmttm.data.unlabelled import is_table, list_cases, only_case, prepare_all, read_cases
from lmttm.errors import InputError
from tests.scanned import write_dicom, write_nifti


@pytest.fixture
def scans(tmp_path):
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 900, (4, 12, 12, 12)).astype(np.int16)
    return [write_nifti(tmp_path / f"{n}.nii.gz", voxels[n]) for n in range(4)]


def config(*overrides):
    return load_config("base.json", ["dataset_name=mine/", "size=12", *overrides])


TWO = config(
    *("model.in_channels=2", "volume.intensity=window,each", "volume.window=[[0,450],null]")
)
PLACED = config("volume.centre=table", "volume.extent=table")


def listed(folder, text, settings=None, **options):
    (folder / "cases.csv").write_text(text)
    return read_cases(folder / "cases.csv", settings or config(), **options)


def told(folder, text, settings=None):
    with pytest.raises(InputError) as caught:
        listed(folder, text, settings)
    return str(caught.value)


def test_a_case_that_cannot_be_used_stops_none_of_the_others(tmp_path, scans):
    one, two, three, _ = map(str, scans)
    given = [f"{one},{two}", one, [two, tmp_path / "missing.nii"], f"{two},{three}"]
    cases, refused = list_cases(given, TWO)
    prepared, unreadable = prepare_all(cases, TWO)
    assert [case.name for case in prepared] == [f"{one},{two}", f"{two},{three}"]
    ((name, wrong),) = ((case.name, message) for case, message in refused.items())
    assert (name, "takes 2 scans" in wrong) == (one, True)
    ((name, wrong),) = ((case.name, message) for case, message in unreadable.items())
    assert name == f"{two},{tmp_path / 'missing.nii'}"
    assert wrong == f"{tmp_path / 'missing.nii'} is not there"


def test_before_a_training_a_case_has_any_number_of_scans(scans):
    one, two, three, _ = map(str, scans)
    cases, refused = list_cases([one, f"{one},{two},{three}"], config(), untrained=True)
    prepared, unreadable = prepare_all(cases, config())
    assert [volume.ndim for volume, _ in prepared.values()] == [3, 4]
    assert refused == unreadable == {}
    cases, _ = list_cases([f"{one},{two},{three}"], TWO, untrained=True)
    (message,) = prepare_all(cases, TWO)[1].values()
    assert "one value or 3, for each scan of a case its own, got 2" in message


def test_what_is_a_table(tmp_path):
    assert all(map(is_table, ("a.csv", "b.CSV", tmp_path / "c.tsv", "left,right.csv", "d.xlsx")))
    (tmp_path / "folder.csv").mkdir()
    assert not any(map(is_table, ("a.nii", tmp_path / "folder.csv", ["a.csv"], "csv", "a.csv.gz")))


def test_a_table_gives_the_cases_that_its_paths_give(tmp_path, scans):
    series = write_dicom(tmp_path / "deep" / "series")
    text = f"PATH;Patient;note\r\n1.nii.gz;P1;x\r\n{scans[0]};;\r\ndeep/series/;P3;\r\n"
    (tmp_path / "cases.csv").write_bytes(text.encode("utf-8-sig"))
    cases, refused = list_cases([tmp_path / "cases.csv"], config())
    assert refused == {}
    assert [case.name for case in cases] == ["1.nii.gz", str(scans[0]), "deep/series/"]
    assert [case.patient for case in cases] == ["P1", "", "P3"]
    prepared, unreadable = prepare_all(cases, config())
    assert unreadable == {}
    for path, (volume, _) in zip((scans[1], scans[0], series), prepared.values(), strict=True):
        assert np.array_equal(volume, load_volume(path, config()))


def test_a_row_is_one_case_also_where_a_folder_has_several(tmp_path, scans):
    """Guards against one row that becomes four answers without a name in the table."""
    (case,) = listed(tmp_path, f"path\n{tmp_path}\n")
    (message,) = prepare_all([case], config())[1].values()
    assert message.startswith(f"cases.csv, line 2: {tmp_path} holds no scan")


def test_all_missing_scans_are_told_at_once(tmp_path, scans):
    rows = ["0.nii.gz", "lost.nii", "1.nii.gz", "gone/p2.nii"]
    message = told(tmp_path, "path\n" + "\n".join(rows))
    assert message.splitlines() == [
        "2 faults:",
        f"- cases.csv, line 3: {tmp_path / 'lost.nii'} is not there",
        f"- cases.csv, line 5: {tmp_path / 'gone/p2.nii'} is not there",
    ]
    assert "and 80 more" in told(tmp_path, "path\n" + "".join(f"{n}.nii\n" for n in range(100)))


@pytest.mark.parametrize("again", ["0.nii.gz", "./0.nii.gz", "{folder}/0.nii.gz", "link.nii.gz"])
def test_a_case_that_is_listed_twice_is_refused(again, tmp_path, scans):
    """Guards against a case that counts twice, by whatever way it is named."""
    os.symlink(scans[0], tmp_path / "link.nii.gz")
    again = again.format(folder=tmp_path)
    message = told(tmp_path, f"path\n0.nii.gz\n1.nii.gz\n{again}\n")
    assert message == f"cases.csv, line 4: {again} is the case of cases.csv, line 2 as well"


def test_faults_of_every_kind_are_told_at_once(tmp_path, scans):
    """Guards against a list that is corrected row by row, a command for each."""
    text = "path,patient\n0.nii.gz,a\n,b\nlost.nii,c\n0.nii.gz,d\n1,nii.gz,e\n"
    lines = told(tmp_path, text).splitlines()
    assert lines[0] == "4 faults:"
    assert sorted(line.split(":")[0] for line in lines[1:]) == [
        f"- cases.csv, line {number}" for number in (3, 4, 5, 6)
    ]
    message = told(tmp_path, "path,path_2,note\n,,x\n")
    assert message == "cases.csv, line 2: path and path_2 must not be empty"


def test_a_case_is_all_of_its_scans(tmp_path, scans):
    """Guards against a scan that two cases share being taken for a case that is there twice."""
    text = "path,path_2\n0.nii.gz,1.nii.gz\n0.nii.gz,2.nii.gz\n1.nii.gz,0.nii.gz\n"
    assert len(listed(tmp_path, text, TWO)) == 3
    first, *_ = prepare_all(listed(tmp_path, text, TWO), TWO)[0].values()
    assert np.array_equal(first[0], load_volume(scans[:2], TWO))


@pytest.mark.parametrize(
    ("text", "settings", "wrong"),
    [
        ("path\n0.nii.gz\n", TWO, "takes the columns path,path_2 for each case, got path"),
        ("path,path_2\n0.nii.gz,1.nii.gz\n", None, "takes the columns path for each case, got p"),
        ("path,path_3\n0.nii.gz,1.nii.gz\n", None, "must be path,path_2, got path,path_3"),
        ("path\n$NOT_SET/a.nii\n", None, "line 2: path must not name a variable that is not set"),
        (f"path\n{'x' * 300}\n", None, "line 2: path must be at most 4000 bytes long"),
        ("path,extent\n0.nii.gz,big\n", PLACED, "line 2: extent must be a number of mm, got big"),
    ],
)
def test_a_table_of_other_cases_is_refused(text, settings, wrong, tmp_path, scans):
    assert wrong in told(tmp_path, text, settings)


def test_places_in_a_scan_are_cases_of_their_own(tmp_path, scans):
    """Guards against a place of the table that is left out, and two that are taken for one."""
    text = "path,centre_d,centre_h,centre_w,extent\n0.nii.gz,3,3,3,6\n0.nii.gz,7,7,7,6\n"
    prepared, _ = prepare_all(listed(tmp_path, text, PLACED), PLACED)
    (one, _), (two, _) = prepared.values()
    for place, volume in ((3, one), (7, two)):
        there = config(f"volume.centre={place},{place},{place}", "volume.extent=6")
        assert np.array_equal(volume, load_volume(scans[0], there))
    assert not np.array_equal(one, two)
    assert len(listed(tmp_path, text, untrained=True)) == 2
    twice = told(tmp_path, f"{text}0.nii.gz,3,3,3,6\n", PLACED)
    assert "line 4: 0.nii.gz (centre 3,3,3, extent 6 mm) is the case of cases.csv, line 2" in twice


def test_a_place_that_contradicts_the_run_is_refused(tmp_path, scans):
    """Guards against a region that the run was not trained on, without a word."""
    text = "path,extent\n0.nii.gz,\n1.nii.gz,40\n"
    message = told(tmp_path, text)
    expected = "extent must be empty, as the run takes all scans with volume.extent=null"
    assert message == f"cases.csv, line 3: {expected}"
    message = told(tmp_path, text, config("volume.extent=30"))
    assert message.endswith("volume.extent=30.0")
    # Before a training null leaves the place to the table, and a number contradicts it as well.
    assert len(listed(tmp_path, text, config("volume.extent=table"), untrained=True)) == 2
    assert len(listed(tmp_path, text, untrained=True)) == 2
    with pytest.raises(InputError, match=r"as the configuration takes all .*volume\.extent=30\.0"):
        listed(tmp_path, text, config("volume.extent=30"), untrained=True)
    text = "path,centre_d,centre_h,centre_w\n0.nii.gz,1,2,3\n"
    message = told(tmp_path, text, config("volume.extent=table"))
    assert "centre_d, centre_h, centre_w must be empty" in message


def test_a_case_without_the_place_that_those_of_the_training_had_is_noted(tmp_path, scans):
    """Guards against a whole scan for a model that saw regions of lesions only, without a word."""

    def noted(cases, settings):
        prepared, _ = prepare_all(cases, settings)
        return [
            [note.partition(" of its own")[0] for note in notes if "of its own" in note]
            for _, notes in prepared.values()
        ]

    rows = ("path,centre_d,centre_h,centre_w,extent", "0.nii.gz,3,3,3,6", "1.nii.gz,3,3,3,")
    centre, extent = "it has no centre_d, centre_h, centre_w", "it has no extent"
    cases = listed(tmp_path, "\n".join([*rows, "2.nii.gz,,,,"]), PLACED)
    assert noted(cases, PLACED) == [[], [extent], [centre, extent]]
    cases, _ = list_cases([scans[0]], PLACED)
    assert noted(cases, PLACED) == [[centre, extent]]
    assert noted(cases, config("volume.extent=6")) == [[]]


def test_labels_are_not_used_and_that_is_said(tmp_path, scans, caplog):
    listed(tmp_path, "path,label\n0.nii.gz,\n1.nii.gz,\n")
    assert caplog.text == ""
    listed(tmp_path, "path,label,split\n0.nii.gz,benign,\n1.nii.gz,,holdout\n")
    assert "cases.csv are not used; --data FOLDER scores those of a set" in caplog.text


def test_a_table_is_given_alone(tmp_path, scans):
    listed(tmp_path, "path\n0.nii.gz\n")
    table = tmp_path / "cases.csv"
    for given in ([table, scans[1]], [scans[1], table], [table, table], [tmp_path, table]):
        with pytest.raises(InputError, match=r"must be given alone, got .*cases\.csv and 1 more"):
            list_cases(given, config())


def test_one_case_of_what_is_given(tmp_path, scans):
    assert only_case(scans[0], config()).paths == (scans[0],)
    with pytest.raises(InputError, match="must be one case, got a folder of 4"):
        only_case(tmp_path, config())
    with pytest.raises(InputError, match="takes 2 scans for each case"):
        only_case(scans[0], TWO)
    listed(tmp_path, "path\n0.nii.gz\n1.nii.gz\n")
    with pytest.raises(InputError, match="must be one case, got a table of 2"):
        only_case(tmp_path / "cases.csv", config())
