"""Threads of a command: as many as the process may use, and patient ones."""

import os
import subprocess
import sys

import pytest

from lmttm.process import keep_freed_memory, limit_threads


@pytest.fixture
def environment(monkeypatch):
    """No choice of the user's own; whatever the test sets is taken back."""
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "to be restored")
        monkeypatch.delenv(name)
    return monkeypatch


def test_spinning_is_limited_unless_the_user_decides(environment):
    """Two programs on two cores took up to ten times as long, since waiting threads spun."""
    limit_threads()
    assert os.environ["GOMP_SPINCOUNT"] == "3000"
    environment.setenv("GOMP_SPINCOUNT", "3")
    limit_threads()
    assert os.environ["GOMP_SPINCOUNT"] == "3"


def test_a_waiting_policy_of_the_user_is_kept(environment):
    environment.setenv("OMP_WAIT_POLICY", "PASSIVE")
    limit_threads()
    assert "GOMP_SPINCOUNT" not in os.environ


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_threads_are_those_that_the_process_may_use():
    """A process that may use one core must not start a thread for each core of the machine."""
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{one}])\n"
        "from lmttm.process import keep_freed_memory, limit_threads; limit_threads()\n"
        "import torch; print(torch.get_num_threads())"
    )
    clean = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["1"]


def test_memory_is_left_as_it_is_on_other_systems(monkeypatch):
    """Guards against a call into a C library that has no such function."""

    def loaded(_):
        raise AssertionError("the C library was loaded")

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("ctypes.CDLL", loaded)
    keep_freed_memory()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
def test_freed_memory_is_kept_where_the_c_library_can(monkeypatch):
    """Both settings, with and without the function that takes them."""
    calls = []
    for library in ({"mallopt": lambda *given: calls.append(given)}, {}):
        monkeypatch.setattr("ctypes.CDLL", lambda _, found=library: type("C", (), found))
        keep_freed_memory()
    assert calls == [(-3, 2**30), (-1, -1)]
