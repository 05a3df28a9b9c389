"""The section `model`: tokenizer, memory, Memory Distillation Unit, classifier."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from lmttm.config.fields import OneOf, Section, Share, spelling, to_noise_mode
from lmttm.config.kinds import MEMORY_MODES, NOISES, POOLS, PROCESS_UNITS, TOKENIZERS
from lmttm.config.shape import Edges, EdgesFrom, Shape, three


class ModelConfig(Section):
    """The machine: tokenizer, memory, Memory Distillation Unit, classifier."""

    model: Annotated[
        Literal["lmttm", "ttm", "resnet3d"], spelling(("lmttm", "ttm", "resnet3d"))
    ] = Field(
        "lmttm",
        description="ttm is the same machine with one unit that is its own neighbourhood; "
        "resnet3d is a baseline without memory, which takes only in_channels and out_class_num "
        "of this section",
    )
    drop_r: Share = Field(0.2, description="dropout of the summarizers and of the processing unit")
    preprocess_mode: Annotated[str, OneOf(TOKENIZERS)] = Field("3d", description="tokenizer")
    process_unit: Annotated[str, OneOf(PROCESS_UNITS)] = Field(
        "transformer", description="Memory Distillation Unit"
    )
    memory_mode: Annotated[str, OneOf(MEMORY_MODES)] = Field(
        "TL", description="how memory is read and written"
    )
    in_channels: Annotated[int, Field(ge=1, le=64)] = Field(
        1,
        description="grey values of a voxel, one from each scan of a case; it follows the data "
        "set, so it may be left at 1",
    )
    dim: Annotated[int, Field(ge=1, le=16384)] = Field(448, description="width of a token")
    memory_tokens_size: Annotated[int, Field(ge=1, le=65536)] = Field(
        448, description="tokens of the whole memory"
    )
    num_blocks: Annotated[int, Field(ge=1, le=65536)] = Field(
        4, description="units of the memory (lmttm only)"
    )
    radius: Annotated[int, Field(ge=0, le=65536)] = Field(
        1, description="neighbours read on each side of the current unit"
    )
    summarize_num_tokens: Annotated[int, Field(ge=1, le=4096)] = Field(
        8, description="tokens that the read of one unit gives"
    )
    out_class_num: Annotated[int, Field(ge=2, le=1000)] = Field(
        2, description="classes of the data set"
    )
    patch_size: Annotated[Edges, BeforeValidator(EdgesFrom("model.patch_size", 1, 64))] = Field(
        3, description="edge of a patch in voxels, or three along D, H, W; a slab is a patch deep"
    )
    patch_stride: Annotated[Edges, BeforeValidator(EdgesFrom("model.patch_stride", 0, 64))] = Field(
        0, description="distance of patches, or three; 0: patch_size, less: patches overlap"
    )
    border: Literal["crop", "pad"] = Field(
        "crop", description="voxels behind the last whole patch: left out, or padded"
    )
    stem: Annotated[int, Field(ge=0, le=256)] = Field(
        0,
        description="channels of two convolutions at full resolution before the tokenizer; 0: none",
    )
    resnet_pretrained: bool = Field(
        False, description="ImageNet weights for the tokenizer resnet18"
    )
    read_use_positional_embedding: bool = Field(True, description="position table of the read")
    write_use_positional_embedding: bool = Field(True, description="position table of the write")
    memory_start: Literal["zeros", "learned", "carried"] = Field(
        "carried", description="what every volume's memory starts from"
    )
    load_memory_add_noise: bool = Field(
        True, description="noise on the carried memory, in training only"
    )
    load_memory_add_noise_mode: Annotated[str, OneOf(NOISES), BeforeValidator(to_noise_mode)] = (
        Field("normal", description="distribution of that noise")
    )
    num_heads: Annotated[int, Field(ge=1, le=1024)] = Field(8, description="attention heads")
    mlp_ratio: Annotated[int, Field(ge=1, le=64)] = Field(
        3, description="width of a feed-forward layer, in dim"
    )
    depth: Annotated[int, Field(ge=1, le=256)] = Field(
        3, description="layers of the processing unit"
    )
    share_layers: bool = Field(
        True, description="one layer's weights serve all of them (published)"
    )
    norm: Literal["post", "pre"] = Field("post", description="place of LayerNorm in a layer")
    mark_neighbours: bool = Field(
        False, description="a learned vector tells the reads of the neighbours apart"
    )
    drop_path: Share = Field(
        0.0, description="share of volumes that skip a layer of the processing unit in training"
    )
    pool: Annotated[str, OneOf(POOLS)] = Field(
        "mean", description="how the output tokens are joined before the classifier"
    )

    @property
    def patch(self) -> Shape:
        """Edges of a patch along D, H, W, in voxels."""
        return three(self.patch_size)

    @property
    def stride(self) -> Shape:
        """Distances of patches along D, H, W, in voxels."""
        edges = zip(three(self.patch_stride), self.patch, strict=True)
        depth, height, width = (stride or edge for stride, edge in edges)
        return depth, height, width

    @property
    def num_units(self) -> int:
        """Units of the ring, k."""
        return 1 if self.model == "ttm" else self.num_blocks

    @property
    def has_memory(self) -> bool:
        """Whether the machine has a memory."""
        return MEMORY_MODES[self.memory_mode].write is not None

    @property
    def in_words(self) -> str:
        """The model at a glance."""
        if self.model == "resnet3d":
            return "resnet3d, torchvision's r3d_18"
        if not self.has_memory:
            return f"{self.model} without memory, dim {self.dim}"
        unit_tokens = self.memory_tokens_size // self.num_units
        return f"{self.model}, {self.num_units} x {unit_tokens} memory tokens, dim {self.dim}"

    @property
    def noise(self) -> str:
        """The noise mode that is in force."""
        return self.load_memory_add_noise_mode if self.load_memory_add_noise else "none"

    @model_validator(mode="after")
    def _fits(self) -> "ModelConfig":
        faults = []
        if self.dim % self.num_heads:
            faults.append(
                "model.dim must be divisible by model.num_heads, "
                f"got dim={self.dim}, num_heads={self.num_heads}"
            )
        if self.has_memory and self.memory_tokens_size % self.num_units:
            faults.append(
                "model.memory_tokens_size must be divisible by model.num_blocks, "
                f"got memory_tokens_size={self.memory_tokens_size}, num_blocks={self.num_blocks}"
            )
        if any(step > edge for step, edge in zip(self.stride, self.patch, strict=True)):
            faults.append(
                "model.patch_stride must not be larger than model.patch_size, "
                f"got patch_stride={self.patch_stride}, patch_size={self.patch_size}"
            )
        if faults:
            raise ValueError("\n".join(faults))
        return self
