"""Trains step by step. Knows batches and losses, but no particular model."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from lmttm.data.augment import Augment
from lmttm.data.dataset import Split, batches
from lmttm.data.feed import feed
from lmttm.device import random_state, restore_random_state
from lmttm.model.trace import Classifier
from lmttm.training.averaging import Average
from lmttm.training.distributed import Alone
from lmttm.training.launch import launched
from lmttm.training.steps import CheckedStep, NotFinite, Step

# On a GPU, the host checks the losses only every so many steps, so that the GPU never waits for it.
_CHECK_EVERY = 50


def shuffling(seed: int, epoch: int) -> torch.Generator:
    """The generator that shuffles an epoch; each seed and epoch has its own."""
    # Mixed down to 32 bits, because torch's generator on the CPU ignores the others.
    mixed = np.random.SeedSequence((seed, epoch)).generate_state(1)[0]
    return torch.Generator().manual_seed(int(mixed))


class Trainer:
    """Trains a model on a split; can stop after any step and resume there, bit for bit.

    A step whose loss or gradient is not finite changes neither weights nor optimizer nor
    buffers (carried memory, statistics of batch norm), and stops the training: at once, or on
    a GPU within 50 steps.

    Args:
        model: Its `run(volumes)` gives logits and the final memory; `remember` takes the
            mean of the latter after each optimizer step.
        split: The training split, on the model's device or on the host.
        augment: Random changes of a batch.
        optimizer: Of the model's parameters.
        lr_at: The learning rate of a step, counted over all epochs.
        seed: Seed of the run; with the epoch it fixes the order of the volumes.
        batch_size: Volumes of a step.
        accumulate: Parts in which a batch passes the model. All of them start from the same
            carried memory, and the loss is the whole batch's.
        clip_norm: Largest norm of the gradient; 0 for no clipping.
        label_smoothing: Share of each label that is spread over all classes, in [0, 1).
        class_weights: Weight of each class in the loss `(classes)`, or None.
        bf16: Whether the products of training are taken in bfloat16.
        compile: How the passes of the model are launched: off, graph or on; see `launched`.
        ema: Decay of the averaged weights, in [0, 1); 0 for none.
        team: The processes that share each batch; None for this one alone.

    Attributes:
        epoch: Epochs that are done.
        averaged: The model with the averaged weights, or None.
    """

    def __init__(
        self,
        model: Classifier,
        split: Split,
        *,
        augment: Augment,
        optimizer: torch.optim.Optimizer,
        lr_at: Callable[[int], float],
        seed: int,
        batch_size: int,
        accumulate: int = 1,
        clip_norm: float = 0.0,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
        bf16: bool = False,
        compile: str = "off",
        ema: float = 0.0,
        team: Alone | None = None,
    ) -> None:
        self.model = model
        self.split = split
        self.augment = augment
        self.optimizer = optimizer
        self.lr_at = lr_at
        self.seed = seed
        self.batch_size = batch_size
        self.part_size = -(-batch_size // accumulate)
        self.clip_norm = clip_norm
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        self.bf16 = bf16
        self.team = team or Alone()
        full = len(self.team.share(torch.arange(min(self.part_size, len(split)))))
        self.run = launched(model, compile, size=full, whole=accumulate == 1, bf16=bf16)
        self.averaged = Average(model, decay=ema) if ema else None
        self.device = next(model.parameters()).device
        self.labels = split.labels.to(self.device)
        self.skips_unseen = bool(optimizer.defaults.get("fused"))
        self.epoch = 0
        self._losses: list[Tensor] = []  # of the steps of this epoch, times their volumes
        self._unseen: list[Step] = []
        self._checked: list[CheckedStep] = []
        self._last_finite = math.nan

    @property
    def steps_done(self) -> int:
        """Steps of the present epoch that are done."""
        return len(self._losses)

    @property
    def lr(self) -> float:
        """The learning rate of the last step."""
        lr: float = self.optimizer.param_groups[0]["lr"]
        return lr

    @property
    def model_to_keep(self) -> nn.Module:
        """The model that is validated and kept: the averaged one if there is one."""
        return self.averaged.module if self.averaged else self.model

    def take_checked(self) -> list[CheckedStep]:
        """The steps of this epoch that the host has checked since the last call.

        To ask for them waits for nothing: on a GPU they come every 50 steps.
        """
        taken, self._checked = self._checked, []
        return taken

    def train_epoch(
        self, after_step: Callable[[], bool] = lambda: False, *, progress: bool = False
    ) -> float | None:
        """Trains to the end of the epoch.

        Args:
            after_step: Called after each step; True stops the training there.
            progress: Whether a progress bar is shown.

        Returns:
            The mean loss over the volumes, or None where `after_step` stopped it.

        Raises:
            NotFinite: A loss or the norm of a gradient is not finite.
        """
        self.model.train()
        generator = shuffling(self.seed, self.epoch)
        chosen = list(batches(len(self.split), self.batch_size, generator))
        order = [rows.to(self.device) for rows in chosen]
        done = len(self._losses)
        coming = self.feed(order[done:] if self.is_resident else chosen[done:])
        self._checked = []
        with tqdm(
            total=len(order),
            initial=done,
            desc="  steps",
            unit="step",
            leave=False,
            dynamic_ncols=True,
            disable=not progress,
        ) as bar:
            for number in range(done, len(order)):
                self._step(order[number], self.lr_at(self.epoch * len(order) + number), coming)
                if len(self._unseen) == _CHECK_EVERY:
                    self._look()
                bar.set_postfix(loss=f"{self._last_finite:.4f}", refresh=False)
                bar.update()
                if after_step():
                    return None
        self._look()
        mean = torch.stack(self._losses).sum().item() / len(self.split)
        self.epoch += 1
        self._losses = []
        return mean

    @property
    def is_resident(self) -> bool:
        """Whether the volumes of the split lie on the model's device."""
        return self.split.images.device == self.device

    def feed(self, order: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's parts of batches, in the order in which the steps take them.

        Args:
            order: The volumes of each batch; the indices lie where the volumes do.
        """
        parts = [self.team.share(part) for rows in order for part in rows.split(self.part_size)]
        return feed(self.split, parts, self.device)

    def _step(self, chosen: Tensor, lr: float, coming: Iterator[tuple[Tensor, Tensor]]) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        buffers = list(self.model.buffers())
        before = [buffer.clone() for buffer in buffers]
        weight = self._weight(self.labels[chosen])
        loss = memory = torch.zeros((), device=self.device)
        for whole in chosen.split(self.part_size):
            part, copies = self.team.share(whole), self.team.copies
            share = len(part) / (len(chosen) * copies)
            inputs, labels = next(coming)
            volumes, mixing = self.augment(inputs)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                trace = self.run(volumes)
                summed = self._loss(trace.logits, labels, mixing)
                part_loss = summed / (weight * copies)
            part_loss.backward()
            loss = loss + part_loss.detach()
            memory = memory + share * _mean_memory(trace.memory.detach())
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        self.team.add_up([loss, memory, *gradients])

        limit = self.clip_norm or math.inf
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        finite = loss.isfinite() & norm.isfinite()
        for buffer, old in zip(buffers, before, strict=True):
            buffer.copy_(torch.where(finite, buffer, old))
        self._unseen.append(Step(len(self._losses) + 1, loss, norm, lr, chosen))
        if self.skips_unseen:
            # The fused optimizers read it, though `Optimizer` does not declare it.
            self.optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
        else:
            self._look()
        self.optimizer.step()
        self.model.remember(memory, num_steps=trace.step_logits.shape[1], finite=finite)
        if self.averaged:
            self.averaged.update(self.model)
        self._losses.append(loss * len(chosen))

    def _weight(self, labels: Tensor) -> Tensor | int:
        """The total weight of a batch: its number of volumes if all classes weigh the same."""
        return len(labels) if self.class_weights is None else self.class_weights[labels].sum()

    def _loss(self, logits: Tensor, labels: Tensor, mixing: tuple[Tensor, Tensor] | None) -> Tensor:
        """The sum of the volumes' losses, each by the weight of its class."""

        def towards(labels: Tensor) -> Tensor:
            return F.cross_entropy(
                logits,
                labels,
                weight=self.class_weights,
                label_smoothing=self.label_smoothing,
                reduction="sum",
            )

        if mixing is None:
            return towards(labels)
        partner, share = mixing
        return share * towards(labels) + (1 - share) * towards(labels[partner])

    def _look(self) -> None:
        """Waits for the steps taken so far and raises `NotFinite` if one was not finite."""
        if not self._unseen:
            return
        numbers = torch.stack([torch.stack([step.loss, step.norm]) for step in self._unseen])
        for step, (loss, norm) in zip(self._unseen, numbers.tolist(), strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise NotFinite(
                    epoch=self.epoch + 1,
                    step=step.number,
                    lr=step.lr,
                    loss=loss,
                    gradient_norm=norm,
                    last_finite_loss=self._last_finite,
                    indices=step.indices.tolist(),
                )
            self._last_finite = loss
            before = self.epoch * -(-len(self.split) // self.batch_size)
            self._checked.append(CheckedStep(before + step.number, loss, norm, step.lr))
        self._unseen.clear()

    def state_dict(self) -> dict[str, Any]:
        """All that resuming needs, beside the weights; what `torch.load` takes as weights.

        In a team all processes call it together; the state is the leading one's.
        """
        self._look()
        state = {
            "epoch": self.epoch,
            "losses": torch.stack(self._losses).cpu() if self._losses else torch.empty(0),
            "last_finite": self._last_finite,
            "optimizer": self.optimizer.state_dict(),
            **random_state(self.device),
            "team": self.team.collect(random_state(self.device))[1:],
        }
        if self.averaged:
            state["averaged"] = self.averaged.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to where `state_dict` was taken; the model loads its weights itself."""
        self.epoch = state["epoch"]
        self._losses = list(state["losses"].to(self.device).unbind())
        self._last_finite = state["last_finite"]
        self.optimizer.load_state_dict(_with_options_of(self.optimizer, state["optimizer"]))
        if self.averaged:
            self.averaged.load_state_dict(state["averaged"])
        states = [state, *state.get("team", [])]
        if self.team.leads or len(states) == self.team.size:
            restore_random_state(states[self.team.rank], self.device)
        else:  # it was another number of processes
            self.team.seed(self.seed, self.epoch, self.steps_done)


def _with_options_of(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """A saved state with the present optimizer's options, such as `fused` on another device.

    The learning rate stays that of the last step, which the record of an epoch tells.
    """
    own = optimizer.state_dict()["param_groups"]
    groups = [
        saved | {name: value for name, value in group.items() if name not in ("params", "lr")}
        for saved, group in zip(state["param_groups"], own, strict=True)
    ]
    return {**state, "param_groups": groups}


def _mean_memory(memory: Tensor) -> Tensor:
    """The mean over a batch, in float32 or better."""
    return memory.mean(dim=0, dtype=torch.promote_types(memory.dtype, torch.float32))
