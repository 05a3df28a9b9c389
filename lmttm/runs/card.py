"""What goes with a model that is taken away: its pre-processing written down, and a model card."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmttm.config.kinds import DATASETS, METRICS, PHANTOM
from lmttm.config.schema import Config
from lmttm.config.shape import in_words
from lmttm.data.tables import path_columns
from lmttm.report.volume_steps import volume_steps
from lmttm.runs.checkpoint import Checkpoint
from lmttm.storage import write_text

# Where the volumes of the MedMNIST data sets come from; their licence asks for it.
MEDMNIST = (
    "Trained on {name} of MedMNIST v2 (Yang et al., Scientific Data 10:41, 2023, doi "
    "10.1038/s41597-022-01721-8), licence CC BY 4.0."
)


def preprocessing(checkpoint: Checkpoint, class_names: tuple[str, ...]) -> dict[str, Any]:
    """What must happen to a volume before the exported model, as plain JSON."""
    config = checkpoint.config
    return {
        "input": "volumes",
        "shape": ["batch", config.num_channels, *config.shape],
        "axes": "batch, channel, D, H, W",
        "from_scan_to_bytes": volume_steps(config),
        "volume": config.volume.model_dump(),
        "dtype": "float32",
        "channels": _channels(config),
        "output": "logits; softmax gives one probability for each class",
        "classes": list(class_names),
        "flips_averaged_by_predict": config.augment.flip_axes if config.test_flips else [],
        "turns_averaged_by_predict": config.augment.turn_planes if config.test_turns else [],
    }


def _channels(config: Config) -> list[str]:
    """What each channel of the model's input is."""
    columns = path_columns(config.model.in_channels)
    several = len(columns) > 1
    channels = [
        "intensity" + (f" of {column}" if several else "") + ": byte / 255" for column in columns
    ]
    return channels + [
        "signed Euclidean distance to the surface of the mask "
        + (f"{columns[number]} " if several else "")
        + f"(bytes of at least 128), positive inside, in voxels / {max(config.shape)}; 0 where "
        "there is no surface"
        for number in config.distance_of
    ]


_CHOICE = {
    "best": "The epoch was chosen by the AUC of the validation split.",
    "last": "The weights are those of the last epoch; no split was used to choose an epoch.",
}


def model_card(
    checkpoint: Checkpoint,
    class_names: tuple[str, ...],
    scores: dict[str, Any] | None,
    notices: Sequence[str] = (),
) -> str:
    """A model card in Markdown.

    Args:
        checkpoint: The best checkpoint of the run.
        class_names: The names of the classes.
        scores: What predict.py wrote for the test split; None where it was not scored.
        notices: What a reader must know first, as sentences.

    Returns:
        The text.
    """
    config = checkpoint.config
    parameters = sum(parameter.numel() for parameter in checkpoint.build().parameters())
    validation = checkpoint.validation
    over = (scores or {}).get("interval_over", "volumes")
    lines = [
        *_header(checkpoint, scores),
        f"# Model card: {config.train.name}",
        "",
        "**Research software. Not a medical device, not for clinical use.**",
        "",
        *(f"**Note: {text}.**\n" for text in notices),
        "| | |",
        "|---|---|",
        f"| model | {config.model.in_words}, {parameters:,} parameters |",
        f"| data | {config.dataset_name}, {in_words(config.size)} voxels |",
        f"| classes | {', '.join(class_names)} |",
        f"| trained | {config.train.epoch} epochs at most, seed {config.seed}; the weights are "
        f"those of epoch {checkpoint.epoch}{_started(config)} |",
        f"| validation | AUC {_number(validation.get('val_auc'))}, "
        f"ACC {_number(validation.get('val_acc'))} |",
        "",
        "## From a scan to the model's input",
        "",
        *(f"- {name}: {text}." for name, text in volume_steps(config).items()),
        "",
        "Channels of the input, in this order:",
        "",
        *(f"{number}. {text}" for number, text in enumerate(_channels(config), 1)),
        "",
        "`lmttm.load_volume(path, config)` does this, and so does every command.",
        "",
        "## Protocol",
        "",
        _CHOICE[config.train.keep],
        "ACC is the share of volumes whose most probable class is right; AUC is MedMNIST's (of",
        "the second class for two classes, else the mean of one-versus-rest). Intervals are 95 %",
        f"bootstrap intervals over the {over}: they say nothing about another hospital, scanner",
        "or population.",
        "",
        "## Test scores",
        "",
    ]
    if scores is None:
        lines += ["The test split was not scored when this card was written.", ""]
    else:
        lines += [
            f"{scores['n']} volumes; the most frequent class alone would score ACC "
            f"{scores['majority']:.3f}.",
            "",
            "| score | value | 95 % interval |",
            "|---|---|---|",
            *(
                f"| {metric.label} | {_number(scores[name])} | "
                f"{_interval(scores['interval'].get(name))} |"
                for name, metric in METRICS.items()
            ),
            f"| calibration error | {scores['ece']:.3f} | |",
            "",
        ]
    if _is_medmnist(config.dataset_name):
        lines += ["## Data", "", MEDMNIST.format(name=config.dataset_name), ""]
    lines += [
        "## Limits",
        "",
        "The model knows only volumes like those of its training split: the same organ, cut out",
        "the same way, at the same size. It gives an answer for any volume of numbers, also for",
        "one that holds nothing of the kind. Its probabilities are not calibrated unless the",
        "scores say so.",
        "",
    ]
    return "\n".join(lines)


def _started(config: Config) -> str:
    """Where the training started, if not from fresh weights."""
    return f"; started from {config.train.start_from}" if config.train.start_from else ""


def _is_medmnist(dataset_name: str) -> bool:
    return dataset_name in DATASETS and dataset_name != PHANTOM


def _header(checkpoint: Checkpoint, scores: dict[str, Any] | None) -> list[str]:
    """The YAML block that model hubs read."""
    config = checkpoint.config
    lines = [
        "---",
        f"license: {'cc-by-4.0' if _is_medmnist(config.dataset_name) else 'apache-2.0'}",
        "library_name: lmttm",
        "pipeline_tag: image-classification",
        "tags: [medical, 3d, lmttm]",
        f"datasets: [{config.dataset_name}]",
    ]
    if scores:
        lines += [
            "model-index:",
            f"- name: {config.train.name}",
            "  results:",
            "  - task: {type: image-classification}",
            f"    dataset: {{type: {config.dataset_name.lower()}, name: {config.dataset_name}, "
            "split: test}",
            "    metrics:",
            f"    - {{type: accuracy, value: {scores['acc']:.4f}}}",
        ]
        if scores["auc"] is not None:
            lines.append(f"    - {{type: roc_auc, value: {scores['auc']:.4f}}}")
    return [*lines, "---", ""]


def write_documents(
    folder: Path,
    checkpoint: Checkpoint,
    class_names: tuple[str, ...],
    scores: dict[str, Any] | None,
    notices: Sequence[str] = (),
) -> None:
    """Writes preprocessing.json and model_card.md beside the exported model."""
    steps = json.dumps(preprocessing(checkpoint, class_names), indent=2) + "\n"
    write_text(folder / "preprocessing.json", steps)
    write_text(folder / "model_card.md", model_card(checkpoint, class_names, scores, notices))


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _interval(bounds: list[float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}"
