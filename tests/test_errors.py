"""Errors that end a command: their exit codes, and foreign texts cut to one line."""

import pytest

from lmttm.errors import InputError, RunError, one_line


def test_bad_input_and_a_stopped_run_have_their_own_exit_codes():
    """Scripts and schedulers tell by the code whether the same command is worth repeating."""
    assert (RunError.exit_code, InputError.exit_code) == (1, 2)
    assert issubclass(InputError, RunError)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\nsecond"), "first"),
        (KeyError(), "KeyError"),
        (OSError(""), "OSError"),
        (ValueError("x" * 500), "x" * 200),
        (ValueError("\nsecond"), "ValueError"),
    ],
)
def test_a_foreign_error_becomes_one_short_line(error, line):
    """Guards against a traceback's worth of text in an error message."""
    assert one_line(error) == line
