"""Builds what a configuration describes. Only this file of the room knows configurations.

The class of each part is the one that `lmttm.config.kinds` lists under the name in the
configuration. It is offered everything that a part of its kind may need, and takes what its
`__init__` names: a new class needs no change here.
"""

import inspect
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from lmttm.config import kinds
from lmttm.config.schema import Config, ModelConfig
from lmttm.errors import InputError
from lmttm.model.cell import Cell
from lmttm.model.machine import LMTTM
from lmttm.model.memory import InitialMemory, neighbours
from lmttm.model.read import NeighbourMarks, TriTemporalRead
from lmttm.model.resnet3d import ResNet3D
from lmttm.model.stem import Stem, StemmedTokenizer
from lmttm.model.summarizers import Summarizer
from lmttm.model.tokenizer import ResNetTokenizer, Tokenizer

log = logging.getLogger("lmttm")


def build_model(config: Config) -> LMTTM | ResNet3D:
    """Builds what a configuration describes, with fresh weights.

    Args:
        config: A validated configuration.

    Returns:
        The model, on the CPU, in training mode: the machine, or the baseline `resnet3d`.

    Raises:
        InputError: Pretrained weights are requested and cannot be fetched, or `distance` is
            still `auto`.
    """
    if config.model.model == "resnet3d":
        return ResNet3D(input_shape=_input_shape(config), num_classes=config.model.out_class_num)
    return _machine(config)


def make(path: str, **options: Any) -> Any:
    """Makes a module of a class, from those of the options that its `__init__` names.

    Args:
        path: Of the class, as in `lmttm.config.kinds`.
        **options: All that a class of this kind may need.

    Returns:
        The object.

    Raises:
        TypeError: The class needs something that is not among the options.
    """
    kind = kinds.find(path)
    named = _named(kind)
    needed = [name for name, parameter in named.items() if parameter.default is parameter.empty]
    if unknown := [name for name in needed if name not in options]:
        raise TypeError(f"{path} needs {unknown[0]}; build.py offers {', '.join(options)}")
    return kind(**{name: value for name, value in options.items() if name in named})


def options_of(path: str) -> set[str]:
    """The names of the arguments of a class: what `make` passes to it.

    Args:
        path: As for `make`.
    """
    return set(_named(kinds.find(path)))


def _named(kind: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """What `__init__` names, and where it ends with `**options`, what that of its base names."""
    named: dict[str, inspect.Parameter] = {}
    for part in kind.__mro__[: kind.__mro__.index(nn.Module)]:
        if "__init__" not in vars(part):
            continue
        _, *parameters = inspect.signature(vars(part)["__init__"]).parameters.values()
        passed_on = [p for p in parameters if p.kind is p.VAR_KEYWORD]
        named = {p.name: p for p in parameters if p not in passed_on} | named
        if not passed_on:
            break
    return named


def _machine(config: Config) -> LMTTM:
    """LMTTM and TTM are the same classes, and only what the configuration names is built."""
    model = config.model
    num_units = model.num_units if model.has_memory else 0
    unit_tokens = model.memory_tokens_size // num_units if num_units else 0
    near = len(neighbours(0, num_units=num_units, radius=model.radius)) if num_units else 1

    tokenizer = _tokenizer(config)
    num_steps, input_tokens = tokenizer.grid(config.shape)
    if num_steps < num_units:
        log.warning("%d steps never write all %d units of the memory", num_steps, num_units)
    read_tokens = near * model.summarize_num_tokens
    machine = LMTTM(
        input_shape=_input_shape(config),
        tokenizer=tokenizer,
        initial_memory=InitialMemory(
            num_units=num_units,
            unit_tokens=unit_tokens,
            dim=model.dim,
            start=model.memory_start if num_units else "zeros",
            noise=_noise(model),
        ),
        cell=Cell(
            read=TriTemporalRead(
                dim=model.dim,
                unit_tokens=unit_tokens,
                input_tokens=input_tokens,
                read_tokens=model.summarize_num_tokens,
                make_summarizer=partial(_summarizer, model),
                positions=model.read_use_positional_embedding,
            ),
            process=_process(model, num_tokens=read_tokens, num_neighbours=near),
            write=_write(
                model,
                unit_tokens=unit_tokens,
                num_neighbours=near,
                input_tokens=input_tokens,
                output_tokens=read_tokens,
            ),
            radius=model.radius,
        ),
        pool=make(kinds.POOLS[model.pool], dim=model.dim, num_heads=model.num_heads),
        dim=model.dim,
        num_classes=model.out_class_num,
        fast=config.fast,
    )
    kept: list[nn.Module] = []
    if model.resnet_pretrained:
        kept = [net.backbone for net in tokenizer.modules() if isinstance(net, ResNetTokenizer)]
    _initialise(machine, kept)
    return machine


def _input_shape(config: Config) -> tuple[int, int, int, int]:
    """Channels and voxels of a volume, c D H W."""
    if config.distance == "auto":
        raise InputError("distance=auto is decided by the data: use lmttm.settle(config, dataset)")
    return config.num_channels, *config.shape


def _tokenizer(config: Config) -> Tokenizer:
    model = config.model
    channels = _input_shape(config)[0]
    tokenizer: Tokenizer = make(
        kinds.TOKENIZERS[model.preprocess_mode],
        in_channels=model.stem or channels,
        dim=model.dim,
        patch_size=model.patch,
        stride=model.stride,
        border=model.border,
        pretrained=model.resnet_pretrained,
    )
    if not model.stem:
        return tokenizer
    return StemmedTokenizer(
        stem=Stem(in_channels=channels, channels=model.stem), tokenizer=tokenizer
    )


def _noise(model: ModelConfig) -> Callable[[Tensor], Tensor] | None:
    path = kinds.NOISES[model.noise]
    return kinds.find(path) if path else None


def _summarizer(model: ModelConfig, num_tokens: int) -> Summarizer:
    summarizer: Summarizer = make(
        kinds.MEMORY_MODES[model.memory_mode].summarizer,
        dim=model.dim,
        num_tokens=num_tokens,
        num_heads=model.num_heads,
        dropout=model.drop_r,
    )
    return summarizer


def _process(model: ModelConfig, *, num_tokens: int, num_neighbours: int) -> nn.Module:
    mdu: nn.Module = make(
        kinds.PROCESS_UNITS[model.process_unit],
        dim=model.dim,
        num_tokens=num_tokens,
        depth=model.depth,
        num_heads=model.num_heads,
        mlp_ratio=model.mlp_ratio,
        dropout=model.drop_r,
        norm=model.norm,
        share_layers=model.share_layers,
        drop_path=model.drop_path,
    )
    if not model.mark_neighbours or num_neighbours < 2:
        return mdu
    return nn.Sequential(NeighbourMarks(num_neighbours=num_neighbours, dim=model.dim), mdu)


def _write(model: ModelConfig, **shape: int) -> nn.Module | None:
    path = kinds.MEMORY_MODES[model.memory_mode].write
    if path is None:
        return None
    write: nn.Module = make(
        path,
        dim=model.dim,
        make_summarizer=partial(_summarizer, model),
        num_heads=model.num_heads,
        positions=model.write_use_positional_embedding,
        dropout=model.drop_r,
        **shape,
    )
    return write


def _initialise(machine: LMTTM, kept: list[nn.Module]) -> None:
    """Xavier-uniform weights and zero biases, as published, but for pretrained weights."""
    pretrained = {part for net in kept for part in net.modules()}
    for module in machine.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d) and module not in pretrained:
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
