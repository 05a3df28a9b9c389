"""The plan of the house: rooms import one way, and every module has a test file of its own."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From the bottom up: a room imports from itself and from the rooms before it in this list. The
# modules that belong to no room (errors, storage, device, process, cli) are the bottom.
ROOMS = [
    "",
    "config",
    "model",
    "data",
    "evaluation",
    "report",
    "runs",
    "training",
    "sweeps",
    "serving",
]

# `lmttm/__init__.py` exports what users need, so it stands above all rooms.
PACKAGE = "lmttm"


def name_of(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted((ROOT / "lmttm").rglob("*.py"))}


def room_of(module: str) -> str:
    """The room of a module; an empty text for the modules at the bottom."""
    folder = MODULES[module].parent.relative_to(ROOT / "lmttm").as_posix()
    return "" if folder == "." else folder


def imported(source: str, modules: dict[str, Path], package: str) -> Iterator[str]:
    """The modules of this project that a source text imports, at its top or within functions.

    Args:
        source: Python.
        modules: The modules that there are, by name.
        package: The package that the text lies in, from which relative imports start.

    Yields:
        Names out of `modules`; a name outside of them is somebody else's.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                origin = ".".join([*above, *([origin] if origin else [])])
            # `from lmttm.runs import folder` names a module, `from lmttm.errors import E` does not.
            inner = [f"{origin}.{alias.name}" for alias in node.names]
            names = [name if name in modules else origin for name in inner]
        else:
            continue
        yield from (name for name in names if name in modules)


def imports_of(module: str) -> set[str]:
    """The modules of the package that a module of it imports."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return set(imported(path.read_text(encoding="utf-8"), MODULES, package))


def test_the_parser_finds_every_kind_of_import():
    """The tests below are worth what this finds."""
    source = """
import lmttm.errors as faults
from lmttm.runs import folder, nothing
from ..config.schema import Config
from . import curves

def late():
    from lmttm.model.build import build_model
    import numpy
"""
    modules = dict.fromkeys(
        [
            *("lmttm.errors", "lmttm.runs", "lmttm.runs.folder", "lmttm.config.schema"),
            *("lmttm.report.curves", "lmttm.model.build"),
        ],
        Path(),
    )
    assert set(imported(source, modules, "lmttm.report")) == set(modules)


@pytest.mark.parametrize("module", [name for name in MODULES if name != PACKAGE])
def test_rooms_import_one_way(module):
    """Guards against a room that needs a later one, and so cannot be read by itself."""
    allowed = ROOMS[: ROOMS.index(room_of(module)) + 1]
    upwards = {name for name in imports_of(module) if name == PACKAGE}
    upwards |= {name for name in imports_of(module) if room_of(name) not in allowed}
    assert not upwards


def test_there_is_no_circle_of_imports():
    """Guards against a circle of imports, within a room as well."""
    graph = {name: imports_of(name) - {name} for name in MODULES if name != PACKAGE}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_the_package_imports_no_script():
    scripts = {path.stem for path in [*ROOT.glob("*.py"), *(ROOT / "tools").glob("*.py")]}
    for name, path in MODULES.items():
        found = imported(
            path.read_text(encoding="utf-8"), dict.fromkeys(scripts | {"tools"}, path), name
        )
        assert not set(found), name


@pytest.mark.parametrize("module", [n for n, p in MODULES.items() if p.name != "__init__.py"])
def test_every_module_has_a_test_file(module):
    """Guards against a module that is only tested by chance, from somewhere else."""
    *rooms, name = module.split(".")[1:]
    path = ROOT.joinpath("tests", *rooms, f"test_{name}.py")
    assert path.is_file(), f"write {path.relative_to(ROOT)}"
    assert "def test_" in path.read_text(encoding="utf-8")
    tested = set(imported(path.read_text(encoding="utf-8"), MODULES, ""))
    # By its own name, or through the room's module that users call, or the package.
    own = {name for name in MODULES if room_of(name) == room_of(module)} | {PACKAGE}
    assert tested & own, f"{path.relative_to(ROOT)} imports nothing beside {module}"


def test_every_room_says_what_it_is():
    for room in ROOMS[1:]:
        source = (ROOT / "lmttm" / room / "__init__.py").read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(source)), room
