"""The schema of a configuration: every key, its bounds and its one default."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lmttm.config.fields import (
    OneOf,
    spelling,
    to_dataset,
    to_noise_mode,
    to_path,
    to_start,
    to_warmup,
)
from lmttm.config.kinds import (
    DATASETS,
    LOGGERS,
    MEMORY_MODES,
    NOISES,
    OPTIMIZERS,
    POOLS,
    PROCESS_UNITS,
    TOKENIZERS,
)
from lmttm.config.shape import Edges, EdgesFrom, Shape, three
from lmttm.config.volume import VolumeConfig

Share = Annotated[float, Field(ge=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


# The upper bounds of whole numbers keep a slip, or the file of a stranger, from requesting more
# memory than there is.
class ModelConfig(_Section):
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


class TrainConfig(_Section):
    """The training of it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)] = Field(
        "Train", description="the run's folder in output_dir"
    )
    start_from: Annotated[str, BeforeValidator(to_start)] = Field(
        "",
        description="the folder of a trained run, or the name of shipped weights, whose weights "
        "are taken over where they fit; empty: fresh weights",
    )
    epoch: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        20, description="passes over the training split"
    )
    stop_auc: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="a validation AUC that ends the training once it is reached; 0: none"
    )
    optimizer: Annotated[str, OneOf(OPTIMIZERS), spelling(OPTIMIZERS)] = Field(
        "Adam", description="torch's optimizer of that name"
    )
    lr: Annotated[float, Field(gt=0)] = Field(1e-4, description="learning rate")
    weight_decay: Annotated[float, Field(ge=0)] = Field(1e-4, description="weight decay")
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="the learning rate after the warm-up"
    )
    warmup_steps: Annotated[int | float, BeforeValidator(to_warmup)] = Field(
        0,
        description="steps over which the learning rate rises from 0; below 1: "
        "their share of all steps",
    )
    clip_norm: Annotated[float, Field(ge=0)] = Field(
        0.0, description="largest norm of the gradient; 0: no clipping"
    )
    label_smoothing: Share = Field(0.0, description="share of a label spread over all classes")
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: in the loss, rare classes weigh as much as frequent ones"
    )
    ema: Share = Field(
        0.0, description="decay of the averaged weights that are validated and kept; 0: off"
    )
    keep: Literal["best", "last"] = Field(
        "best",
        description="the epoch whose weights best.pth holds: that of the best validation AUC, or "
        "the last",
    )
    accumulate: Annotated[int, Field(ge=1, le=65536)] = Field(
        1, description="parts in which a batch passes the model, to take less memory"
    )
    precision: Literal["fp32", "bf16", "auto"] = Field(
        "auto", description="of the products in training; auto: bf16 where it is fast"
    )
    compile: Literal["auto", "graph", "on", "off"] = Field(
        "auto",
        description="how the passes of training are launched: as a CUDA graph, compiled (on), or "
        "kernel by kernel (off); auto: as a graph on a GPU",
    )
    save_every: Annotated[int, Field(ge=0, le=10**9)] = Field(
        0, description="steps after which last.pth is saved within an epoch; 0: after epochs only"
    )
    logger: Annotated[str, OneOf(LOGGERS)] = Field(
        "none",
        description="where the configuration and the scores of each epoch are sent as well; wandb "
        "and mlflow must be installed",
    )


class AugmentConfig(_Section):
    """Random changes of a training batch. Each data set forbids some of them."""

    flip_axes: list[Literal["D", "H", "W"]] = Field(
        [], description="axes along which a volume may be mirrored"
    )
    turn_planes: list[Literal["DH", "DW", "HW"]] = Field(
        [], description="planes in which a volume may be turned by quarters"
    )
    shift: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="largest shift per axis, in voxels"
    )
    rotate: Annotated[float, Field(ge=0, le=180)] = Field(
        0.0, description="largest angle of a turn about each axis, in degrees"
    )
    scale: Share = Field(0.0, description="the shape is enlarged by a factor 1 - this to 1 + this")
    stretch: Share = Field(
        0.0, description="each axis is enlarged by a factor of its own, 1 - this to 1 + this"
    )
    elastic: Annotated[float, Field(ge=0, le=0.15)] = Field(
        0.0,
        description="largest distance, in edges of the volume, by which the points of a coarse "
        "grid are moved to bend the shape",
    )
    intensity: Share = Field(0.0, description="intensities are scaled by 1 - this to 1 + this")
    noise: Share = Field(0.0, description="largest standard deviation of noise on intensities")
    cutout: Share = Field(0.0, description="edges of a box that is blanked, in edges of the volume")
    mixup: Annotated[float, Field(ge=0, le=10)] = Field(
        0.0, description="alpha of the Beta distribution by which pairs are mixed; 0: off"
    )


