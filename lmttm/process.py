"""What a command sets for its process before torch is loaded: threads and memory."""

import ctypes
import os
import sys


def limit_threads() -> None:
    """Makes OpenMP use the cores that the process may use, and share them when they are busy.

    GNU OpenMP's threads spin while they wait, by default for so long that two programs with
    two threads each on two cores take ten times as long. Spinning for less costs a training on
    free cores some percent, and one beside a load gains more (docs/performance.md). And it starts a
    thread for each core of the machine, whatever share of them a container was given. A choice
    of the user's own is kept. Works only before torch is imported.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    if "OMP_NUM_THREADS" not in os.environ:
        from joblib import cpu_count  # respects affinity and the limits of cgroups

        os.environ["OMP_NUM_THREADS"] = str(cpu_count(only_physical_cores=False))


def keep_freed_memory() -> None:
    """Keeps memory that tensors on the CPU no longer need for the tensors to come.

    The C library of Linux hands each large block back to the system, which clears it page by
    page for the next tensor: a fifth of a training step. Other systems are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # not in every C library
        mallopt(-3, 2**30)  # M_MMAP_THRESHOLD: smaller blocks come from the heap, ...
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: ... which never shrinks
