"""The tables of parts: what stands behind each name, and what derives from them."""

import ast
import inspect
import sys
from pathlib import Path

import pytest

from lmttm.config import kinds
from lmttm.config.files import load_config
from lmttm.config.keys import reference
from lmttm.errors import InputError

PATHS = {
    "TOKENIZERS": kinds.TOKENIZERS.values(),
    "MEMORY_MODES": [part for mode in kinds.MEMORY_MODES.values() for part in mode if part],
    "PROCESS_UNITS": kinds.PROCESS_UNITS.values(),
    "POOLS": kinds.POOLS.values(),
    "NOISES": [path for path in kinds.NOISES.values() if path],
    "OPTIMIZERS": kinds.OPTIMIZERS.values(),
    "LOGGERS": [path for path in kinds.LOGGERS.values() if path],
    "DATASETS": [named.source for named in kinds.DATASETS.values()],
    "METRICS": [path for m in kinds.METRICS.values() for path in (m.function, m.resampled) if path],
}
KEYS = {
    "model.preprocess_mode": kinds.TOKENIZERS,
    "model.memory_mode": kinds.MEMORY_MODES,
    "model.process_unit": kinds.PROCESS_UNITS,
    "model.pool": kinds.POOLS,
    "model.load_memory_add_noise_mode": kinds.NOISES,
    "train.optimizer": kinds.OPTIMIZERS,
    "train.logger": kinds.LOGGERS,
    "dataset_name": kinds.DATASETS,
}


def test_every_table_is_tested_here():
    """Guards against a table whose paths nobody follows."""
    tables = {name for name, value in vars(kinds).items() if name.isupper() and name[0] != "_"}
    assert {name for name in tables if isinstance(vars(kinds)[name], dict)} == set(PATHS)


@pytest.mark.parametrize("table", PATHS)
def test_every_path_leads_to_something_that_can_be_called(table):
    for path in PATHS[table]:
        assert callable(kinds.find(path)), path


def test_the_tables_import_nothing_slow():
    """Guards against a schema that cannot be read without torch."""
    tree = ast.parse(Path(inspect.getfile(kinds)).read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
        )
    }
    assert imported <= sys.stdlib_module_names


@pytest.mark.parametrize("key", KEYS)
def test_a_wrong_name_is_answered_with_all_names_of_its_table(key):
    """Guards against a message that knows other names than the table."""
    with pytest.raises(InputError) as caught:
        load_config("demo.json", [f"{key}=no-such-part"])
    for name in KEYS[key]:
        assert name in str(caught.value)


@pytest.mark.parametrize("key", [key for key in KEYS if key != "dataset_name"])
def test_the_reference_of_keys_lists_the_names(key):
    (row,) = [row for row in reference().splitlines() if row.startswith(f"| `{key}` ")]
    assert f"| {', '.join(KEYS[key])} |" in row


@pytest.mark.parametrize("key", KEYS)
def test_every_name_is_a_valid_value(key):
    for name in KEYS[key]:
        section, _, last = key.rpartition(".")
        config = load_config("demo.json", [f"{key}={name}"]).model_dump()
        assert (config[section] if section else config)[last] == name
