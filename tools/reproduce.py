"""Repeats a row of the README's tables: python tools/reproduce.py adrenalmnist3d [key=value ...].

Without a row it lists them; --all repeats the whole table. --seeds 0 repeats one seed only. The
same command continues what was interrupted, and keeps finished seeds.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone that is not installed

from tqdm import tqdm

from lmttm import cli
from lmttm.errors import InputError

if TYPE_CHECKING:
    from lmttm.sweeps.reproduce import Comparison


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 1 where a score lies outside its interval."""
    parser = argparse.ArgumentParser(description="Repeats rows of the README's tables.")
    parser.add_argument("row", nargs="?", help="a row; without one the rows are listed")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="such as root=data device=cpu"
    )
    parser.add_argument("--all", action="store_true", help="repeat all rows")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[], help="default: the committed ones"
    )
    parser.add_argument(
        "--replace", action="store_true", help="start seeds anew that are begun or finished"
    )
    return cli.run(_reproduce, parser, argv)


def _reproduce(args: argparse.Namespace) -> int:
    from lmttm.sweeps import reproduce
    from lmttm.training.interrupt import Interrupted

    known = reproduce.rows()
    if args.all and args.row and "=" not in args.row:
        raise InputError(f"--all repeats all rows, got {args.row} beside it")
    texts = [text for text in [args.row, *args.overrides] if text and "=" in text]
    if args.row and "=" not in args.row and args.row not in known:
        raise InputError(f"there is no row {args.row}; there are {', '.join(known)}")
    if args.replace and not (args.all or args.row in known):
        raise InputError("--replace needs a row, or --all")
    chosen = list(known.values()) if args.all else [known[args.row]] if args.row in known else []
    for row in chosen or known.values():
        seeds = args.seeds or sorted(row.committed)
        count = "1 seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
        print(f"{row.name:<24} {count}, about {row.minutes * len(seeds):.0f} minutes")
    if args.all:
        total = sum(row.minutes * len(args.seeds or row.committed) for row in chosen)
        print(f"about {total / 60:.1f} hours on a CPU")
    agree = True
    for row in chosen:
        try:
            found = reproduce.reproduce(
                row,
                texts,
                seeds=args.seeds,
                replace=args.replace,
                report=tqdm.write,
                progress=sys.stderr.isatty(),
            )
        except Interrupted as stop:
            without = " without --replace" if args.replace else ""
            raise stop.with_hint(f"the same command{without} continues it") from None
        for part in found:
            agree = agree and part.agrees is not False
            print(f"{row.name} {_line(part)}")
    return 0 if agree else 1


def _line(part: "Comparison") -> str:
    text = f"{part.score.upper()} {part.found:.3f}, committed {part.committed:.3f}"
    if part.interval is None:
        return f"{text} (no interval: one seed, or all seeds alike)"
    low, high = part.interval
    verdict = "agrees" if part.agrees else "DIFFERS"
    return f"{text}, expected from {low:.3f} to {high:.3f}: {verdict}"


if __name__ == "__main__":
    sys.exit(main())
