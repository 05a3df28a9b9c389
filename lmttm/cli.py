"""What the commands have in common: a configuration, overrides, and errors as sentences."""

import argparse
import errno
import io
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from lmttm.errors import InputError, RunError, os_error_in_words
from lmttm.process import keep_freed_memory, limit_threads
from lmttm.storage import printable


def parser(
    description: str, *, runs: bool = False, subject: str = "", others: str = ""
) -> argparse.ArgumentParser:
    """A parser that takes a configuration and `key=value` overrides.

    Args:
        description: What the command does.
        runs: Whether the folder of a run may take the place of the configuration.
        subject: What the first argument names; empty for a configuration, or a run.
        others: What the other arguments are; empty for overrides alone.
    """
    result = argparse.ArgumentParser(
        description=description,
        epilog="config/base.json lists all keys with their defaults, docs/configuration.md says "
        "what each means.",
    )
    subject = subject or "a file of config/, such as base.json, or a path"
    examples = "such as train.epoch=3 device=cpu"
    if runs:
        subject += "; or the folder of a run (runs/demo), or shipped weights (vesselmnist3d_28)"
        examples = "such as device=cpu batch_size=8 output_dir=runs"
    result.add_argument("config", help=subject)
    result.add_argument(
        "overrides",
        nargs="*",
        default=[],  # or argparse calls them required where the configuration is missing
        metavar="SCAN or key=value" if others else "key=value",
        help=others or examples,
    )
    return result


def numbers(count: int) -> Callable[[str], str]:
    """Checks the text of an option that holds this many numbers, such as 1.5,2; 0: any text."""

    def check(text: str) -> str:
        try:
            values = [float(part) for part in text.split(",")]
        except ValueError:
            values = []
        if count and (len(values) != count or not all(map(math.isfinite, values))):
            raise argparse.ArgumentTypeError(f"must be {count} numbers, got {text}")
        return text

    return check


def refuse_beside(option: str, **others: object) -> None:
    """Refuses options that have no effect beside another one.

    Args:
        option: The option that was given.
        **others: What else was given, by the option's name; empty or False where it was not.

    Raises:
        InputError: One of them was given.
    """
    for name, value in others.items():
        if value:
            raise InputError(f"--{name.replace('_', '-')} has no effect with {option}")


def without_overrides(texts: Sequence[str], overrides: list[str]) -> list[str]:
    """The texts that are no `key=value`; those that are go to the overrides.

    Of `--input a.nii b.nii device=cpu` argparse takes the override for a third scan. A file that
    is there is no override, whatever its name.
    """
    others = [text for text in texts if "=" not in text or os.path.exists(text)]
    overrides += [text for text in texts if text not in others]
    return others


def run(
    command: Callable[[argparse.Namespace], int],
    arguments: argparse.ArgumentParser,
    argv: Sequence[str] | None,
) -> int:
    """Parses and runs; what stops a run becomes one sentence on stderr.

    Args:
        command: The work; returns an exit code.
        arguments: The parser.
        argv: Arguments, or None for those of the process.

    Returns:
        The exit code: 0, 1 for a run that had to stop, 2 for input that cannot be used,
        130 when interrupted, 141 when nobody reads the output any more.
    """
    log_to(sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a letter that a terminal lacks is escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    parsed = arguments.parse_intermixed_args(argv)
    keep_freed_memory()
    limit_threads()
    try:
        code = command(parsed)
        sys.stdout.flush()
        return code
    except RunError as error:
        if text := f"{error.prefix}{error}":
            print("\n".join(map(printable, text.split("\n"))), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # such as behind `| head`
        # Python would complain at its exit, when it writes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{os_error_in_words(error)}", file=sys.stderr)
        return 1


def log_to(stream: TextIO) -> None:
    """Sends warnings to a stream, each as one line."""
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=stream, force=True)
