"""Trains a machine: python train.py base.json [key=value ...] [--replace | --resume]."""

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F
from tqdm import tqdm

from lmttm import cli
from lmttm.config.files import load_config
from lmttm.config.schema import Config
from lmttm.data.dataset import Dataset, with_distances
from lmttm.data.sources import load_dataset
from lmttm.data.statistics import Statistics
from lmttm.device import enough_memory, make_deterministic, pick_device
from lmttm.errors import RunError
from lmttm.evaluation import metrics
from lmttm.evaluation.evaluate import evaluate
from lmttm.model.build import build_model
from lmttm.report import figures
from lmttm.report import text as report
from lmttm.report.tensorboard import TensorBoard
from lmttm.runs import checkpoint
from lmttm.runs import folder as run
from lmttm.runs.checkpoint import BEST, LAST, PREVIOUS, Checkpoint
from lmttm.training.checks import check
from lmttm.training.interrupt import Interrupted, Interruption, interruption
from lmttm.training.setup import make_trainer, settle, settle_precision, warn_of_jump
from lmttm.training.trainer import NotFinite, Trainer


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Trains a Linked Memory Token Turing Machine.")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--replace", action="store_true", help="start an existing run anew")
    again.add_argument("--resume", action="store_true", help="go on where the run stopped")
    return cli.run(_train, parser, argv)


def _train(args: argparse.Namespace) -> int:
    config = load_config(args.config, args.overrides)
    run.check_folder(config.run_dir, may_exist=args.replace or args.resume)
    device = pick_device(config.device)
    make_deterministic(config.seed)
    dataset = load_dataset(config)
    config = settle_precision(settle(config, dataset), device)
    model = build_model(config)
    check(config, dataset, model)
    print(report.summary(config, dataset, model, device))

    with run.held(config.run_dir), enough_memory(config.batch_size):
        last = run.latest(config) if args.resume else None
        run.start(config, going_on=last is not None)
        trainer = make_trainer(config, dataset.splits["train"], model.to(device))
        history = _go_on(last, config, trainer) if last else []
        if run.is_over(config, history):
            print(f"{config.run_dir} is finished: {trainer.epoch} epochs are done")
            return 0
        command = " ".join([args.config, *args.overrides])
        with interruption() as asked:
            try:
                _fit(config, dataset, trainer, history, asked)
            except NotFinite as error:
                error.write(config.run_dir / "not_finite.json")
                raise
        if asked.signal and not run.is_over(config, history):
            steps = f"epoch {trainer.epoch + 1}, step {trainer.steps_done}"
            text = f"stopped in {steps}; go on with: python train.py {command} --resume"
            raise Interrupted(asked.signal, text)
    best = run.best_of(config, history)
    print(
        f"{config.train.keep} epoch {best['epoch']}: "
        f"validation AUC {report.number(best['val_auc'])}, ACC {report.number(best['val_acc'])}\n"
        f"score it: python predict.py {command}"
    )
    return 0


def _go_on(last: Checkpoint, config: Config, trainer: Trainer) -> list[dict[str, Any]]:
    """Puts the trainer where the run stopped; returns the records of its epochs."""
    trainer.model.load_state_dict(last.weights)
    trainer.load_state_dict(last.training["trainer"])
    num_volumes = len(trainer.split)
    steps = trainer.epoch * -(-num_volumes // config.batch_size) + trainer.steps_done
    warn_of_jump(last.config, config, num_volumes, steps)
    if trainer.epoch:
        print(f"going on after epoch {trainer.epoch}, step {trainer.steps_done}")
    return last.training["history"]


def _fit(
    config: Config,
    dataset: Dataset,
    trainer: Trainer,
    history: list[dict[str, Any]],
    asked: Interruption,
) -> None:
    """Trains to the last epoch, or until a signal asks to stop."""
    folder, num_epochs = config.run_dir, config.train.epoch
    val = with_distances(dataset.splits["val"], config).to(trainer.device)
    looks = asdict(Statistics.of(dataset.splits["train"].images))
    save = partial(checkpoint.save, config=config)
    best = run.best_of(config, history)

    def save_last() -> None:
        save(
            folder / LAST,
            model=trainer.model,
            epoch=trainer.epoch,
            validation=history[-1] if history else {},
            training={"trainer": trainer.state_dict(), "history": history},
            previous=folder / PREVIOUS,
        )

    def after_step() -> bool:
        every = config.train.save_every
        if asked.signal or (every and trainer.steps_done % every == 0):
            save_last()
        return asked.signal is not None

    progress = sys.stderr.isatty()
    board = TensorBoard(folder / "tensorboard", trainer.epoch + 1)
    with (
        contextlib.closing(board),
        tqdm(
            total=num_epochs,
            initial=trainer.epoch,
            desc="epochs",
            unit="epoch",
            dynamic_ncols=True,
            disable=not progress,
        ) as bar,
    ):
        while not (run.is_over(config, history) or asked.signal):
            started = time.perf_counter()
            loss = trainer.train_epoch(after_step, progress=progress)
            if loss is None:
                return
            record = {"epoch": trainer.epoch, "lr": trainer.lr, "train_loss": loss}
            record |= _validate(trainer.model_to_keep, val, config)
            record["seconds"] = round(time.perf_counter() - started, 3)
            record["best"] = best is None or run.rank(config, record) > run.rank(config, best)
            history.append(record)
            if record["best"]:
                best = record
                kept = trainer.model_to_keep
                save(
                    folder / BEST,
                    model=kept,
                    epoch=trainer.epoch,
                    validation=record,
                    statistics=looks,
                )
            save_last()
            run.write_log(folder, history)
            board.add(record)
            bar.update()
            bar.set_postfix(val_auc=report.number(best["val_auc"]), refresh=False)
            tqdm.write(report.epoch_line(record, num_epochs))
        picture = figures.curves(history)
        figures.save(folder / "curves.png", picture)
        board.add_figure("curves", picture)


def _validate(model: torch.nn.Module, split: Any, config: Config) -> dict[str, float | None]:
    logits = evaluate(model, split, batch_size=config.batch_size)
    if not logits.isfinite().all():
        raise RunError("the outputs for the validation split are not finite; lower train.lr")
    labels = split.labels.cpu()
    scores = metrics.score(labels.numpy(), logits.double().softmax(dim=1).numpy())
    return {
        "val_loss": F.cross_entropy(logits, labels).item(),
        "val_auc": scores["auc"],
        "val_acc": scores["acc"],
        "val_balanced_acc": scores["balanced_acc"],
    }


if __name__ == "__main__":
    sys.exit(main())
