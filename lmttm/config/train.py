"""The section `train`: how the weights are found, which are kept, and the name of the run."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from lmttm.config.fields import OneOf, Section, Share, spelling, to_start, to_warmup
from lmttm.config.kinds import LOGGERS, OPTIMIZERS


class TrainConfig(Section):
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
