"""Published scores in the documents are those of the tables that name their sources."""

from lmttm.config.kinds import DATASETS, PHANTOM
from lmttm.report.published import published
from tests.scripts.documents import (
    ACCURACY,
    README,
    cells,
    part,
)


def test_published_numbers_are_the_papers():
    for name in DATASETS:
        if name == PHANTOM:
            continue
        (ttm, lmttm) = published(name)[-2:]
        texts = [f"{acc:.3f} / {auc:.3f}".replace("0.", ".") for _, auc, acc in (lmttm, ttm)]
        assert cells(README, name)[:2] == texts, name


def test_the_best_published_scores_are_those_of_the_tables():
    """Guards against a best published network that is not the best of its table."""
    table = part(ACCURACY, "Beside published results")
    names = ("AdrenalMNIST3D", "VesselMNIST3D")
    for size, methods in {
        28: ("LMTTM", "ResNet-18 ACS", "auto-sklearn"),
        64: ("ResNet-50 3D", "Raptor-B", "Raptor, ", "VoCo-L", "SuPreM"),
    }.items():
        for method in methods:
            found = [row for name in names for row in published(name, size) if method in row[0]]
            found = [row for row in found if not row[0].startswith("TTM")]
            texts = [f"{acc:.3f} / {auc:.3f}".replace("0.", ".") for _, auc, acc in found]
            lines = [line for line in table.splitlines() if line.startswith(f"| {method}")]
            assert [cell.strip() for cell in lines[0].strip("|").split("|")][1:3] == texts, method
    for name in names:
        for size, papers in {28: lambda row: "paper" not in row[0], 64: lambda row: True}.items():
            rows_of = [row for row in published(name, size) if papers(row)]
            by_auc, by_acc = (max(rows_of, key=lambda row: row[key]) for key in (1, 2))
            table = README.split("64^3, not comparable")[size == 64]
            shown_best = [line for line in table.splitlines() if line.startswith("| best AUC")]
            both = [by_auc] if by_auc == by_acc else [by_auc, by_acc]
            text = " | ".join(
                " / ".join(f"{row[key]:.3f}".replace("0.", ".") for row in both) for key in (2, 1)
            )
            assert any(text in line for line in shown_best), (name, size, text)
