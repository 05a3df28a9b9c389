"""Shows and checks scans before anybody trains.

python tools/prepare.py CONFIG scan.nii.gz folder/   what the model will see, as a picture
python tools/prepare.py CONFIG t1.nii.gz,t2.nii.gz   the same for a case of two scans
python tools/prepare.py CONFIG --check               all faults of a labelled set, in one table
python tools/prepare.py CONFIG --clear               removes the cache of prepared scans
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone that is not installed

import lmttm
from lmttm import cli
from lmttm.config.paths import as_path
from lmttm.config.schema import Config
from lmttm.storage import printable


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser(
        "Shows and checks scans before anybody trains.",
        runs=True,
        others="what to show: scans, folders, or the scans of a case with commas between; and "
        "key=value texts such as volume.axes=zyx",
    )
    parser.add_argument("--check", action="store_true", help="check the labelled set")
    parser.add_argument("--clear", action="store_true", help="remove the cache of prepared scans")
    parser.add_argument("--output", metavar="PNG", help="default: prepared.png")
    return cli.run(_prepare, parser, argv)


def _prepare(args: argparse.Namespace) -> int:
    overrides: list[str] = []
    paths = cli.without_overrides(args.overrides, overrides)
    if args.clear or args.check:
        option, others = ("--clear", args.check) if args.clear else ("--check", False)
        cli.refuse_beside(option, check=others, output=args.output)
        if paths:
            raise lmttm.InputError(f"scans are not shown with {option}, got {paths[0]}")
    if args.clear:
        from lmttm.data.cache import clear

        config = _config(args, overrides)
        print(f"the cache is removed: {clear(config.cache) / 1e6:.0f} MB")
        return 0
    if args.check:
        return _check(args, overrides)
    if not paths:
        raise lmttm.InputError("prepare needs scans to show, --check or --clear")
    return _show(args, overrides, paths)


def _config(args: argparse.Namespace, overrides: list[str]) -> Config:
    """That of a file, or that of a run, whose training has settled how scans are prepared."""
    if args.config.endswith(".json"):
        return lmttm.load_config(args.config, overrides)
    return lmttm.open_run(args.config, overrides).config


def _check(args: argparse.Namespace, overrides: list[str]) -> int:
    from lmttm.data.sources import check_set
    from lmttm.report import text

    findings, counts = check_set(_config(args, overrides))
    print(text.counts_table(counts))
    print(text.findings_table(findings.rows()))
    return 1 if findings.unreadable or findings.leaks else 0


def _show(args: argparse.Namespace, overrides: list[str], paths: list[str]) -> int:
    from lmttm.data.unlabelled import list_cases, prepare_all
    from lmttm.report import prepared, style

    config = _config(args, overrides)
    untrained = args.config.endswith(".json")
    cases, failures = list_cases(paths, config, untrained=untrained)
    found, unreadable = prepare_all(cases, config)
    failures |= unreadable
    if not config.volume.settled and config.volume.window is None:
        print("the window is each scan's own; a training settles one for all (volume.intensity)")
    for case, (_, notes) in found.items():
        print(f"{printable(case.title)}: {'; '.join(notes) or 'nothing remarkable'}")
    for message in failures.values():
        print(f"error: {message}", file=sys.stderr)
    if found:
        picture = as_path(args.output or "prepared.png")
        volumes = {printable(case.title): volume for case, (volume, _) in found.items()}
        style.save(picture, prepared.draw(volumes))
        print(f"written to {picture}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
