"""What the documents name is there: commands, options, keys, files, links and tests."""

import importlib
import json
import re
import shlex
from functools import cache
from pathlib import Path
from pkgutil import resolve_name

import pytest

import lmttm
from lmttm import cli
from lmttm.config.files import load_config
from lmttm.config.keys import flatten
from lmttm.config.schema import Config
from lmttm.data import phantoms
from lmttm.runs import pretrained
from lmttm.sweeps.plan import find_sweep, load_sweep, make_trials

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("weights/*/README.md")]
SCRIPTS = [
    path.relative_to(ROOT)
    for pattern in ("*.py", "tools/*.py", "benchmarks/*.py")
    for path in ROOT.glob(pattern)
    if "def main(" in path.read_text()
]
# Of pip, torchrun and Ray, and of commands that are no scripts of ours.
FOREIGN_OPTIONS = {"--nproc_per_node", "--head", "--address"}
FENCED = re.MULTILINE | re.DOTALL
ENDINGS = (".py", ".csv", ".safetensors")  # of files, which are no keys


def text_of(path):
    """A document with each inline code on one line."""
    return re.sub(r"`[^`]+`", lambda code: " ".join(code[0].split()), path.read_text())


def named(documents=DOCUMENTS):
    return pytest.mark.parametrize("path", documents, ids=lambda p: str(p.relative_to(ROOT)))


@cache
def parsed(script, words):
    """The parser of a script and, of words, what it makes of them; nothing is run."""
    found = []

    def takes(command, parser, argv):
        found.append((parser, parser.parse_intermixed_args(argv) if argv is not None else None))
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str((ROOT / script).parent))  # benchmarks import from their folder
        module = importlib.import_module(str(script.with_suffix("")).replace("/", "."))
        patch.setattr(cli, "run", takes)
        module.main(None if words is None else list(words))
    return found[0]


def commands():
    """Every `python SCRIPT ...` and `torchrun ... SCRIPT ...` in a document."""
    pattern = r"(?:python|torchrun[^`\n]*?) ((?:tools/|benchmarks/)?\w+\.py)((?: [^`\n#|;]*)?)"
    for path in DOCUMENTS:
        whole = re.sub(r"```json.*?```", "", path.read_text(), flags=re.DOTALL)
        joined = re.sub(r"`[^`]+`(?!`)", lambda code: " ".join(code[0].split()), whole)
        lines = {**dict.fromkeys(whole.splitlines()), **dict.fromkeys(joined.splitlines())}
        for line in lines:
            for script, rest in re.findall(pattern, line):
                yield path.name, script, rest.split("`")[0].strip()


