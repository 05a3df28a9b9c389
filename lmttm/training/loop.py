"""The training loop: epochs, validation, and what a run keeps of them."""

import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from lmttm.config.keys import flatten
from lmttm.config.kinds import METRICS
from lmttm.config.schema import Config
from lmttm.data.dataset import Dataset, Split
from lmttm.data.placing import placed
from lmttm.data.sources import load_dataset
from lmttm.data.statistics import statistics_of
from lmttm.device import enough_memory, make_deterministic, pick_device
from lmttm.errors import RunError
from lmttm.evaluation import metrics
from lmttm.evaluation.evaluate import evaluate
from lmttm.model.build import build_model
from lmttm.report import text
from lmttm.report.curves import curves
from lmttm.report.style import to_png
from lmttm.report.tensorboard import TensorBoard
from lmttm.report.tracking import Tracking
from lmttm.runs import checkpoint, folder
from lmttm.runs.checkpoint import BEST, LAST, PREVIOUS, Checkpoint
from lmttm.runs.opening import open_run
from lmttm.runs.run import Run
from lmttm.runs.start import load_start, take_over
from lmttm.storage import write_bytes
from lmttm.training.checks import check
from lmttm.training.distributed import Alone, joined
from lmttm.training.interrupt import Interrupted, Interruption, interruption
from lmttm.training.launch import settle_compile
from lmttm.training.setup import make_trainer, settle, settle_precision, warn_of_jump
from lmttm.training.steps import NotFinite
from lmttm.training.trainer import Trainer

Record = dict[str, Any]  # of one epoch: a line of log.jsonl


def train(
    config: Config,
    *,
    replace: bool = False,
    resume: bool = False,
    report: Callable[[str], None] = lambda text: None,
    progress: bool = False,
) -> Run:
    """Trains what a configuration describes, in the folder `<output_dir>/<train.name>`.

    Args:
        config: The configuration.
        replace: Whether an existing run is started anew.
        resume: Whether an existing run continues where it stopped.
        report: Called with each text that a person may want to read: the summary of the run,
            a line for each epoch, which epoch is kept.
        progress: Whether progress bars are shown on stderr.

    Returns:
        The finished run.

    Raises:
        InputError: The configuration, the data or the folder cannot be used.
        NotFinite: A loss or a gradient is not finite; `not_finite.json` has the numbers.
        Interrupted: A signal stopped the training; its state is saved.
        RunError: Another reason to stop, such as too little memory.
    """
    with joined() as team:
        if not team.leads:
            report, progress = (lambda text: None), False
        return _train(config, team, replace, resume, report, progress)


def _train(
    config: Config,
    team: Alone,
    replace: bool,
    resume: bool,
    report: Callable[[str], None],
    progress: bool,
) -> Run:
    """Trains in one of the processes of a team; the leading one writes."""
    device = pick_device(team.place(config.device, config.batch_size))
    make_deterministic(config.seed, device)
    settle_compile(config, device, team)  # refuses what cannot be, before anything is written
    if team.leads:
        folder.check_folder(config.run_dir, may_exist=replace or resume)
    start = load_start(config, resume=resume)
    config = folder.as_begun(config) if resume else config
    with team.one_first():
        dataset = load_dataset(config)
    config = settle_precision(settle(config, dataset), device)
    model = build_model(config)
    taken = take_over(model, start, config.train.start_from) if start else None
    check(config, dataset, model)
    report(text.summary(config, dataset, model, device))
    if taken:
        report(taken.text)

    lock = folder.locked(config.run_dir) if team.leads else contextlib.nullcontext()
    with lock, enough_memory(config.batch_size):
        data = team.from_leader(dataset.digest)
        last = team.from_leader(lambda: folder.latest(config, data) if resume else None)
        if team.leads:
            folder.start(config, resumed=last is not None)
            if taken:
                taken.write(config.run_dir)
        team.seed(config.seed)
        trainer = make_trainer(config, dataset.splits["train"], model.to(device), team)
        history = _restore(last, config, trainer) if last else []
        if last and trainer.epoch:
            report(f"resumes after epoch {trainer.epoch}, step {trainer.steps_done}")
        if folder.is_over(config, history):
            report(f"{config.run_dir} is finished: {trainer.epoch} epochs are done")
            return open_run(config.run_dir)
        with interruption() as stop:
            _Loop(config, dataset, data, trainer, history, stop, report, progress).run()
        team.meet()  # what the leading process writes is written
        if stop.signal and not folder.is_over(config, history):
            place = f"epoch {trainer.epoch + 1}, step {trainer.steps_done}"
            raise Interrupted(stop.signal, f"stopped in {place}")
    report(text.kept_line(config.train.keep, folder.best_of(config, history)))
    return open_run(config.run_dir)


