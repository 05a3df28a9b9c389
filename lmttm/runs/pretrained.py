"""Small trained models that travel with the package: `weights/<dataset>_<size>/`.

Each folder holds model.safetensors, config.json (what the model was trained with), run.json
(epoch, validation scores, statistics of the training volumes), metrics.json (test scores),
README.md (model card) and SHA256SUMS.
"""

import json
from pathlib import Path
from typing import Any

from lmttm.config.files import to_json, validate
from lmttm.config.schema import Config
from lmttm.config.volume import complete
from lmttm.errors import InputError, one_line
from lmttm.runs.card import model_card
from lmttm.runs.checkpoint import Checkpoint
from lmttm.storage import digest_of, whole_file, write_text

WEIGHTS, SUMS = "model.safetensors", "SHA256SUMS"
_CHECKED = (WEIGHTS, "config.json", "run.json", "metrics.json")

_PACKAGE = Path(__file__).resolve().parents[1]
# In an installed package, and in a clone.
_FOLDERS = (_PACKAGE / "shipped_weights", _PACKAGE.parent / "weights")


def shipped() -> dict[str, Path]:
    """The folders of the shipped models, by name."""
    found: dict[str, Path] = {}
    for folder in _FOLDERS:
        for path in sorted(folder.glob(f"*/{WEIGHTS}")):
            found.setdefault(path.parent.name, path.parent)
    return found


def save(
    folder: Path,
    checkpoint: Checkpoint,
    class_names: tuple[str, ...],
    scores: dict[str, Any] | None,
) -> None:
    """Writes a checkpoint in the form of the shipped models.

    Args:
        folder: The folder to make; its name becomes the model's.
        checkpoint: The best checkpoint of a run.
        class_names: The names of the classes.
        scores: What metrics.json of the test split holds; None where it was not scored.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config = _without_places(checkpoint.config, folder.name)
    placed = Checkpoint(
        config,
        checkpoint.weights,
        checkpoint.epoch,
        checkpoint.validation,
        {},
        checkpoint.statistics,
    )
    with whole_file(folder / WEIGHTS) as temporary:
        save_file({name: t.contiguous() for name, t in placed.weights.items()}, temporary)
    about = {
        "epoch": placed.epoch,
        "validation": placed.validation,
        "statistics": placed.statistics,
    }
    write_text(folder / "config.json", to_json(config))
    write_text(folder / "run.json", json.dumps(about, indent=2) + "\n")
    write_text(folder / "metrics.json", json.dumps(scores, indent=2) + "\n")
    write_text(folder / "README.md", model_card(placed, class_names, scores))
    sums = [f"{digest_of(folder / name, 'sha256')}  {name}\n" for name in _CHECKED]
    write_text(folder / SUMS, "".join(sums))


def _without_places(config: Config, name: str) -> Config:
    """The configuration without what belongs to one machine."""
    fields = Config.model_fields
    places = {key: fields[key].default for key in ("root", "device", "output_dir", "cache")}
    train = {"name": name, "start_from": Path(config.train.start_from).name}
    return config.model_copy(update={**places, "train": config.train.model_copy(update=train)})


def load(folder: Path) -> Checkpoint:
    """Reads a shipped model.

    Args:
        folder: Its folder.

    Returns:
        Its checkpoint, without training state.

    Raises:
        InputError: A file is missing, damaged, or holds something else.
    """
    from safetensors.torch import load_file

    try:
        for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
            digest, name = line.split()
            if digest_of(folder / name, "sha256") != digest:
                raise InputError(f"{folder / name} is damaged: its SHA-256 is not that in {SUMS}")
        document = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
    except InputError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise InputError(f"{folder} is not a shipped model: {one_line(error)}") from None
    return Checkpoint(
        config=validate(complete(document), source=str(folder / "config.json")),
        weights=weights,
        epoch=about["epoch"],
        validation=about["validation"],
        training={},
        statistics=about["statistics"],
    )
