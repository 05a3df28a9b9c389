"""What a check of a set finds."""

from dataclasses import replace
from pathlib import Path

import torch

from lmttm.data.cache import Summary
from lmttm.data.checking import check, check_volumes
from lmttm.data.content import Content
from lmttm.data.dataset import Split
from lmttm.data.tables import Entry


def scan(name, split="train", patient="", digest="", pixels="", spacing=(1.0, 1.0, 1.0), note=""):
    entry = Entry((Path(name),), (name,), "0", split, patient, f"line {name}")
    content = Content(0, 9, two_valued=False)
    notes = (note,) if note else ()
    summary = Summary(name, digest or name, pixels or name, content, notes, (50, 60, 70), spacing)
    return entry, (summary,)


def findings(*scans, names=("a",)):
    entries, cases = zip(*scans, strict=True)
    return check(entries, [0] * len(entries), names, cases)


FULL = [scan("t"), scan("v", "val"), scan("s", "test")]


def test_nothing_is_found_in_a_set_without_faults():
    assert findings(*FULL).rows() == []


def test_one_scan_in_two_splits_is_a_leak_in_any_format():
    """Equal files, or equal voxels in a NIfTI and a DICOM."""
    found = findings(*FULL, scan("copy", "test", digest="t"), scan("dicom", "val", pixels="s"))
    assert found.leaks == [
        "t (line t) and copy (line copy) are one scan, in train and in test",
        "s (line s) and dicom (line dicom) are one scan, in test and in val",
    ]
    assert findings(*FULL, scan("copy", digest="t")).duplicates == [
        "t (line t) and copy (line copy) are one scan"
    ]


def test_a_patient_in_two_splits_is_a_leak():
    found = findings(*FULL, scan("x", "test", "p"), scan("y", "train", "p"), scan("z", "test", "q"))
    assert found.leaks == ["patient p has scans in train and test"]


def test_rows_without_the_place_that_others_have_are_noted():
    """Guards against an empty cell that makes the whole scan of what is a region in other rows."""
    pairs = [*FULL, scan("x")]
    entries = [replace(e, extent=None if e.name == "v" else 40.0) for e, _ in pairs]
    found = check(entries, [0] * 4, ("a",), [case for _, case in pairs])
    assert found.unusual == [
        "1 of 4 rows have no extent, as the others have, such as v (line v): their region is "
        "another"
    ]


def test_one_scan_with_two_labels_is_named_so():
    """Guards against a pair that is called one scan, without a word about what it teaches."""
    pairs = [scan("t"), scan("copy", digest="t"), scan("v", "val"), scan("s", "test", digest="v")]
    entries = [replace(e, label="ab"[n % 2]) for n, (e, _) in enumerate(pairs)]
    found = check(entries, [0, 1, 0, 1], ("a", "b"), [summary for _, summary in pairs])
    assert found.duplicates == ["t (line t) and copy (line copy) are one scan, labelled a and b"]
    assert found.leaks == [
        "v (line v) and s (line s) are one scan, labelled a and b, in val and in test"
    ]


def test_patients_that_differ_in_case_are_named():
    """Guards against one patient in two splits under two spellings."""
    found = findings(*FULL, scan("x", "test", "P1"), scan("y", "train", "p1 "), scan("z", "", "P2"))
    assert found.leaks == []
    assert found.unusual[0].startswith("the patients 'P1' and 'p1 ' differ in case or blanks only")


def test_missing_classes_and_unlike_geometry():
    found = findings(*FULL, scan("thick", spacing=(1.0, 1.0, 5.0), note="odd"), names=("a", "b"))
    assert found.missing == [f"b has no scan in the {s} split" for s in ("train", "val", "test")]
    assert found.unusual[0] == "thick has voxels of 1 x 1 x 5 mm, most have about 1 x 1 x 1 mm"
    assert found.unusual[-1] == "thick: odd"
    assert ("class", found.missing[0]) in found.rows()


def test_equal_volumes_without_files_of_their_own():
    """Guards against an npz file whose test split holds volumes of the training."""
    torch.manual_seed(0)
    images = torch.randint(256, (9, 4, 5, 6), dtype=torch.uint8)
    images[7] = images[1]  # test volume 1 is train volume 1
    images[5] = images[4]
    images[2] = images[8] = 0  # empty volumes are no copies of each other
    labels = torch.tensor([0, 1, 0] * 3)
    labels[3:6] = 0
    cuts = {"train": slice(0, 3), "val": slice(3, 6), "test": slice(6, 9)}
    splits = {name: Split(name, images[part], labels[part]) for name, part in cuts.items()}
    found = check_volumes(splits, ("a", "b"))
    assert found.leaks == ["volume 1 of train and volume 1 of test are one"]
    assert found.duplicates == ["volume 1 of val and volume 2 of val are one"]
    assert found.missing == ["b has no scan in the val split"]


def case(name, second, split="train", flat=(False, False)):
    """A case of two scans, with these contents."""
    entry = Entry((Path(name), Path(second)), (name, second), "0", split, "", f"line {name}")
    contents = [Content(0, 0 if part else 9, two_valued=False) for part in flat]
    return entry, tuple(
        Summary(part, part, part, content, (), (50, 60, 70), (1.0, 1.0, 1.0))
        for part, content in zip((name, second), contents, strict=True)
    )


def test_a_case_is_all_its_scans():
    """Guards against one mask of many cases that is taken for one case in two splits."""
    others = [case("t", "t2"), case("v", "v2", "val"), case("s", "s2", "test")]
    one_mask = [case("a", "empty"), case("b", "empty", "test", flat=(False, True))]
    assert findings(*others, *one_mask).rows() == []
    assert findings(*others, case("t", "mask 2")).rows() == []  # another mask of the same scan
    found = findings(*others, case("t", "t2"))
    assert found.duplicates == ["t,t2 (line t) and t,t2 (line t) are one case"]
    (leak,) = findings(*others, case("t", "mask 2", "val")).leaks
    assert leak == "t,t2 (line t) and t,mask 2 (line t) share a scan, in train and in val"


def test_scans_are_compared_with_those_of_their_own_column():
    """Guards against a coarse second scan that is reported for each case."""
    cases = [case(f"{n}", f"{n}b", split) for n, split in enumerate(("train", "val", "test") * 3)]
    coarse = [(e, (s[0], replace(s[1], spacing=(5.0, 5.0, 5.0)))) for e, s in cases]
    assert findings(*coarse).rows() == []
    entry, (first, second) = coarse[4]
    odd = [*coarse[:4], (entry, (first, replace(second, spacing=(1.0, 5.0, 5.0)))), *coarse[5:]]
    assert findings(*odd).unusual[0].startswith("4b has voxels of 1 x 5 x 5 mm, most have about 5")
