"""Starts the processes of a team, as torch's launcher would, which takes seconds to do so.

They are forked from a server that has imported everything once: imports would take most of the
time.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any
from unittest.mock import patch

from torch.distributed import TCPStore

ROOT = Path(__file__).resolve().parents[2]
_LIMIT = 300  # seconds
_CONTEXT = multiprocessing.get_context("forkserver")


def processes(
    size: int, folder: Path, function: Callable[..., int | None], *arguments: Any
) -> tuple[list[int | None], list[str]]:
    """Calls a function of a module in each process of a team.

    Args:
        size: Processes.
        folder: Where their outputs go.
        function: What each calls; what it returns is the exit code.
        *arguments: Of the function.

    Returns:
        The exit codes, and what each has written to stderr.
    """
    _CONTEXT.set_forkserver_preload(["tests.training.worker", "tests.training.faulty"])
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with patch.dict(os.environ, PYTHONPATH=path):
        forkserver.ensure_running()
    # In this process, as in the launcher's: a process that ends must not take the store with it.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    texts = [folder / f"process-{rank}-of-{size}.txt" for rank in range(size)]
    started = []
    for rank, text in enumerate(texts):
        place = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RUN_ID": "test",
        }
        process = _CONTEXT.Process(target=_process, args=(place, text, function, arguments))
        process.start()
        started.append(process)
    for process in started:
        process.join(_LIMIT)
        if process.is_alive():
            process.kill()
    return [process.exitcode for process in started], [text.read_text() for text in texts]


def _process(
    place: dict[str, str], text: Path, function: Callable[..., int | None], arguments: Any
) -> None:
    os.environ.update(place)
    with text.open("w") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(function(*arguments))
