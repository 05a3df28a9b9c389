"""The whole configuration: the keys of the top level, and the checks across sections.

Every key stands once, with its bounds and its one default: those of a section in the module of its
name (`model.py`, `train.py`, `augment.py`, `volume.py`), all others here.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from lmttm.config.augment import AugmentConfig
from lmttm.config.fields import Section, to_dataset, to_path
from lmttm.config.kinds import DATASETS
from lmttm.config.model import ModelConfig
from lmttm.config.shape import Edges, EdgesFrom, Shape, three
from lmttm.config.train import TrainConfig
from lmttm.config.volume import VolumeConfig

__all__ = ["AugmentConfig", "Config", "ModelConfig", "TrainConfig", "VolumeConfig"]


class Config(Section):
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
        [], description="names of classes that have numbers only; empty: those of the data set"
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
