"""Builds what a configuration describes. Only this file of the room knows configurations."""

import logging

from torch import nn

from lmttm.config.schema import Config
from lmttm.errors import InputError
from lmttm.model.cell import Cell
from lmttm.model.machine import LMTTM
from lmttm.model.mdu import MLPMDU, MixerMDU, TransformerMDU
from lmttm.model.memory import InitialMemory, neighbours
from lmttm.model.pool import AttentionPool, MeanPool
from lmttm.model.read import NeighbourMarks, TriTemporalRead
from lmttm.model.resnet3d import ResNet3D
from lmttm.model.tokenizer import BatchNormTokenizer, PatchTokenizer, ResNetTokenizer
from lmttm.model.write import EraseAddWrite, SummarizingWrite

log = logging.getLogger("lmttm")


def build_model(config: Config) -> LMTTM | ResNet3D:
    """Builds what a configuration describes, with fresh weights.

    Args:
        config: A validated configuration.

    Returns:
        The model, on the CPU, in training mode: the machine, or the baseline `resnet3d`.

    Raises:
        InputError: Pretrained weights are asked for and can not be had, or `distance` is
            still `auto`.
    """
    if config.model.model == "resnet3d":
        return ResNet3D(in_channels=_in_channels(config), num_classes=config.model.out_class_num)
    return _machine(config)


def _machine(config: Config) -> LMTTM:
    """LMTTM and TTM are the same classes, and only what the configuration names is built."""
    model = config.model
    remembers = model.memory_mode != "none"
    num_units = model.num_units if remembers else 0
    unit_tokens = model.memory_tokens_size // num_units if remembers else 0
    near = len(neighbours(0, num_units=num_units, radius=model.radius)) if remembers else 1

    tokenizer = _tokenizer(config)
    num_steps, input_tokens = tokenizer.grid(config.size)
    if num_steps < num_units:
        log.warning("%d steps never write all %d units of the memory", num_steps, num_units)
    read_tokens = near * model.summarize_num_tokens
    machine = LMTTM(
        tokenizer=tokenizer,
        initial_memory=InitialMemory(
            num_units=num_units,
            unit_tokens=unit_tokens,
            dim=model.dim,
            start=model.memory_start if remembers else "zeros",
            noise=model.noise,
        ),
        cell=Cell(
            read=TriTemporalRead(
                dim=model.dim,
                unit_tokens=unit_tokens,
                input_tokens=input_tokens,
                read_tokens=model.summarize_num_tokens,
                summarizer=_summarizer(config),
                num_heads=model.num_heads,
                positions=model.read_use_positional_embedding,
                dropout=model.drop_r,
            ),
            process=_process(config, num_tokens=read_tokens, num_neighbours=near),
            write=_write(
                config,
                unit_tokens=unit_tokens,
                num_neighbours=near,
                input_tokens=input_tokens,
                output_tokens=read_tokens,
            ),
            radius=model.radius,
        ),
        pool=AttentionPool(dim=model.dim, num_heads=model.num_heads)
        if model.pool == "attention"
        else MeanPool(),
        dim=model.dim,
        num_classes=model.out_class_num,
        fast=config.fast,
    )
    _initialise(machine, keep=tokenizer if model.resnet_pretrained else None)
    return machine


def _in_channels(config: Config) -> int:
    if config.distance == "auto":
        raise InputError("distance=auto is decided by the data: use lmttm.settle(config, dataset)")
    return config.model.in_channels + (config.distance == "on")


def _tokenizer(config: Config) -> PatchTokenizer | ResNetTokenizer:
    model, in_channels = config.model, _in_channels(config)
    if model.preprocess_mode == "resnet18":
        return ResNetTokenizer(
            in_channels=in_channels, dim=model.dim, pretrained=model.resnet_pretrained
        )
    kind = {"3d": PatchTokenizer, "3dBN": BatchNormTokenizer}[model.preprocess_mode]
    return kind(
        in_channels=in_channels,
        dim=model.dim,
        patch_size=model.patch_size,
        stride=model.patch_stride or model.patch_size,
        border=model.border,
    )


def _summarizer(config: Config) -> str:
    return "attention" if config.model.memory_mode == "TL-MHA" else "token_learner"


def _process(config: Config, *, num_tokens: int, num_neighbours: int) -> nn.Module:
    mdu = _mdu(config, num_tokens=num_tokens)
    if not config.model.mark_neighbours or num_neighbours < 2:
        return mdu
    marks = NeighbourMarks(num_neighbours=num_neighbours, dim=config.model.dim)
    return nn.Sequential(marks, mdu)


def _mdu(config: Config, *, num_tokens: int) -> nn.Module:
    model = config.model
    common = {
        "dim": model.dim,
        "depth": model.depth,
        "mlp_ratio": model.mlp_ratio,
        "dropout": model.drop_r,
        "share_layers": model.share_layers,
        "drop_path": model.drop_path,
    }
    if model.process_unit == "mixer":
        return MixerMDU(num_tokens=num_tokens, **common)
    if model.process_unit == "mlp":
        return MLPMDU(**common)
    return TransformerMDU(num_heads=model.num_heads, norm=model.norm, **common)


def _write(config: Config, *, unit_tokens: int, **shape: int) -> nn.Module | None:
    model = config.model
    if model.memory_mode == "none":
        return None
    if model.memory_mode == "TL-AddErase":
        return EraseAddWrite(dim=model.dim, unit_tokens=unit_tokens)
    return SummarizingWrite(
        dim=model.dim,
        unit_tokens=unit_tokens,
        summarizer=_summarizer(config),
        num_heads=model.num_heads,
        positions=model.write_use_positional_embedding,
        dropout=model.drop_r,
        **shape,
    )


def _initialise(machine: LMTTM, keep: nn.Module | None) -> None:
    """Xavier-uniform weights and zero biases, as published, but for pretrained weights."""
    kept = set(keep.backbone.modules()) if keep else set()
    for module in machine.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d) and module not in kept:
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
