"""Repeats a whole comparison: python sweep.py memory_size.json [key=value ...] [--test]."""

import argparse
import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

import predict
import train
from lmttm import cli
from lmttm.config.files import load_config
from lmttm.errors import InputError
from lmttm.report.sweep_figure import sweep_figure
from lmttm.storage import write_text
from lmttm.sweeps import plan as sweep
from lmttm.sweeps.plan import Trial
from lmttm.sweeps.tables import collect, to_csv, to_markdown

ROOT = Path(__file__).resolve().parent


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Runs every trial of a sweep and writes its tables.")
    parser.description += (
        " The file is looked up in config/sweeps/; base=demo.json changes its base."
    )
    parser.add_argument("--test", action="store_true", help="score the test split as well")
    parser.add_argument(
        "--folds",
        type=_folds,
        default=0,
        metavar="K",
        help="cross-validate each trial over K parts of training + validation split",
    )
    parser.add_argument("--ray", action="store_true", help="run the trials on a Ray cluster")
    parser.add_argument(
        "--gpus-per-trial",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="with --ray: share of a GPU for each trial, such as 0.25 (default: 0, the CPU)",
    )
    return cli.run(_sweep, parser, argv)


def _sweep(args: argparse.Namespace) -> int:
    base = [text.removeprefix("base=") for text in args.overrides if text.startswith("base=")]
    overrides = [text for text in args.overrides if not text.startswith("base=")]
    path = sweep.find_sweep(args.config)
    plan = sweep.load_sweep(path, base[-1] if base else None)
    folder = Path(load_config(plan.base, overrides).output_dir).absolute() / path.stem
    trials = sweep.make_trials(plan, overrides, str(folder), args.folds)
    costs = {trial.name: _cost(trial) for trial in trials}
    splits = ["val", "test"] if args.test else ["val"]
    open_trials = [c for c in trials if not all(sweep.is_finished(c, split) for split in splits)]
    _make_folder(folder / "logs")
    print(f"{len(trials)} trials, {len(trials) - len(open_trials)} of them finished; {folder}")

    run = _on_ray if args.ray else _one_by_one
    failures, interrupted = {}, False
    with tqdm(
        total=len(trials), initial=len(trials) - len(open_trials), unit="trial", dynamic_ncols=True
    ) as bar:
        for name, code, error in run(plan.base, open_trials, splits, args.gpus_per_trial):
            interrupted = code == 130
            if interrupted:
                break
            if code:
                failures[name] = error
            bar.update()

    rows = collect(trials, splits, costs)
    axes = list(trials[0].labels)
    write_text(folder / "results.csv", to_csv(rows))
    if rows:
        table = to_markdown(rows, axes, splits)
        write_text(folder / "results.md", table)
        sweep_figure(folder / "results.png", rows, axes, f"{splits[-1]}_auc")
        print(f"\n{table}\nwritten to {folder}: results.csv, results.md, results.png")
    for name, error in failures.items():
        print(f"trial {name} failed: {error} (see {folder / 'logs' / name}.log)", file=sys.stderr)
    if interrupted:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 1 if failures else 0


def _folds(text: str) -> int:
    if not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 2, got {text}")
    return int(text)


def _cost(trial: Trial) -> tuple[int, float]:
    try:
        return sweep.cost(trial.config)
    except (InputError, ValueError, RuntimeError) as error:
        raise InputError(f"trial {trial.name} can not be built: {error}") from None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the sweep's folder {folder} can not be made: {error.strerror}") from None


Outcome = tuple[str, int, str]  # the trial's name, its exit code, its error


def _one_by_one(base: str, trials: list[Trial], splits: list[str], _: float) -> Iterator[Outcome]:
    for trial in trials:
        yield run_trial(base, trial, splits)


def _on_ray(base: str, trials: list[Trial], splits: list[str], gpus: float) -> Iterator[Outcome]:
    """Trials as Ray tasks; every machine of the cluster must see the same folders."""
    try:
        import ray
    except ImportError:
        raise InputError("--ray needs Ray: pip install 'lmttm[ray]'") from None

    # Workers import this file from where it lies and write where the driver would.
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    ray.init(log_to_driver=False, logging_level=logging.ERROR, runtime_env=environment)
    try:
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_run_in)
        waiting = {remote.remote(os.getcwd(), base, trial, splits): trial for trial in trials}
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            trial = waiting.pop(done)
            try:
                yield ray.get(done)
            except ray.exceptions.RayError as error:
                yield trial.name, 1, str(error).splitlines()[0]
    finally:
        ray.shutdown()


def _run_in(folder: str, base: str, trial: Trial, splits: list[str]) -> Outcome:
    os.chdir(folder)
    return run_trial(base, trial, splits)


def run_trial(base: str, trial: Trial, splits: list[str]) -> Outcome:
    """Trains a trial and scores it as ordinary runs; what they print goes to its log."""
    folder = trial.config.run_dir
    log = folder.parent / "logs" / f"{trial.name}.log"
    command = [base, *trial.overrides]
    mode = "--resume" if sweep.is_begun(trial) else "--replace"
    try:
        with (
            log.open("w", encoding="utf-8") as file,
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
        ):
            code = train.main([*command, mode])
            for split in splits:
                code = code or predict.main([*command, "--split", split])
    except Exception as error:  # one broken trial must not end the sweep
        with log.open("a", encoding="utf-8") as file:
            traceback.print_exc(file=file)
        return trial.name, 1, f"{type(error).__name__}: {error}"
    finally:
        cli.log_to(sys.stderr)  # the runs logged to the file that is closed now
    errors = [line for line in log.read_text(encoding="utf-8").splitlines() if "error:" in line]
    return trial.name, code, errors[-1].removeprefix("error: ") if errors else ""


if __name__ == "__main__":
    sys.exit(main())
