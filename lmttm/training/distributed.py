"""Several processes that train one model, as torch's launcher starts them.

    torchrun --nproc_per_node=4 train.py base.json

Each process has all volumes, a copy of the model, and a share of each batch. A training alone
(`Alone`) and in a team (`Team`) have the same interface; alone, nothing in it does any work.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from lmttm.data.dataset import Split
from lmttm.errors import InputError, RunError, one_line

Result = TypeVar("Result")


class Alone:
    """A training in one process.

    Attributes:
        rank: Number of this process, from 0.
        local_rank: The same among the processes of this machine.
        size: Number of processes.
        copies: How many processes have each volume of the part that was shared out last.
    """

    rank = 0
    local_rank = 0
    size = 1
    copies = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the log, the checkpoints and the progress bars."""
        return self.rank == 0

    def place(self, device: str, batch_size: int) -> str:
        """The device of this process, where a configuration names one for all.

        Raises:
            InputError: It names a single GPU for several processes, or the batch is too small.
        """
        return device

    def share(self, part: Tensor) -> Tensor:
        """This process's volumes of a part of a batch; `copies` says how many have each."""
        return part

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its sum over the processes."""

    def agree(self, number: int | None) -> int | None:
        """The greatest number that a process gives, if any; on the host, not on the device."""
        return number

    def meet(self) -> None:
        """Waits until all processes are here."""

    @contextlib.contextmanager
    def one_first(self) -> Iterator[None]:
        """Lets one process of each machine run the block before the others, as for a download."""
        yield

    def collect(self, item: Result) -> list[Result]:
        """What each process gives, in their order."""
        return [item]

    def from_leader(self, make: Callable[[], Result]) -> Result:
        """What the leading process makes, for all."""
        return make()

    def score(self, split: Split, score: Callable[[Split], Tensor]) -> Tensor:
        """Scores a split, each volume once: the processes score a share each."""
        return score(split)

    def seed(self, seed: int, *at: int) -> None:
        """Gives this process random numbers of its own; the leading one keeps the run's."""


class PeerLost(RunError):
    """Another process of the training has ended."""


class Quiet(RunError):
    """An error of which another process has given the message; its exit code is this one's too."""

    prefix = ""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


class Team(Alone):
    """A training in several processes; see `Alone`.

    Every method but `place`, `share` and `seed` must be called by all processes in the same order.
    """

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self.local_rank = int(os.environ.get("LOCAL_RANK", self.rank))

    def place(self, device: str, batch_size: int) -> str:
        """See `Alone`."""
        if device.startswith("cuda:"):
            raise InputError(
                f"device must be auto, cpu or cuda for several processes, got {device}"
            )
        if batch_size < self.size:
            raise InputError(
                "batch_size must be at least the number of processes, "
                f"got batch_size={batch_size}, processes={self.size}"
            )
        if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
            return f"cuda:{self.local_rank}"
        return device

    def share(self, part: Tensor) -> Tensor:
        """See `Alone`. Of fewer volumes than processes, each process has all."""
        self.copies = self.size if len(part) < self.size else 1
        return part if self.copies > 1 else part.tensor_split(self.size)[self.rank]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """See `Alone`. One message serves for all tensors."""
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        with torch.no_grad():
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def agree(self, number: int | None) -> int | None:
        """See `Alone`."""
        given = torch.tensor(number or 0)
        all_reduce(given, dist.ReduceOp.MAX)
        return int(given) or None

    def meet(self) -> None:
        """See `Alone`."""
        self.agree(None)

    @contextlib.contextmanager
    def one_first(self) -> Iterator[None]:
        """See `Alone`."""
        if self.local_rank:
            self.meet()
        yield
        if not self.local_rank:
            self.meet()

    def collect(self, item: Result) -> list[Result]:
        """See `Alone`."""
        items: list[Any] = [None] * self.size
        with _peers():
            dist.all_gather_object(items, item)
        return items

    def from_leader(self, make: Callable[[], Result]) -> Result:
        """See `Alone`."""
        made: list[Any] = [make() if self.leads else None]
        with _peers():
            dist.broadcast_object_list(made, src=0)
        item: Result = made[0]
        return item

    def score(self, split: Split, score: Callable[[Split], Tensor]) -> Tensor:
        """See `Alone`."""
        if len(split) < self.size:
            return score(split)
        bounds = [len(split) * rank // self.size for rank in range(self.size + 1)]
        mine = slice(bounds[self.rank], bounds[self.rank + 1])
        return torch.cat(self.collect(score(split[mine])))

    def seed(self, seed: int, *at: int) -> None:
        """See `Alone`."""
        if self.rank:
            mixed = np.random.SeedSequence((seed, self.rank, *at)).generate_state(1)[0]
            torch.manual_seed(int(mixed))


@contextlib.contextmanager
def joined() -> Iterator[Alone]:
    """The team of the processes that torch's launcher started; without it, `Alone`.

    Within such a block another one is the same team. Where the block ends with an error, the
    first process to get there gives the message, and all of them end with its exit code.

    Yields:
        The team.
    """
    if dist.is_initialized():
        yield Team() if dist.get_world_size() > 1 else Alone()
        return
    if not dist.is_torchelastic_launched() or os.environ["WORLD_SIZE"] == "1":
        yield Alone()
        return
    backends = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    # The launcher keeps its store when it starts the processes anew: their addresses differ then.
    store, rank, size = next(rendezvous("env://"))
    store = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    dist.init_process_group(backends, store=store, rank=rank, world_size=size)
    team = Team()
    if not team.leads:  # one process warns for all
        logging.disable(logging.WARNING)
    try:
        yield team
    except BaseException as error:
        # The launcher ends the others as soon as one has ended; each ends by itself instead.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        first = _first_exit_code(store, error)
        if first is not None:
            raise Quiet(first) from None
        raise
    finally:
        logging.disable(logging.NOTSET)
    dist.destroy_process_group()


def all_reduce(tensor: Tensor, operation: Any = dist.ReduceOp.SUM) -> None:
    """Replaces a tensor by its sum, or another reduction, over the processes.

    Raises:
        PeerLost: Another process has ended.
    """
    with _peers():
        dist.all_reduce(tensor, operation)


@contextlib.contextmanager
def _peers() -> Iterator[None]:
    """Names what is behind an error in talking to the other processes."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLost(
            "another process of this training has ended; --resume continues from the last "
            f"checkpoint ({one_line(error)})"
        ) from None


def _first_exit_code(store: Store, error: BaseException) -> int | None:
    """The exit code of the first process that ended with an error; None if this is the first."""
    own = getattr(error, "exit_code", 130 if isinstance(error, KeyboardInterrupt) else 1)
    try:
        if store.add("errors", 1) == 1:
            store.set("exit_code", str(own))
            return None
        return int(store.get("exit_code"))
    except RuntimeError:  # the launcher has gone
        return None
