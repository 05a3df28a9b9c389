"""Weights, configuration and training state in one file, from which a model is rebuilt.

Beside each `X.pth` lies `X.pth.sha256`, as sha256sum writes it.
"""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lmttm.config.files import validate
from lmttm.config.paths import as_path
from lmttm.config.schema import Config
from lmttm.config.volume import complete
from lmttm.device import shapes_only
from lmttm.errors import InputError, one_line
from lmttm.model.build import build_model
from lmttm.model.trace import Classifier
from lmttm.storage import digest_of, raise_cause, whole_file, write_text

BEST = "best.pth"
LAST = "last.pth"
PREVIOUS = "last.prev.pth"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        config: The configuration that built the model.
        weights: The model's state dict.
        epoch: Epochs done, from 1.
        validation: Scores of the validation split after that epoch.
        training: In `last.pth`: what going on needs (`Trainer.state_dict`) and the records of
            all epochs; else empty.
        statistics: What the training volumes look like; see `data.statistics`.
        data: `Dataset.digest` of the data set; empty where the file does not have it.
        knows_volume: Whether it was written with a section `volume`.
    """

    config: Config
    weights: dict[str, torch.Tensor]
    epoch: int
    validation: dict[str, Any]
    training: dict[str, Any]
    statistics: dict[str, Any]
    data: str = ""
    knows_volume: bool = True

    def build(self) -> Classifier:
        """Rebuilds the model with the saved weights, on the CPU, in evaluation mode.

        Raises:
            InputError: The weights do not fit the configuration.
        """
        _check_weights(self.weights, self.config)
        pretrained = self.config.model.model_copy(update={"resnet_pretrained": False})
        model = build_model(self.config.model_copy(update={"model": pretrained}))
        model.load_state_dict(self.weights)
        return model.eval()

    def fingerprint(self) -> str:
        """The first 16 digits of the weights' SHA-256, which tells them from others."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.weights.items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).numpy().tobytes())
        return digest.hexdigest()[:16]


def _check_weights(weights: dict[str, Any], config: Config) -> None:
    """Compares names, types and shapes before the model takes any memory."""
    with shapes_only():
        plain = config.model.model_copy(update={"resnet_pretrained": False})
        expected = build_model(config.model_copy(update={"model": plain})).state_dict()
    reason = None
    firsts = {str(name).partition(".")[0] for name in weights}
    if len(firsts) == 1 and not firsts & {name.partition(".")[0] for name in expected}:
        reason = f"every name of the weights starts with {firsts.pop()}."
    elif missing := sorted(expected.keys() - weights.keys()):
        reason = f"{missing[0]} is missing"
    elif unknown := sorted(map(str, weights.keys() - expected.keys())):
        reason = f"{unknown[0]} has no place in it"
    for name, tensor in expected.items():
        got = weights.get(name)
        if reason is None and _kind(got) != _kind(tensor):
            reason = f"{name} must be {_kind(tensor)}, got {_kind(got)}"
    if reason:
        raise InputError(f"the checkpoint's weights do not fit its configuration: {reason}")


