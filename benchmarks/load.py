"""A competing load for the cores: a second process that trains on command.

python benchmarks/load.py base.json [key=value ...]

The benchmarks start it themselves (`throughput.py --busy`). It takes the lines `run` and `pause`
from its standard input, and ends where that ends: also after a benchmark that was killed.
"""

import argparse
import contextlib
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.errors import RunError


class Load:
    """Controls the process: when it runs and when it pauses."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The load runs during the block, and has paused behind it."""
        self.tell("run")
        yield
        self.tell("pause")

    def tell(self, word: str) -> None:
        """Sends a word and waits until it is obeyed."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()
        self.hear(word)

    def hear(self, word: str) -> None:
        """Waits for a word.

        Raises:
            RunError: The process has ended.
        """
        assert self.process.stdout is not None
        if self.process.stdout.readline() != f"{word}\n":
            raise RunError("the competing load has ended, so that its figures would be free ones")


@contextlib.contextmanager
def competing(arguments: Sequence[str], script: Path = Path(__file__)) -> Iterator[Load]:
    """Starts a load, paused; it ends with the block, however that ends.

    Args:
        arguments: A configuration and overrides. The threads are those of this process: both
            read them from the environment.
        script: What takes them and calls `obey`.

    Yields:
        The load, which has trained a step.
    """
    # A session of its own: Ctrl-C reaches the benchmark alone, and that ends its load.
    with subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            load = Load(process)
            load.hear("ready")
            yield load
        finally:
            process.kill()
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # of a word that the process did not take
                process.stdin.close()


def obey(step: Callable[[], object]) -> None:
    """Takes steps between the lines `run` and `pause` of the standard input, until that ends."""
    print("ready", flush=True)
    while sys.stdin.readline():
        print("run", flush=True)
        # Each line is answered before the next is sent, so that none waits in Python's buffer.
        while not select.select([sys.stdin], [], [], 0)[0]:
            step()
        if sys.stdin.readline():
            print("pause", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return cli.run(_train, cli.parser("Trains on command, as a competing load."), argv)


def _train(args: argparse.Namespace) -> int:
    from measuring import form, trainer_of

    from lmttm.device import pick_device

    config = load_config(args.config, args.overrides)
    trainer = trainer_of(form(config, fast=True, precision="auto"), pick_device(config.device))
    trainer.train_epoch()
    obey(trainer.train_epoch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
