"""What was computed from a large file, remembered as long as the file stays as it is."""

import hashlib
import json
import os
from pathlib import Path

from lmttm.errors import RunError
from lmttm.storage import write_text


class Remembered:
    """Texts by name, which are forgotten once a file has another size or time.

    Args:
        file: What they were computed from.
        notes: The JSON file that holds them.
    """

    def __init__(self, file: Path, notes: Path) -> None:
        self.file = file
        self.notes = notes

    def stamp(self) -> str:
        """What tells that the file was replaced: its size and its time."""
        found = os.stat(self.file)
        return f"{found.st_size} {found.st_mtime_ns}"

    def get(self, name: str) -> str | None:
        """What was remembered; None where nothing was, or the file is another one since."""
        return self._known().get(name)

    def put(self, name: str, text: str) -> None:
        """Remembers a text; where it cannot be written, it is computed anew next time."""
        known = self._known() | {"stamp": self.stamp(), name: text}
        try:
            write_text(self.notes, json.dumps(known))
        except RunError:
            return

    def _known(self) -> dict[str, str]:
        try:
            known = json.loads(self.notes.read_text(encoding="utf-8"))
            stamp = self.stamp()
        except (OSError, ValueError):
            return {}
        if not isinstance(known, dict) or known.get("stamp") != stamp:
            return {}
        return {str(name): str(text) for name, text in known.items()}


def name_of(path: Path) -> str:
    """A short name for what is remembered of a path."""
    text = str(path.resolve()).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:32]
