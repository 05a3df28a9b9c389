"""train.py with a fault that strikes the last process of a team.

python -m tests.training.faulty FAULT MARK ..., followed by the arguments of train.py. The fault
strikes after three steps (a kill, of the second epoch), unless there is a file MARK: it makes one.
"""

import os
import signal
import sys
from pathlib import Path
from unittest.mock import patch

import torch

import train
from lmttm.errors import RunError
from lmttm.training import loop
from lmttm.training.trainer import Trainer
from tests.training.worker import no_pictures, small_phantoms

step = Trainer._step


def error(trainer):
    raise RunError("the disk of this process is on fire")


def not_finite(trainer):
    trainer.class_weights = torch.tensor([torch.nan, torch.nan])


FAULTS = {
    "error": error,
    "not_finite": not_finite,
    "signal": lambda trainer: os.kill(os.getpid(), signal.SIGTERM),
    "kill": lambda trainer: os.kill(os.getpid(), signal.SIGKILL),
}


def main(fault, mark, *argv):
    def stepped(trainer, *args):
        step(trainer, *args)
        last = trainer.team.rank == trainer.team.size - 1
        due = (trainer.epoch, trainer.steps_done) == (int(fault == "kill"), 3)
        if last and due and not mark.exists():
            mark.touch()
            FAULTS[fault](trainer)

    torch.set_num_threads(1)
    data = patch.object(loop, "load_dataset", small_phantoms)
    with patch.object(Trainer, "_step", stepped), no_pictures(), data:
        return train.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
