"""Labels: numbers or words, and what cannot be meant."""

from pathlib import Path

import pytest

from lmttm.data.labels import labels_by, labels_of
from lmttm.data.tables import Entry
from lmttm.errors import InputError


def labelled(*labels):
    return [
        Entry((Path(str(row)),), ("",), label, "", "", f"line {label}")
        for row, label in enumerate(labels)
    ]


def test_labels_are_numbers_or_words():
    assert labels_of(labelled("0", "2", "1.0")) == ([0, 2, 1], ("class 0", "class 1", "class 2"))
    names = ("benign", "malignant")
    assert labels_of(labelled("malignant", "benign", "benign")) == ([1, 0, 0], names)
    assert labels_of(labelled("-1", "+1"))[1] == ("+1", "-1")


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (("0", "benign"), "must be all numbers"),
        (("Benign", "benign", "x"), "'Benign' and 'benign' differ in case"),
        (("a  b", "a b"), "differ in case or blanks"),
        (("benign", "benign\u200b"), r"'benign' and 'benign\\u200b' differ"),
        (("\uff21", "A"), "differ in case or blanks"),  # a wide letter
        (("Straße", "STRASSE"), "differ in case or blanks"),
        (("benign", "benign"), "at least two classes, got only benign"),
        (("0", "0"), "at least two classes, got only class 0"),
    ],
)
def test_labels_that_cannot_be_meant(labels, told):
    with pytest.raises(InputError, match=told):
        labels_of(labelled(*labels))


def test_labels_follow_the_order_of_given_classes():
    """Guards against classes that another set numbers anew, by alphabet or without one."""
    assert labels_by(labelled("a", "c"), ("c", "b", "a")) == [2, 0]
    assert labels_by(labelled("2", "1.0", "0"), ("class 0", "class 1", "class 2")) == [2, 1, 0]
    with pytest.raises(InputError, match=r"2 faults:\n- line d: the label d is no class"):
        labels_by(labelled("d", "c", "0"), ("c", "b", "a"))
    with pytest.raises(InputError, match=r"the label 3 is no class of the run \(0, 1, 2\)"):
        labels_by(labelled("3", "1"), ("class 0", "class 1", "class 2"))
