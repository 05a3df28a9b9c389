"""The published spelling."""

import pytest

from lmttm.config.published import modernise
from lmttm.errors import InputError


def test_comments_go_at_any_depth():
    document = {"_note": 1, "all_models": ["a"], "model": {"_dim": 2, "dim": 3}}
    assert modernise(document) == ({"model": {"dim": 3}}, [])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"model": {"summerize_num_tokens": 4}}, {"model": {"summarize_num_tokens": 4}}),
        ({"train": {"gpu": "1"}}, {"device": "cuda:1"}),
        ({"train": {"load_memory_tokens": True}}, {"model": {"memory_start": "carried"}}),
        ({"train": {"load_memory_tokens": False}}, {"model": {"memory_start": "zeros"}}),
    ],
)
def test_keys_take_their_present_name(old, new):
    assert modernise(old)[0] == new


def test_the_present_key_beats_what_a_published_one_implies():
    assert modernise({"device": "cpu", "train": {"gpu": "0"}})[0] == {"device": "cpu"}


def test_each_key_without_a_meaning_is_named_once():
    document = {"log_dir": "x", "train": {"val_gap": 3, "input_H": 28}}
    content, dropped = modernise(document)
    assert content == {}
    assert [sentence.split(" is not used")[0] for sentence in dropped] == [
        "log_dir",
        "train.val_gap",
        "train.input_H",
    ]


def test_two_spellings_of_one_key_are_a_fault():
    with pytest.raises(InputError, match="given twice, in two spellings"):
        modernise({"model": {"summerize_num_tokens": 8, "summarize_num_tokens": 4}})
