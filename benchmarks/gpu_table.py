"""The table of what `gpu.py` has measured, in Markdown."""

from typing import Any


def table(result: dict[str, Any]) -> str:
    """One table of throughput and memory, and below it the recipe's seconds.

    Args:
        result: As in `gpu.json`; parts may be missing or have ended early.
    """
    rows = [row for part in result["parts"].values() for row in part["rows"]]
    known = {key: value for row in rows for key, value in row.items()}
    lines = [
        f"{known.get('device', 'device unknown')}, torch {known.get('torch', '?')}, "
        f"{known.get('date', 'no date')}; {' '.join([result['config'], *result['overrides']])}",
        "",
    ]
    if "matrix_gflops" in known:
        rates = ", ".join(f"{v / 1000:.1f} in {k}" for k, v in known["matrix_gflops"].items())
        lines += [f"A square matrix product reaches, in TFLOP/s: {rates}.", ""]
    lines += [
        "| form | | precision | batch | volumes/s (slowest to fastest) | of the matrix rate "
        "| peak GiB | first, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row, known) for row in rows if "mode" in row]
    lines += ["", *_recipes(rows)]
    unfinished = [
        f"- {name}: {part['outcome']}"
        for name, part in result["parts"].items()
        if part["outcome"] != "done"
    ]
    return "\n".join([*lines, *unfinished]).rstrip() + "\n"


def _line(row: dict[str, Any], known: dict[str, Any]) -> str:
    speed = f"{row['volumes_per_second']:.1f} ({row['slowest']:.1f} to {row['fastest']:.1f})"
    share = fraction(row, known)
    cells = [
        row["form"],
        row["mode"],
        row["precision"],
        row["batch"],
        speed,
        "-" if share is None else f"{share:.2f}",
        row["peak_gib"],
        row["first_seconds"],
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def fraction(row: dict[str, Any], known: dict[str, Any]) -> float | None:
    """The share of the measured matrix rate that a form reaches; a training step is 3 forwards."""
    if "matrix_gflops" not in known or "gflop_per_volume" not in known:
        return None
    gflop = known["gflop_per_volume"]["plain" if row["form"] == "plain" else "fast"]
    passes = 3 if row["mode"] == "training" else 1
    work: float = passes * gflop * row["volumes_per_second"]
    return work / float(known["matrix_gflops"][row["precision"]])


def _recipes(rows: list[dict[str, Any]]) -> list[str]:
    latest = {row["compile"]: row for row in rows if "recipe" in row}
    lines = []
    for row in latest.values():
        text = (
            f"- {row['recipe']} on {row['data']}, train.compile={row['compile']}: train.py took "
            f"{row['train_seconds']} s for {row['epochs']} epochs (the first "
            f"{row['first_epoch_seconds']} s, then {row['epoch_seconds']} s each)"
        )
        if "predict_seconds" in row:
            text += (
                f", predict.py {row['predict_seconds']} s; test ACC {row['acc']:.3f}, "
                f"AUC {row['auc']:.3f}"
            )
        lines.append(text)
    return [*lines, ""] if lines else []
