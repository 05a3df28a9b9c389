"""Trains a machine: python train.py base.json [key=value ...] [--replace | --resume]."""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from tqdm import tqdm

from lmttm import checkpoint, cli, engine, metrics, report
from lmttm.augment import Augment
from lmttm.config import Config, differences, load_config, to_json
from lmttm.data import load_dataset, prepare
from lmttm.device import make_deterministic, pick_device
from lmttm.errors import InputError
from lmttm.model import build_model
from lmttm.storage import write_text

# What may differ when a run goes on: how long, and where things are.
_FREE_ON_RESUME = {"train.epoch", "device", "root", "output_dir"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = cli.parser("Trains a Linked Memory Token Turing Machine.")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--replace", action="store_true", help="start an existing run anew")
    again.add_argument("--resume", action="store_true", help="go on from the run's last epoch")
    return cli.run(_train, parser, argv)


def _train(args: argparse.Namespace) -> int:
    config = load_config(args.config, args.overrides)
    last = _last_checkpoint(config, args)
    if last and last.epoch >= config.train.epoch:
        print(f"{config.run_dir} is finished: {last.epoch} epochs are done")
        return 0
    device = pick_device(config.device)
    make_deterministic(config.seed)
    dataset = load_dataset(config)
    model = build_model(config)
    train = config.train
    print(report.summary(config, dataset, model, device))

    model.to(device)
    optimizer = engine.make_optimizer(
        model, name=train.optimizer, lr=train.lr, weight_decay=train.weight_decay
    )
    splits = {name: dataset.splits[name].to(device) for name in ("train", "val")}
    num_steps = -(-len(splits["train"]) // config.batch_size)
    train_epoch = partial(
        engine.train_epoch,
        model,
        splits["train"],
        prepare=partial(prepare, config=config),
        augment=Augment(**config.augment.model_dump()),
        optimizer=optimizer,
        lr_at=partial(
            engine.learning_rate,
            lr=train.lr,
            warmup_steps=train.warmup_steps,
            total_steps=train.epoch * num_steps,
            schedule=train.schedule,
        ),
        seed=config.seed,
        batch_size=config.batch_size,
        clip_norm=train.clip_norm,
        progress=sys.stderr.isatty(),
    )
    history = _start_folder(config, last)
    best = None
    if last:
        best = last.training["best"]
        _restore(last, model, optimizer)
        print(f"going on after epoch {last.epoch}")

    first = last.epoch if last else 0
    board = None
    with tqdm(
        total=train.epoch,
        initial=first,
        desc="epochs",
        unit="epoch",
        dynamic_ncols=True,
        disable=not sys.stderr.isatty(),
    ) as bar:
        for epoch in range(first, train.epoch):
            started = time.perf_counter()
            train_loss = train_epoch(epoch=epoch)
            record = {"epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"]}
            record["train_loss"] = train_loss
            record |= _validate(model, splits["val"], config)
            record["seconds"] = round(time.perf_counter() - started, 3)
            record["best"] = best is None or _rank(record) > _rank(best)
            keep = partial(
                checkpoint.save, config=config, model=model, epoch=epoch + 1, validation=record
            )
            if record["best"]:
                best = record
                keep(config.run_dir / checkpoint.BEST)
            keep(config.run_dir / checkpoint.LAST, training=_state(optimizer, best))
            history.append(record)
            write_text(config.run_dir / "log.jsonl", "".join(json.dumps(r) + "\n" for r in history))
            board = board or report.TensorBoard(config.run_dir / "tensorboard", epoch + 1)
            board.add(record)
            bar.update()
            bar.set_postfix(val_auc=report.number(best["val_auc"]), refresh=False)
            tqdm.write(report.epoch_line(record, train.epoch))
    board.close()
    print(
        f"best epoch {best['epoch']}: validation AUC {report.number(best['val_auc'])}, "
        f"ACC {report.number(best['val_acc'])}\n"
        f"score it: python predict.py {' '.join([args.config, *args.overrides])}"
    )
    return 0


def _validate(model: torch.nn.Module, split: Any, config: Config) -> dict[str, float | None]:
    logits = engine.evaluate(
        model, split, prepare=partial(prepare, config=config), batch_size=config.batch_size
    )
    labels = split.labels.cpu()
    scores = metrics.score(labels.numpy(), logits.double().softmax(dim=1).numpy())
    return {
        "val_loss": F.cross_entropy(logits, labels).item(),
        "val_auc": scores["auc"],
        "val_acc": scores["acc"],
        "val_balanced_acc": scores["balanced_acc"],
    }


def _rank(record: dict[str, Any]) -> tuple[float, float]:
    """What makes an epoch better: the AUC, then the loss. Of equals the earlier one stays."""
    return (record["val_auc"] or 0.0, -record["val_loss"])


def _last_checkpoint(config: Config, args: argparse.Namespace) -> checkpoint.Checkpoint | None:
    """The state to go on from, or None; refuses what would lose or mix up a run."""
    path = config.run_dir / checkpoint.LAST
    if args.resume and path.exists():
        last = checkpoint.load(path)
        changed = differences(last.config, config)
        wrong = [key for key in changed if key not in _FREE_ON_RESUME]
        if wrong:
            told = ", ".join(f"{key} (was {changed[key][0]!r})" for key in wrong)
            raise InputError(f"a resumed run must keep its configuration; changed: {told}")
        return last
    if config.run_dir.exists() and not (args.replace or args.resume):
        raise InputError(
            f"the run {config.run_dir} exists; --resume goes on with it, --replace starts it "
            "anew, train.name=... makes another"
        )
    return None


def _start_folder(config: Config, last: checkpoint.Checkpoint | None) -> list[dict[str, Any]]:
    """Makes the run's folder, or clears it; returns the records of the epochs that are done."""
    folder, log = config.run_dir, config.run_dir / "log.jsonl"
    history = []
    if last:
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        history = [r for r in map(json.loads, lines) if r["epoch"] <= last.epoch]
    elif folder.exists():
        _remove_run(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the run folder {folder} can not be made: {error.strerror}") from None
    write_text(folder / "config.json", to_json(config))
    return history


def _remove_run(folder: Path) -> None:
    if any(folder.iterdir()) and not (folder / "config.json").is_file():
        raise InputError(f"{folder} is not a run (it has no config.json): it is left alone")
    shutil.rmtree(folder)


def _state(optimizer: torch.optim.Optimizer, best: dict[str, Any]) -> dict[str, Any]:
    state = {"optimizer": optimizer.state_dict(), "best": best, "rng": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["rng_cuda"] = torch.cuda.get_rng_state_all()
    return state


def _restore(
    last: checkpoint.Checkpoint, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    model.load_state_dict(last.weights)
    optimizer.load_state_dict(last.training["optimizer"])
    torch.set_rng_state(last.training["rng"])
    if "rng_cuda" in last.training and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(last.training["rng_cuda"])


if __name__ == "__main__":
    sys.exit(main())