def _kind(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return f"a {type(value).__name__}"
    dense = "" if value.layout == torch.strided else "sparse "
    return f"{dense}{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"


def save(
    path: Path,
    *,
    config: Config,
    model: nn.Module,
    epoch: int,
    validation: dict[str, Any],
    training: dict[str, Any] | None = None,
    statistics: dict[str, Any] | None = None,
    data: str = "",
    previous: Path | None = None,
) -> None:
    """Writes a checkpoint, whole or not at all. `torch.load(weights_only=True)` reads it.

    At every moment there is a whole file with its checksum, under `path` or `previous`.

    Args:
        path: The file; its folder must exist.
        config: The configuration that built the model.
        model: The model.
        epoch: Epochs done.
        validation: Scores of the validation split.
        training: What going on with the training needs.
        statistics: What the training volumes look like.
        data: `Dataset.digest` of the data set.
        previous: The name that the former file takes once the new one is complete.

    Raises:
        RunError: The file cannot be written.
    """
    content = {
        "model": model.state_dict(),
        "config": config.model_dump(),
        "epoch": epoch,
        "validation": validation,
        "training": training or {},
        "statistics": statistics or {},
        "data": data,
    }
    with whole_file(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:
            raise_cause(temporary, error)
        digest = digest_of(temporary, "sha256")
        if previous and path.exists() and (former := _digests(path)):
            _write_digests(previous, former + _digests(previous))
            path.replace(previous)
            _write_digests(previous, former)
        # Until the new file has its name, the former's checksum is right as well.
        _write_digests(path, [digest, *_digests(path)])
    _write_digests(path, [digest])


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _digests(path: Path) -> list[str]:
    """The checksums that a file may have; none where they are unknown."""
    try:
        lines = _sidecar(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [line.split()[0] for line in lines if line.strip()]


def _write_digests(path: Path, digests: list[str]) -> None:
    write_text(_sidecar(path), "".join(f"{digest}  {path.name}\n" for digest in digests))


def load(path: Path) -> Checkpoint:
    """Reads a checkpoint. Nothing in the file can run (`weights_only`).

    Args:
        path: The file.

    Returns:
        Its content, on the CPU; the configuration has passed the schema.

    Raises:
        InputError: There is no such file, or it is damaged, or no checkpoint of this
            project.
    """
    if not path.is_file():
        raise InputError(f"there is no checkpoint {path}; train first: python train.py ...")
    known = _digests(path)
    if known and digest_of(path, "sha256") not in known:
        raise InputError(f"{path} is damaged: its SHA-256 is not the one in {_sidecar(path).name}")
    try:
        _refuse_inflation(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file may raise anything
        raise InputError(f"{path} is not a readable checkpoint: {one_line(error)}") from None
    names = ("model", "config", "validation", "training", "statistics")
    fields: dict[str, type] = {**dict.fromkeys(names, dict), "epoch": int}
    if not isinstance(content, dict) or any(
        not isinstance(content.get(name), kind) for name, kind in fields.items()
    ):
        raise InputError(f"{path} is not a checkpoint of this project")
    return Checkpoint(
        config=validate(complete(content["config"]), source=str(path)),
        weights=_plain_names(content["model"]),
        epoch=content["epoch"],
        validation=content["validation"],
        training=content["training"],
        statistics=content["statistics"],
        data=str(content.get("data", "")),
        knows_volume="volume" in content["config"],
    )


def _plain_names(weights: dict[str, Any]) -> dict[str, Any]:
    """Weights by the names of the plain model.

    `torch.compile` puts `_orig_mod.` before the names of what it wraps; `DataParallel`,
    `DistributedDataParallel` and `AveragedModel` put `module.` before all, the last of them
    beside its counter `n_averaged`.
    """
    plain = {str(name).replace("_orig_mod.", ""): value for name, value in weights.items()}
    inner = {name: value for name, value in plain.items() if name != "n_averaged"}
    while inner and all(name.startswith("module.") for name in inner):
        inner = {name.removeprefix("module."): value for name, value in inner.items()}
        plain = inner = {n.replace("_orig_mod.", ""): v for n, v in inner.items()}
    return plain


def _refuse_inflation(path: Path) -> None:
    """A checkpoint holds its tensors as they are: it cannot take more than its own size."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
            raise ValueError("it claims to hold more than its own size")


def load_run(run_dir: str | Path) -> tuple[Classifier, Config]:
    """Rebuilds the best model of a run.

    Args:
        run_dir: A folder that train.py made, such as `runs/Train`.

    Returns:
        The model in evaluation mode, on the CPU, and its configuration.

    Raises:
        InputError: The run has no valid checkpoint.
    """
    checkpoint = load(as_path(run_dir) / BEST)
    return checkpoint.build(), checkpoint.config