COMMANDS = sorted(set(commands()))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with the configuration that docs/your-data.md shows."""
    shown = re.search(r"```json\n(.*?)```", (ROOT / "docs/your-data.md").read_text(), re.DOTALL)
    (tmp_path / "mine.json").write_text(shown[1])
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("document", "script", "rest"), COMMANDS)
def test_every_command_can_be_typed(document, script, rest, place):
    """Guards against a command that was renamed, or an option or key that is no more."""
    assert (ROOT / script).is_file()
    if rest in ("", "...") or "[" in rest:
        return
    words = shlex.split(rest.replace("$fold", "0"))
    _, given = parsed(Path(script), tuple(words))
    config = getattr(given, "config", None)
    overrides = [text for text in getattr(given, "overrides", []) if "=" in text]
    if script == "tools/sweep.py":
        base = [text.removeprefix("base=") for text in overrides if text.startswith("base=")]
        others = [text for text in overrides if not text.startswith("base=")]
        sweep = load_sweep(find_sweep(config), base[0] if base else None)
        assert make_trials(sweep, others, "runs", given.folds)
    elif "TL-Gated" in rest:  # the part that CONTRIBUTING.md adds
        assert document == "CONTRIBUTING.md"
    elif config and config.endswith(".json"):
        load_config(config, overrides)
    elif config:
        assert config in pretrained.shipped() or config.startswith("runs/")


def test_commands_are_found_in_every_document_that_has_some():
    """Guards against a search that finds nothing."""
    found = {document for document, _, _ in COMMANDS}
    assert {"README.md", "accuracy.md", "ablations.md", "your-data.md", "sweeps.md"} <= found
    assert ("README.md", "train.py", "base.json dataset_name=AdrenalMNIST3D train.epoch=50") in (
        COMMANDS
    )
    assert len(COMMANDS) > 40


def test_the_sweep_that_is_shown_can_be_run(tmp_path):
    shown = re.search(r"```json\n(.*?)```", (ROOT / "docs/sweeps.md").read_text(), re.DOTALL)
    (tmp_path / "shown.json").write_text(shown[1])
    trials = make_trials(load_sweep(tmp_path / "shown.json"), [], "runs")
    grid = json.loads(shown[1])
    lengths = [len(values) for values in grid["grid"].values()]
    assert len(trials) == len(grid["datasets"]) * len(grid["seeds"]) * lengths[0] * lengths[1]


@named()
def test_options_exist(path):
    known = {option for script in SCRIPTS for option in options_of(script)}
    for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", text_of(path)):
        assert option in known | FOREIGN_OPTIONS, option


@cache
def options_of(script):
    parser, _ = parsed(script, None)
    return tuple(option for action in parser._actions for option in action.option_strings)


@named([path for path in DOCUMENTS if path.name != "CHANGELOG.md"])
def test_keys_exist(path):
    keys = flatten(Config().model_dump())
    sections = {key.partition(".")[0] for key in keys if "." in key}
    published = {"train.gpu", "train.load_memory_tokens"}
    blocks = r"^```(\w*)\n(.*?)^```"
    listed = [b for kind, b in re.findall(blocks, path.read_text(), FENCED) if kind == "bash"]
    inline = re.sub(blocks, "", path.read_text(), flags=FENCED)
    for code in [*listed, *re.findall(r"`([^`]+)`", inline)]:
        for key in re.findall(rf"(?<![\w./])((?:{'|'.join(sections)})\.\w+)", code):
            assert key in keys or key in published or key.endswith(ENDINGS), key


@named()
def test_files_links_and_tests_exist(path):
    text = text_of(path)
    tests = "".join(test.read_text() for test in ROOT.glob("tests/**/*.py"))
    folders = "lmttm|tests|docs|config|tools|benchmarks|results"
    for name in re.findall(rf"(?<!\w)((?:{folders})/[\w./-]*)", text):
        assert (ROOT / name.rstrip("./")).exists(), name
    for name in re.findall(r"`(test_\w+?)(?:_?\.\.\.)?`", text):
        assert f"def {name}" in tests, name
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if target.startswith("http"):
            continue
        linked = path.parent / file if file else path
        assert linked.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles]


@named([*sorted(ROOT.glob("lmttm/**/*.py")), ROOT / "README.md", *ROOT.glob("docs/*.md")])
def test_names_of_the_package_exist(path):
    """Guards against a docstring that sends its reader to a module that was renamed."""
    for name in set(re.findall(r"`(lmttm(?:\.\w+)+)`", path.read_text())):
        resolve_name(name)


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    """Guards against an example that was right once; its comments state the shapes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(phantoms, "SPLITS", {"train": 16, "val": 10, "test": 10})
    lmttm.train(lmttm.load_config("demo.json", ["train.epoch=1", "device=cpu"]))  # runs/demo
    (shown,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = {}
    exec(shown.replace('"train.epoch=1"', '"train.epoch=1", "device=cpu"'), names)
    trace = names["trace"]
    assert "logits = model(volumes)  # (4, 2)" in shown
    assert names["logits"].shape == trace.logits.shape == (4, 2)
    assert "step_logits (4, 9, 2), memory (4, 4, 8, 32)" in shown
    assert (trace.step_logits.shape, trace.memory.shape) == ((4, 9, 2), (4, 4, 8, 32))
    assert list((tmp_path / "runs/python/explain").iterdir())
