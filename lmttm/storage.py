"""Files that appear whole or not at all, and the checksums that tell."""

import contextlib
import errno
import hashlib
import os
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from lmttm.errors import InputError, RunError, os_error_in_words

_UNFINISHED = ".part"
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path to write to; it becomes `path` when the block ends well.

    Args:
        path: The file to make. Its folder must exist.

    Yields:
        A path in the same folder. On an error it is removed, and `path` stays as it was.

    Raises:
        InputError: The folder cannot be written to.
        RunError: The file cannot be written for another reason, such as a full disk.
    """
    temporary = None
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=_UNFINISHED
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes private files; a run's files follow the umask like any other.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        kind = InputError if error.errno in _NOT_ALLOWED else RunError
        raise kind(f"{path} cannot be written: {os_error_in_words(error)}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def raise_cause(path: Path, error: RuntimeError) -> NoReturn:
    """Raises the OSError behind a failed write of a library that does not tell it.

    Torch's writer answers a full disk with "unexpected pos 576 vs 534". Writing on in the same
    place brings the system's own error.

    Args:
        path: The file that was being written.
        error: What the library raised.
    """
    with path.open("ab") as file:
        file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())
    raise OSError(str(error))


def is_unfinished(path: Path) -> bool:
    """Whether a file is what a killed process left of `whole_file`."""
    return path.name.startswith(".") and path.name.endswith(_UNFINISHED)


def digest_of(path: Path, algorithm: str) -> str:
    """The checksum of a file, in hexadecimal digits.

    Args:
        path: The file.
        algorithm: A name that hashlib knows, such as sha256.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def printable(text: str | Path) -> str:
    """A path as one line that any file and terminal takes.

    Bytes that are no UTF-8 are escaped, and so are line feeds and what would command a terminal.
    """
    decoded = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if unicodedata.category(c) != "Cc" else repr(c)[1:-1] for c in decoded)


def shown(path: Path) -> str:
    """A path as people read it: from the working folder, where it lies in that."""
    here = Path.cwd()
    return printable(path.relative_to(here) if path.is_relative_to(here) else path)


def last_part(name: str) -> str:
    """Of a path its last part, for a title; a name without folders is whole."""
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or name


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8 by `whole_file`."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file by `whole_file`."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
