"""What can go wrong in a run, as sentences for the person who started it."""


class RunError(Exception):
    """A run that had to stop; its text is one sentence that says what to do."""

    exit_code = 1
    prefix = "error: "


class InputError(RunError):
    """Something that the user gave (a file, a key, a value) can not be used."""

    exit_code = 2
