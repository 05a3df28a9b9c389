"""Signals: noted once, so that a step can end; acted upon the second time."""

import os
import signal
import threading

import pytest

from lmttm.errors import RunError
from lmttm.training.interrupt import Interrupted, interruption

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_the_work_is_finished(number):
    """Guards against a training that dies in the middle of a step, or of a save."""
    before = handlers()
    with interruption() as stop:
        assert stop.signal is None
        os.kill(os.getpid(), number)
        assert stop.signal == number
    assert handlers() == before


def test_a_second_signal_acts_as_ever():
    """Guards against a process that cannot be stopped while a step hangs."""
    before = handlers()

    def interrupted_twice():
        with interruption() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.signal == signal.SIGINT
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupted_twice()
    assert handlers() == before


def test_handlers_are_restored_after_an_error():
    before = handlers()
    with pytest.raises(ZeroDivisionError), interruption():
        1 / 0  # noqa: B018 - raises
    assert handlers() == before


def test_outside_the_main_thread_nothing_is_changed():
    """Guards against a training in a notebook's worker thread, where signals cannot be set."""
    seen = []

    def work():
        before = handlers()
        with interruption() as stop:
            seen.append((stop.signal, handlers() == before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, True)]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_exit_code_names_the_signal(number):
    """As a shell does: schedulers tell a stopped run by it from a failed one."""
    error = Interrupted(number, "stopped in epoch 2")
    assert isinstance(error, RunError)
    assert (str(error), error.exit_code, error.prefix) == ("stopped in epoch 2", 128 + number, "")
