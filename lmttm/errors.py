"""What can go wrong in a run, as sentences for the person who started it."""

import errno


class RunError(Exception):
    """A run that had to stop; its text is one sentence that says what to do."""

    exit_code = 1
    prefix = "error: "


def one_line(error: Exception) -> str:
    """The first line of a foreign error's text, or its kind where it has none."""
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__


def os_error_in_words(error: OSError) -> str:
    """What the system says of an error; of a full disk in plain words."""
    said = error.strerror or str(error)
    words = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
    return f"{words[error.errno]} ({said})" if error.errno in words else said


class InputError(RunError):
    """Something that the user gave (a file, a key, a value) cannot be used."""

    exit_code = 2