class Config(_Section):
    """A whole configuration; the attributes are the keys of the JSON files."""

    batch_size: Annotated[int, Field(ge=1, le=65536)] = Field(
        32, description="volumes of a training step"
    )
    dataset_name: Annotated[str, BeforeValidator(to_dataset)] = Field(
        "AdrenalMNIST3D",
        description="one of the six MedMNIST 3D data sets, PhantomMNIST3D, or a path of your own",
    )
    root: Annotated[str, BeforeValidator(to_path)] = Field(
        "./datasets_data/medmnist", description="folder of the npz files"
    )
    size: Annotated[Edges, BeforeValidator(EdgesFrom("size", 8, 256))] = Field(
        28,
        description="edge of a volume in voxels, 8 to 256, or three along D, H, W; 28 or 64 for "
        "MedMNIST",
    )
    distance: Literal["off", "on", "auto"] = Field(
        "off",
        description="a signed distance channel for shape masks; auto: where all volumes, or of "
        "cases of several scans all volumes of one scan, are masks",
    )
    folds: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="cross-validation: parts of training + validation split; 0: official splits"
    )
    fold: Annotated[int, Field(ge=0, le=99)] = Field(
        0, description="the part that is the validation split"
    )
    test_flips: bool = Field(
        False, description="predictions are averaged over the flips of augment.flip_axes"
    )
    test_turns: bool = Field(
        False, description="predictions are averaged over the turns of augment.turn_planes"
    )
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = Field(
        "auto", description="auto, cpu, cuda, cuda:N or mps"
    )
    memory_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.3,
        description="of the device's memory that the volumes of a split may take; those of a "
        "larger split are loaded batch by batch",
    )
    fast: bool = Field(True, description="take the steps in the form that saves arithmetic")
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = Field(
        3407, description="of everything random"
    )
    output_dir: Annotated[str, BeforeValidator(to_path)] = Field(
        "runs", description="folder of the runs"
    )
    cache: Annotated[str, BeforeValidator(to_path)] = Field(
        "auto",
        description="folder of prepared scans, which are patients' images; auto: ~/.cache/lmttm, "
        "off: none is kept",
    )
    leaks: Literal["refuse", "allow"] = Field(
        "refuse", description="what happens where a scan or a patient is in two splits"
    )
    class_names: list[str] = Field(
        [], description="names of the classes; empty: those of the data set"
    )
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    augment: AugmentConfig = AugmentConfig()
    volume: VolumeConfig = VolumeConfig()

    @property
    def shape(self) -> Shape:
        """Voxels of a volume along D, H, W."""
        return three(self.size)

    @property
    def averaged_views(self) -> str:
        """What predictions are averaged over, such as `mirrored and turned`; empty: nothing."""
        views = {"mirrored": self.test_flips, "turned": self.test_turns}
        return " and ".join(word for word, averaged in views.items() if averaged)

    @property
    def grey_shape(self) -> tuple[int, ...]:
        """Of a volume of bytes: D H W, before them the grey channels where there are several."""
        number = self.model.in_channels
        return self.shape if number == 1 else (number, *self.shape)

    @property
    def distance_of(self) -> tuple[int, ...]:
        """The grey channels, from 0, whose distances are channels of the model's input as well.

        Of cases of several scans those that are masks.
        """
        if self.distance != "on":
            return ()
        if self.model.in_channels == 1:
            return (0,)
        channels = self.volume.channels(self.model.in_channels)
        return tuple(n for n, channel in enumerate(channels) if channel.kind == "masks")

    @property
    def num_channels(self) -> int:
        """Channels of the model's input: the grey ones, and behind them distances."""
        return self.model.in_channels + len(self.distance_of)

    @property
    def run_dir(self) -> Path:
        """Folder that holds everything of the run."""
        return Path(self.output_dir) / self.train.name

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        if any(patch > edge for patch, edge in zip(self.model.patch, self.shape, strict=True)):
            raise ValueError(
                "model.patch_size must not be larger than the volume, "
                f"got patch_size={self.model.patch_size}, size={self.size}"
            )
        edges = dict(zip("DHW", self.shape, strict=True))
        if uneven := [p for p in self.augment.turn_planes if edges[p[0]] != edges[p[1]]]:
            raise ValueError(
                "augment.turn_planes must name planes whose edges are equal, "
                f"got {uneven[0]} with size={self.size}"
            )
        named = DATASETS.get(self.dataset_name)
        if named and self.size not in named.sizes:
            sizes = " or ".join(map(str, named.sizes))
            raise ValueError(f"size must be {sizes} for {self.dataset_name}, got {self.size}")
        if self.folds == 1 or self.fold >= max(self.folds, 1):
            raise ValueError(
                "folds must be 0 or at least 2, and fold less than folds, "
                f"got folds={self.folds}, fold={self.fold}"
            )
        return self
