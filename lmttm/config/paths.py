"""Paths as people write them: with `~`, with variables, and sometimes impossible ones."""

import os
import re
from pathlib import Path

from lmttm.errors import InputError

_LONGEST_NAME, _LONGEST_PATH = 255, 4000  # bytes, on the usual file systems


def expanded(path: str) -> str:
    """A path with `~` and `$VARIABLES` replaced by what they stand for.

    Args:
        path: As somebody wrote it.

    Returns:
        The path.

    Raises:
        ValueError: It names a variable that is not set, or no file system can have such a path.
    """
    text = os.path.expandvars(os.path.expanduser(path))
    if unset := re.search(r"\$\{?([A-Za-z_]\w*)\}?", text):
        raise ValueError(f"must not name a variable that is not set, got {unset[1]} in {path!r}")
    if "\0" in text or not text.strip():
        raise ValueError(f"must be a path, got {path!r}")
    size = len(os.fsencode(text))
    longest = max(len(os.fsencode(part)) for part in re.split(r"[/\\]", text))
    if size > _LONGEST_PATH or longest > _LONGEST_NAME:
        raise ValueError(
            f"must be at most {_LONGEST_PATH} bytes long and each name in it {_LONGEST_NAME}, "
            f"got {size} bytes, {longest} in one name: {text[:60]}..."
        )
    return text


def as_path(given: str | Path) -> Path:
    """A path that somebody gave: as it is where it exists, else expanded.

    Args:
        given: As it was written.

    Returns:
        The path; it need not exist.

    Raises:
        InputError: No file system can have such a path, or it names a variable that is not set.
    """
    path = Path(given)
    try:
        if path.exists():
            return path
    except (OSError, ValueError):  # such as a name that is too long; `expanded` says so
        pass
    try:
        return Path(expanded(os.fspath(given)))
    except ValueError as error:
        raise InputError(f"a path {error}") from None
