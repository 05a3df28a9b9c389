"""A training that is asked to stop: Ctrl-C, or the signal of a scheduler."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from lmttm.errors import RunError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(RunError):
    """The run was asked to stop and has saved its state; the exit code names the signal."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.prefix = ""
        self.number = number
        self.exit_code = 128 + number

    def with_hint(self, hint: str) -> "Interrupted":
        """The same with a hint how to continue."""
        return Interrupted(self.number, f"{self}; {hint}")


class Interruption:
    """Whether a signal to stop has come.

    Attributes:
        signal: The signal's number, or None.
    """

    signal: int | None = None


@contextlib.contextmanager
def interruption() -> Iterator[Interruption]:
    """Notes SIGINT and SIGTERM instead of dying of them, so that the step can be finished.

    A second signal acts as ever. Outside the main thread, where signals do not arrive,
    nothing is changed.
    """
    state = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield state
        return
    former = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    def note(number: int, _: object) -> None:
        state.signal = number
        restore()

    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield state
    finally:
        restore()
