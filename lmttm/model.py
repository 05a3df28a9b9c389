"""The Linked Memory Token Turing Machine: one step, and the machine that repeats it.

Algorithm::

    I = tokenize(volume)
    for each step t, with current unit c, past p = c-1 and next f = c+1 of the ring:
        Z = read(M_c, M_p, M_f, I_t)
        O_t = process(Z)
        M_f = write(M_c, M_p, M_f, I_t, O_t)
    logits = Linear(mean of O over steps and tokens)
"""

import logging

import torch
from torch import Tensor, nn

from lmttm import fast
from lmttm.config import Config
from lmttm.errors import InputError
from lmttm.layers import AttentionPool, MeanPool
from lmttm.mdu import MLPMDU, MixerMDU, TransformerMDU
from lmttm.memory import InitialMemory, neighbours, next_unit, replace
from lmttm.read import NeighbourMarks, TriTemporalRead
from lmttm.resnet3d import ResNet3D
from lmttm.tokenizer import BatchNormTokenizer, PatchTokenizer, ResNetTokenizer
from lmttm.trace import Trace
from lmttm.write import EraseAddWrite, SummarizingWrite

log = logging.getLogger("lmttm")


class Cell(nn.Module):
    """One step of the machine: read, process, write.

    Args:
        read: Neighbouring units and input tokens -> read tokens.
        process: Read tokens -> output tokens.
        write: Neighbouring units, next unit, input and output tokens -> the new next unit;
            None where there is no memory.
        radius: Neighbours on each side of the current unit.

    Source: Fig. 2 of the paper.
    """

    def __init__(
        self, *, read: nn.Module, process: nn.Module, write: nn.Module | None, radius: int
    ) -> None:
        super().__init__()
        self.read = read
        self.process = process
        self.write = write
        self.radius = radius

    def forward(self, memory: Tensor, inputs: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Takes one step.

        Args:
            memory: `(b k m d)`; k is 0 where there is no memory.
            inputs: Input tokens of the step, `(b n d)`.
            step: Index of the step, from 0.

        Returns:
            Output tokens `(b u*r d)` and the new memory `(b k m d)`.
        """
        if self.write is None:
            return self.process(self.read([], inputs)), memory
        num_units = memory.shape[1]
        near = neighbours(step, num_units=num_units, radius=self.radius)
        units = [memory[:, unit] for unit in near]
        following = next_unit(step, num_units=num_units)

        outputs = self.process(self.read(units, inputs))
        written = self.write(units, memory[:, following], inputs, outputs)
        return outputs, replace(memory, following, written)


class LMTTM(nn.Module):
    """The machine: walks through a volume slab by slab and classifies what it saw.

    Args:
        tokenizer: Volume `(b c D H W)` -> input tokens `(b t n d)`.
        initial_memory: Number of volumes -> the memory `(b k m d)` that they start from.
        cell: One step.
        pool: Output tokens of each step `(b t n d)` -> `(b t d)`, whose mean over steps is
            classified.
        dim: Width of a token, d.
        num_classes: Classes.
        fast: Whether the steps are taken in the form that saves arithmetic.

    Source: Wei et al., doi 10.1016/j.cmpb.2025.108640. With a single unit it is the Token
    Turing Machine, arXiv 2211.09119.
    """

    def __init__(
        self,
        *,
        tokenizer: nn.Module,
        initial_memory: InitialMemory,
        cell: Cell,
        pool: nn.Module,
        dim: int,
        num_classes: int,
        fast: bool,
    ) -> None:
        super().__init__()
        self.fast = fast
        self.tokenizer = tokenizer
        self.initial_memory = initial_memory
        self.cell = cell
        self.pool = pool
        self.classifier = nn.Linear(dim, num_classes)

    def forward(self, volumes: Tensor) -> Tensor:
        """Classifies volumes `(b c D H W)` in [0, 1]: logits `(b classes)`. Changes nothing."""
        return self.run(volumes).logits

    def run(self, volumes: Tensor) -> Trace:
        """Classifies volumes and shows how.

        Args:
            volumes: `(b c D H W)`, intensities in [0, 1], as `lmttm.prepare` gives them.

        Returns:
            The logits, the logits of each step and the final memory.
        """
        inputs = self.tokenizer(volumes)
        memory = self.initial_memory(volumes.shape[0])
        outputs, memory = (fast.walk if self.fast else walk)(self.cell, inputs, memory)
        seen = self.pool(outputs)  # b t d
        return Trace(
            logits=self.classifier(seen.mean(dim=1)),
            step_logits=self.classifier(seen),
            memory=memory,
        )

    def remember(self, mean: Tensor, *, num_steps: int, sound: Tensor) -> None:
        """Carries a batch's mean final memory over, if memory starts so; training only.

        Takes the arguments of `InitialMemory.store`.
        """
        self.initial_memory.store(mean, num_steps=num_steps, sound=sound)


def walk(cell: Cell, inputs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Takes all steps, one after the other; `fast.walk` gives the same with less arithmetic.

    Args:
        cell: One step.
        inputs: Input tokens `(b t n d)`.
        memory: The initial memory `(b k m d)`.

    Returns:
        Output tokens `(b t u*r d)` and the final memory `(b k m d)`.
    """
    outputs = []
    for step in range(inputs.shape[1]):
        step_outputs, memory = cell(memory, inputs[:, step], step)
        outputs.append(step_outputs)
    return torch.stack(outputs, dim=1), memory


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
