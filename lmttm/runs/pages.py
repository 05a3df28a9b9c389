"""The pages of a run: what report.html says about its configuration and its protocol."""

import json
from collections.abc import Sequence
from pathlib import Path
from shlex import join, quote
from typing import TYPE_CHECKING, Any

from lmttm.config.shape import in_words
from lmttm.data.chosen import Arrays
from lmttm.data.dataset import Dataset
from lmttm.data.tables import ALL, split_in_words
from lmttm.report import text
from lmttm.report.report_page import report_page
from lmttm.report.style import run_names
from lmttm.runs.checkpoint import Checkpoint
from lmttm.runs.folder import CONFIG, LOG
from lmttm.runs.folds import are_folds
from lmttm.runs.results import Scores
from lmttm.storage import last_part, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LIMITS = (
    "The scores are of one split of one data set. Scans of another hospital, device or protocol "
    "may be classified worse, and nothing here shows by how much.",
    "Intervals say what another draw of volumes would change, not what another training would; "
    "repeat the training with several seeds to see that.",
    "A probability is the model's, for data like those it was trained on. See the reliability "
    "plot for how far it can be taken at its word.",
)


def report(
    scores: Scores,
    dataset: Dataset,
    members: Sequence[Checkpoint],
    names: Sequence[str],
    output_dir: Path,
    score_figure: "Figure",
    notices: Sequence[str] = (),
) -> str:
    """Builds report.html.

    Args:
        scores: Of the split.
        dataset: The data set.
        members: The checkpoints that were scored.
        names: The names of their runs.
        output_dir: The folder that their runs lie in now; one that does not lie there is a
            shipped model.
        score_figure: The picture of the scores, which `results.write_scores` has drawn.
        notices: What a reader must know first, as sentences.

    Returns:
        HTML.
    """
    config, split = members[0].config, dataset.splits[scores.metrics["split"]]
    return report_page(
        title=f"{run_names(names)}: {last_part(dataset.name)}, {split_in_words(split.name)}, "
        f"{len(split)} volumes",
        facts=_facts(dataset, members, names),
        protocol=[*_protocol(scores.metrics, members), *_beside(scores)],
        scores=scores.metrics,
        history=_history(output_dir / names[0]) if len(members) == 1 else [],
        labels=scores.labels,
        probabilities=scores.probabilities,
        images=Arrays(split.images),
        class_names=scores.class_names,
        volume_names=[printable(path) for path in split.paths]
        if split.paths
        else [f"{split.name} #{index}" for index in range(len(split))],
        limits=_LIMITS,
        commands=_commands(output_dir, names, scores.metrics),
        size=config.size,
        score_figure=score_figure,
        notices=notices,
    )


def _facts(dataset: Dataset, members: Sequence[Checkpoint], names: Sequence[str]) -> dict[str, str]:
    config, train = members[0].config, members[0].config.train
    number = config.model.in_channels
    counts = ", ".join(
        f"{len(split)} scans" if name == ALL else f"{len(split)} {name}"
        for name, split in dataset.splits.items()
    )
    changes = [
        f"{key} {' '.join(value) if isinstance(value, list) else value}"
        for key, value in config.augment.model_dump().items()
        if value
    ]
    return {
        "trained on": f"{config.dataset_name}, volumes of {in_words(config.size)} voxels"
        + (f" in {number} channels; pictures show the first" if number > 1 else ""),
        "scored on": dataset.name,
        "volumes": counts,
        "classes": ", ".join(dataset.class_names),
        "model": config.model.in_words,
        "runs": ", ".join(names),
        "seeds": ", ".join(str(member.config.seed) for member in members),
        "weights of epoch": ", ".join(str(member.epoch) for member in members),
        "training": f"{train.optimizer}, learning rate {train.lr:g} ({train.schedule}), weight "
        f"decay {train.weight_decay:g}, batches of {config.batch_size}, {train.precision}",
        "augmentation": ", ".join(changes) or "none",
    }


def _protocol(scores: dict[str, Any], members: Sequence[Checkpoint]) -> list[str]:
    config, out_of_fold = members[0].config, are_folds(members) and scores["split"] == "val"
    whole = "set" if scores["split"] == ALL else f"{scores['split']} split"
    chosen = {
        "best": "The weights are those of the epoch with the best validation AUC.",
        "last": "The weights are those of the last epoch; no epoch was chosen.",
    }
    texts = [
        chosen[config.train.keep],
        f"All {scores['n']} volumes of the {whole} were scored once, in "
        f"{'the order of the folds' if out_of_fold else 'file order'}, in fp32, without "
        "augmentation.",
        "ACC and AUC follow MedMNIST's evaluator.",
    ]
    if config.averaged_views:
        texts.append(f"The logits are averaged over {config.averaged_views} copies of each volume.")
    if out_of_fold:
        texts.append("Each volume was scored by the one run that was not trained on it.")
    elif len(members) > 1:
        texts.append(f"The probabilities are the mean of {len(members)} runs.")
    if "interval" in scores:
        over = scores.get("interval_over", "volumes")
        texts.append(f"Intervals are 95 % bootstrap intervals over the {over} (1000 resamples).")
    return texts


def _beside(scores: Scores) -> list[str]:
    """What a temperature or a threshold, both chosen on validation, would change."""
    texts = []
    if scores.calibrated:
        found = scores.calibrated.metrics
        texts.append(
            f"At the temperature {text.temperatures(found)}, the calibration error is "
            f"{found['ece']:.3f} instead of {found['ece_uncalibrated']:.3f}; the other numbers "
            "of this report are without it."
        )
        texts += [
            f"The temperature of {name} stays 1: {kept}."
            for name, kept in zip(scores.metrics["runs"], found["kept_at_1"], strict=True)
            if kept
        ]
    if scores.threshold:
        chosen, here = scores.threshold, scores.threshold[scores.metrics["split"]]
        shares = ", ".join(
            f"{name} {here[name]:.3f}"
            for name in ("sensitivity", "specificity")
            if here[name] is not None
        )
        texts.append(
            f"The threshold {chosen['value']:.3f} was chosen on validation ({chosen['rule']}); "
            f"here it gives {shares}. A diamond marks it in the figure; all other numbers of "
            "this report count the larger probability."
        )
    return texts


def _history(folder: Path) -> list[dict[str, Any]]:
    """The records of the epochs; none for shipped weights, whose folder has no log."""
    try:
        lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]
    except (OSError, ValueError):
        return []


def _commands(output_dir: Path, names: Sequence[str], scores: dict[str, Any]) -> list[str]:
    """What trains and scores the run again, from its own complete configuration."""
    split = scores["split"]
    data = f" --data {quote(scores['dataset'])}"
    options = {"test": "", ALL: data}.get(split, f" --split {split}")
    files = [output_dir / name / CONFIG for name in names]
    if not files[0].is_file():
        return [f"python predict.py {quote(names[0])}{options}"]
    runs = f" --runs {join(names)}" if len(names) > 1 else ""
    train = [f"python train.py {quote(str(file))} --replace" for file in files]
    return [*train, f"python predict.py {quote(str(files[0]))}{options}{runs}"]
