"""What the benchmarks share: the machine, forms, seconds of a step, matrix rates, memory."""

import os
import resource
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import torch
from joblib import cpu_count

from lmttm.config.schema import Config
from lmttm.data.dataset import Split
from lmttm.device import describe, make_deterministic
from lmttm.errors import InputError
from lmttm.evaluation.evaluate import evaluate
from lmttm.model.build import build_model
from lmttm.model.machine import LMTTM
from lmttm.model.trace import Classifier
from lmttm.training.setup import make_trainer
from lmttm.training.trainer import Trainer

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
K = TypeVar("K", bound=Hashable)
OPENMP = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def machine(device: torch.device) -> dict[str, Any]:
    """Where and when something is measured; on the CPU also how threads share its cores."""
    return {
        "device": describe(device),
        "cores": cpu_count(),  # that this process may use
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "openmp": {name: os.environ[name] for name in OPENMP if name in os.environ},
    }


def form(config: Config, *, fast: bool, precision: str, compile: str = "off") -> Config:
    """The configuration in the fast form or the plain one, without the distance channel."""
    train = {"precision": precision, "compile": compile}
    update = {"fast": fast, "distance": "off", "train": config.train.model_copy(update=train)}
    return config.model_copy(update=update)


def check_machine(config: Config, repeats: int) -> None:
    """Raises an InputError for what the benchmarks do not measure."""
    if config.model.model == "resnet3d":
        raise InputError("the benchmark measures lmttm and ttm, got model.model=resnet3d")
    if repeats < 1:
        raise InputError(f"--repeats must be at least 1, got {repeats}")


def rate(seconds: list[float], batch: int) -> dict[str, float]:
    """Volumes per second: the median, the slowest and the fastest."""
    rates = sorted(batch / value for value in seconds)
    return {
        "volumes_per_second": round(statistics.median(rates), 2),
        "slowest": round(rates[0], 2),
        "fastest": round(rates[-1], 2),
    }


def timed(call: Callable[[], Any], repeats: int, device: torch.device) -> list[float]:
    """Seconds of each repeat, after two that warm up."""
    return interleaved({"": call}, repeats, device)[""]


def interleaved(
    calls: Mapping[K, Callable[[], Any]], repeats: int, device: torch.device
) -> dict[K, list[float]]:
    """Seconds of each repeat of each call, after two that warm up.

    The calls take turns, so that a machine whose speed drifts slows them all alike.
    """
    seconds: dict[K, list[float]] = {name: [] for name in calls}
    for number in range(repeats + 2):
        for name, call in calls.items():
            synchronize(device)
            began = time.perf_counter()
            call()
            synchronize(device)
            if number >= 2:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def synchronize(device: torch.device) -> None:
    """Waits until a GPU has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(
    kind: torch.dtype, device: torch.device, rows: int, inner: int, columns: int
) -> float:
    """GFLOP/s of a matrix product."""
    left = torch.randn(rows, inner, device=device).to(kind)
    right = torch.randn(inner, columns, device=device).to(kind)
    seconds = statistics.median(timed(lambda: left @ right, 5, device))
    return round(2 * rows * inner * columns / seconds / 1e9, 1)


def peak_gib(device: torch.device) -> float:
    """The most memory that was taken so far: the device's, or on the CPU the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def model_of(config: Config, device: torch.device) -> Classifier:
    """The model of a configuration, with the weights of its seed."""
    make_deterministic(config.seed, device)
    return build_model(config).to(device)


def split_of(config: Config, device: torch.device, steps: int = 1) -> Split:
    """A split of noise for some steps."""
    count = steps * config.batch_size
    images = torch.randint(256, (count, *config.shape), dtype=torch.uint8)
    return Split("train", images, torch.arange(count) % config.model.out_class_num).to(device)


def trainer_of(config: Config, device: torch.device, steps: int = 1) -> Trainer:
    """A trainer whose epochs have that many steps."""
    split = split_of(config, device, steps)
    return make_trainer(config, split, model_of(config, device))


def inference_of(config: Config, device: torch.device) -> Callable[[], None]:
    """What classifies a batch; see `classifies`."""
    return classifies(model_of(config, device), split_of(config, device), config)


def classifies(model: Classifier, split: Split, config: Config) -> Callable[[], None]:
    """What classifies a split; in bf16 only here: train.py and predict.py score in fp32."""
    kind = split.images.device.type

    def classify() -> None:
        with torch.autocast(kind, torch.bfloat16, config.train.precision == "bf16"):
            evaluate(model, split, batch_size=config.batch_size)

    return classify


def steps_and_tokens(config: Config) -> tuple[int, int]:
    """Steps, and input tokens of each."""
    model = build_model(config)
    assert isinstance(model, LMTTM)  # `check_machine` refuses the baseline
    return model.tokenizer.grid(config.shape)
