"""Stops a training cleanly on Ctrl-C or on a scheduler's signal."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from lmttm.errors import RunError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(RunError):
    """A signal stopped the run, which has saved its state; the exit code names the signal."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.prefix = ""
        self.number = number
        self.exit_code = 128 + number

    def with_hint(self, hint: str) -> "Interrupted":
        """The same error with a hint on how to continue."""
        return Interrupted(self.number, f"{self}; {hint}")


class Interruption:
    """Whether a signal to stop has arrived.

    Attributes:
        signal: The signal's number, or None.
    """

    signal: int | None = None


@contextlib.contextmanager
def interruption() -> Iterator[Interruption]:
    """Records SIGINT and SIGTERM instead of exiting, so that the current step can finish.

    A second signal has its usual effect. Outside the main thread, where signals do not arrive,
    nothing changes.
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