def _restore(last: Checkpoint, config: Config, trainer: Trainer) -> list[Record]:
    """Puts the trainer where the run stopped; returns the records of its epochs."""
    trainer.model.load_state_dict(last.weights)
    trainer.load_state_dict(last.training["trainer"])
    num_volumes = len(trainer.split)
    steps = trainer.epoch * -(-num_volumes // config.batch_size) + trainer.steps_done
    warn_of_jump(last.config, config, num_volumes, steps)
    history: list[Record] = last.training["history"]
    return history


class _Loop:
    """Epoch after epoch: train, validate, record, keep."""

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        data: str,
        trainer: Trainer,
        history: list[Record],
        stop: Interruption,
        report: Callable[[str], None],
        progress: bool,
    ) -> None:
        self.config = config
        self.trainer = trainer
        self.team = trainer.team
        self.history = history
        self.stop = stop
        self.report = report
        self.progress = progress
        self.val = placed(dataset.splits["val"], config, trainer.device)
        train = dataset.splits["train"]
        self.statistics: dict[str, Any] = train.remembered(
            "statistics", lambda: statistics_of(train.images)
        )
        self.save = partial(checkpoint.save, config=config, data=data)
        done = trainer.epoch * -(-len(trainer.split) // config.batch_size) + trainer.steps_done
        self.board = TensorBoard(config.run_dir / "tensorboard", trainer.epoch + 1, done + 1)

    def run(self) -> None:
        """Trains to the last epoch, or until a signal stops it."""
        settings = flatten(self.config.model_dump())
        logger = self.config.train.logger if self.team.leads else "none"
        tracking = Tracking(logger, self.config.run_dir, settings)
        with contextlib.closing(self.board), contextlib.closing(tracking), self._bar() as bar:
            if self.team.leads:
                self.board.add_settings(settings)
            while not (folder.is_over(self.config, self.history) or self._stops()):
                record = self._epoch()
                if record is None:
                    return
                if self.team.leads:
                    self.board.add(record)
                    tracking.add(record)
                bar.update()
                best = folder.best_of(self.config, self.history)
                bar.set_postfix(val_auc=text.number(best["val_auc"]), refresh=False)
                self.report(text.epoch_line(record, self.config.train.epoch))
            if self.history and self.team.leads:
                self._draw()

    def _draw(self) -> None:
        config, num_volumes = self.config, len(self.trainer.split)
        picture = curves(
            self.history,
            title=f"{config.train.name}: {config.dataset_name}, "
            f"{num_volumes} training and {len(self.val)} validation volumes",
            majority=self.val.majority_rate(),
        )
        png = to_png(picture)
        write_bytes(config.run_dir / "curves.png", png)
        self.board.add_picture("curves", png)

    def _bar(self) -> tqdm:
        return tqdm(
            total=self.config.train.epoch,
            initial=self.trainer.epoch,
            desc="epochs",
            unit="epoch",
            dynamic_ncols=True,
            disable=not self.progress,
        )

    def _epoch(self) -> Record | None:
        """Trains and validates one epoch and saves what it left; None where a signal came."""
        started = time.perf_counter()
        try:
            loss = self.trainer.train_epoch(self._after_step, progress=self.progress)
        except NotFinite as error:
            if self.team.leads:
                error.write(self.config.run_dir / "not_finite.json")
            raise
        finally:
            self._record_steps()
        if loss is None:
            return None
        record: Record = {"epoch": self.trainer.epoch, "lr": self.trainer.lr, "train_loss": loss}
        record |= _validate(self.trainer.model_to_keep, self.val, self.config, self.team)
        record["seconds"] = round(time.perf_counter() - started, 3)
        self.history.append(record)
        record["best"] = folder.best_of(self.config, self.history) is record
        if record["best"]:
            self._save_best(record)
        self._save_last()
        if self.team.leads:
            folder.write_log(self.config.run_dir, self.history)
        return record

    def _record_steps(self) -> None:
        """Hands the steps that were checked to TensorBoard."""
        for step in self.trainer.take_checked():
            if self.team.leads:
                numbers = {"step_loss": step.loss, "step_gradient_norm": step.gradient_norm}
                self.board.add_step(step.number, {**numbers, "step_lr": step.lr})

    def _stops(self) -> bool:
        """Whether a signal has come, to any process of the team."""
        signal = self.team.agree(self.stop.signal)
        if signal:
            self.stop.signal = signal
        return signal is not None

    def _after_step(self) -> bool:
        """Saves where it is time to, or where a signal has come; then True stops the epoch."""
        every = self.config.train.save_every
        self._record_steps()
        stops = self._stops()
        if stops or (every and self.trainer.steps_done % every == 0):
            self._save_last()
        return stops

    def _save_best(self, record: Record) -> None:
        if not self.team.leads:
            return
        self.save(
            self.config.run_dir / BEST,
            model=self.trainer.model_to_keep,
            epoch=self.trainer.epoch,
            validation=record,
            statistics=self.statistics,
        )

    def _save_last(self) -> None:
        state = self.trainer.state_dict()  # which all processes of a team have a part in
        if not self.team.leads:
            return
        self.save(
            self.config.run_dir / LAST,
            model=self.trainer.model,
            epoch=self.trainer.epoch,
            validation=self.history[-1] if self.history else {},
            training={"trainer": state, "history": self.history},
            previous=self.config.run_dir / PREVIOUS,
        )


def _validate(
    model: nn.Module, split: Split, config: Config, team: Alone
) -> dict[str, float | None]:
    logits = team.score(split, partial(evaluate, model, batch_size=config.batch_size))
    if not logits.isfinite().all():
        raise RunError("the outputs for the validation split are not finite; lower train.lr")
    labels = split.labels.cpu()
    scores = metrics.score(labels.numpy(), logits.double().softmax(dim=1).numpy())
    return {
        "val_loss": F.cross_entropy(logits, labels).item(),
        **{f"val_{name}": scores[name] for name in METRICS},
    }
