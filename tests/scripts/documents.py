"""The documents with numbers, the raw numbers in results/, and how both are read."""

import json
import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
README, ACCURACY, ABLATIONS, PERFORMANCE = (
    (ROOT / name).read_text()
    for name in ("README.md", "docs/accuracy.md", "docs/ablations.md", "docs/performance.md")
)


def seeds_of(folder):
    paths = [p for p in sorted((RESULTS / folder).glob("*/metrics.json")) if p.parts[-2].isdigit()]
    if paths:
        return [json.loads(path.read_text()) for path in paths]
    lines = (RESULTS / folder / "seeds.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def value(row, key):
    """A score of a run: a key of metrics.json, or sensitivity, specificity, validation AUC."""
    if key in ("specificity", "sensitivity"):
        return row["per_class"]["recall"][key == "sensitivity"]
    return row["validation"]["val_auc"] if key == "validation" else row[key]


def shown(found, key, plain=False):
    values = [row[key] if plain else value(row, key) for row in found]
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def cells(document, first):
    """The cells of the line of a table that begins so; the line must be the only one."""
    (line,) = [line for line in document.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def part(document, title):
    """A section of a document, up to the next title."""
    return re.split(r"^## ", document.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def prose(text):
    return " ".join(text.split())


def under_bold_lines(section):
    """The lines of a table by the bold line above them: name -> first cell -> other cells."""
    found, name = {}, ""
    for line in section.splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| **"):
            name = row[0].strip("*")
            found[name] = {}
        elif line.startswith("| ") and name:
            found[name][row[0]] = row[1:]
    return found
