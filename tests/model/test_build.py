"""What a configuration builds: every variant trains, and nothing is built in vain."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lmttm.config.files import CONFIG_DIR, load_config
from lmttm.config.kinds import MEMORY_MODES, NOISES, PROCESS_UNITS, TOKENIZERS
from lmttm.config.schema import Config
from lmttm.errors import InputError
from lmttm.model.build import build_model, make, options_of
from lmttm.model.pool import MeanPool
from tests.conftest import TINY


def tiny_model(*overrides, seed=0):
    torch.manual_seed(seed)
    return build_model(load_config("demo.json", [*TINY, *overrides]))


SHIPPED = sorted(path.name for path in CONFIG_DIR.glob("*.json"))


def check_training_step(model, config: Config):
    """One training step: shapes stay, and every parameter gets a gradient."""
    channels = 2 if config.distance == "on" else 1
    volumes = torch.rand(2, channels, *config.shape)
    trace = model.run(volumes)
    labels = torch.arange(2) % config.model.out_class_num
    F.cross_entropy(trace.logits, labels).backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    assert trace.memory.isfinite().all()
    return volumes, trace


@pytest.mark.parametrize("name", SHIPPED)
def test_every_parameter_of_each_shipped_configuration_gets_a_gradient(name):
    """Guards against modules that are built and never used."""
    config = load_config(name)
    # What the data would decide is tried both ways.
    for distance in ["off", "on"] if config.distance == "auto" else [config.distance]:
        decided = config.model_copy(update={"distance": distance})
        torch.manual_seed(config.seed)
        check_training_step(build_model(decided), decided)


STARTS = ["zeros", "learned", *(f"carried {noise}" for noise in NOISES)]


COMBINATIONS = [
    (*combination, STARTS[number % len(STARTS)])
    for number, combination in enumerate(
        itertools.product(
            TOKENIZERS,
            MEMORY_MODES,
            PROCESS_UNITS,
            ["lmttm", "ttm"],
            ["shared", "separate"],
        )
    )
]


@pytest.mark.parametrize(("tokenizer", "memory", "mdu", "kind", "layers", "start"), COMBINATIONS)
def test_every_combination_trains(tokenizer, memory, mdu, kind, layers, start):
    """Guards against variants that crash, grow, or mix the volumes of a batch."""
    start, _, noise = start.partition(" ")
    overrides = [
        f"model.preprocess_mode={tokenizer}",
        f"model.memory_mode={memory}",
        f"model.process_unit={mdu}",
        f"model.model={kind}",
        f"model.share_layers={str(layers == 'shared').lower()}",
        f"model.memory_start={start}",
        f"model.load_memory_add_noise_mode={noise or 'none'}",
        "model.depth=2",
        "model.patch_size=4",
    ]
    config = load_config("demo.json", [*TINY, *overrides])
    torch.manual_seed(0)
    model = build_model(config)
    volumes, trace = check_training_step(model, config)

    num_units = {"lmttm": 4, "ttm": 1}[kind] if MEMORY_MODES[memory].write else 0
    unit_tokens = 8 // num_units if num_units else 0
    assert trace.memory.shape == (2, num_units, unit_tokens, 16)
    with torch.no_grad():
        mean, steps = trace.memory.mean(dim=0), trace.step_logits.shape[1]
        model.remember(mean, num_steps=steps, finite=torch.tensor(True))
        again = model.run(volumes).memory
        assert again.shape == trace.memory.shape
        if num_units:
            assert again.abs().max() < 10 * trace.memory.abs().max() + 1
        model.eval()
        alone = torch.cat([model(volumes[i : i + 1]) for i in range(2)])
        torch.testing.assert_close(model(volumes), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("border", ["crop", "pad"])
def test_a_stem_serves_every_tokenizer(tokenizer, border):
    """Guards against a stem that mixes volumes, or that a tokenizer leaves out."""
    stem = ["model.stem=3", f"model.preprocess_mode={tokenizer}", f"model.border={border}"]
    config = load_config("demo.json", [*TINY, *stem, "distance=on", "model.patch_size=5"])
    torch.manual_seed(0)
    model = build_model(config)
    volumes, _ = check_training_step(model, config)
    model.eval()
    with torch.no_grad():
        alone = torch.cat([model(volumes[i : i + 1]) for i in range(2)])
        torch.testing.assert_close(model(volumes), alone, rtol=0, atol=1e-5)
        plain = build_model(config.model_copy(update={"fast": False})).eval()
        plain.load_state_dict(model.state_dict())
        torch.testing.assert_close(model(volumes), plain(volumes), rtol=0, atol=1e-5)


def test_published_size():
    """The base configuration has the published number of parameters."""
    model = build_model(Config())
    tables = sum(p.numel() for n, p in model.named_parameters() if n.endswith("positions.table"))
    total = sum(p.numel() for p in model.parameters())
    assert round(total / 1e6, 3) == 3.168
    assert round((total - tables) / 1e6, 3) == 2.884


def test_initial_weights_are_xavier_with_zero_biases():
    model = build_model(Config())
    layer = model.cell.process.layers[0].linear1
    bound = (6 / (448 + 3 * 448)) ** 0.5
    assert 0.99 * bound < layer.weight.abs().max() <= bound
    assert not layer.bias.any()
    assert not model.tokenizer.embed[0].bias.any()


def test_more_units_than_steps_is_told(caplog):
    tiny_model("model.num_blocks=8")
    assert "4 steps never write all 8 units" in caplog.text


@pytest.fixture
def imagenet(monkeypatch):
    """A network that stands for ImageNet's, which is not fetched."""
    import torchvision.models as models

    net = models.resnet18(weights=None)
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    monkeypatch.setattr(models, "resnet18", lambda weights: net)
    return net


@pytest.mark.parametrize("stem", [0, 2])
def test_pretrained_weights_stay(imagenet, stem):
    """Guards against pretrained weights that the initialisation overwrites."""
    before = {name: value.clone() for name, value in imagenet.state_dict().items()}
    resnet = ["model.preprocess_mode=resnet18", "model.resnet_pretrained=true"]
    model = tiny_model(*resnet, f"model.stem={stem}")
    backbone = (model.tokenizer.tokenizer if stem else model.tokenizer).backbone
    summed = before["conv1.weight"].sum(dim=1, keepdim=True)
    expected = summed.repeat(1, stem, 1, 1) / stem if stem else summed
    assert torch.equal(backbone[0].weight, expected)
    for number, name in ((1, "bn1"), (4, "layer1"), (5, "layer2")):
        for key, value in backbone[number].state_dict().items():
            assert torch.equal(value, before[f"{name}.{key}"]), f"{name}.{key}"
    # What is new is initialised as elsewhere.
    project = (model.tokenizer.tokenizer if stem else model.tokenizer).project
    assert not project.bias.any()
    assert project.weight.abs().max() <= (6 / (128 + 16)) ** 0.5


def test_weights_that_are_not_pretrained_are_initialised(imagenet):
    """The counterpart: the same network without `resnet_pretrained`."""
    model = tiny_model("model.preprocess_mode=resnet18")
    first = model.tokenizer.backbone[4][0].conv1.weight
    assert first.abs().max() <= (6 / (64 * 9 + 64 * 9)) ** 0.5


def test_distance_must_be_decided_before():
    with pytest.raises(InputError, match="distance=auto"):
        tiny_model("distance=auto")


@pytest.mark.parametrize(
    ("overrides", "channels"), [([], 1), (["distance=on"], 2), (["distance=off"], 1)]
)
@pytest.mark.parametrize("kind", ["lmttm", "resnet3d"])
def test_the_distance_adds_a_channel(overrides, channels, kind):
    model = tiny_model(f"model.model={kind}", *overrides)
    assert model(torch.rand(2, channels, 28, 28, 28)).shape == (2, 2)


CHANGES = [
    *("model=ttm", "drop_r=0.3", "preprocess_mode=3dBN", "process_unit=mlp", "memory_mode=TL-MHA"),
    *("dim=32", "memory_tokens_size=16", "num_blocks=2", "radius=0", "summarize_num_tokens=3"),
    *("out_class_num=3", "patch_size=4", "patch_stride=5", "border=pad", "memory_start=zeros"),
    *("read_use_positional_embedding=false", "write_use_positional_embedding=false"),
    *("load_memory_add_noise=false", "load_memory_add_noise_mode=gamma", "num_heads=4"),
    *("mlp_ratio=2", "depth=4", "share_layers=false", "norm=pre", "mark_neighbours=true"),
    *("drop_path=0.1", "pool=attention", "stem=2"),
]


def anatomy(*overrides):
    """Names and shapes of a model's weights, and what is plain in its modules."""
    small = ["model.dim=16", "model.memory_tokens_size=8", "model.num_heads=2"]
    model = build_model(load_config("base.json", [*small, "model.patch_size=7", *overrides]))
    weights = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    plain = [
        (name, key, value)
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, int | float | str | tuple) or callable(value)
    ]
    return weights, plain


@pytest.mark.parametrize("change", CHANGES)
def test_every_key_of_the_model_changes_it(change):
    """Guards against a key that is accepted and does nothing."""
    assert anatomy(f"model.{change}") != anatomy()


def test_the_list_of_changes_holds_every_key():
    keys = {change.partition("=")[0] for change in CHANGES}
    assert keys == Config().model.model_dump().keys() - {"in_channels", "resnet_pretrained"}


class Part(nn.Module):
    """A part that needs two of three options."""

    def __init__(self, *, dim, depth=2):
        super().__init__()
        self.numbers = dim, depth


class Derived(Part):
    """A part that hands on what it does not name."""

    def __init__(self, *, dropout, **options):
        super().__init__(**options)
        self.dropout = dropout


class Unfulfilled(Part):
    """A part that needs what nobody offers."""

    def __init__(self, *, colour, **options):
        super().__init__(**options)


@pytest.fixture
def found(monkeypatch):
    classes = {kind.__name__: kind for kind in (Part, Derived, Unfulfilled, MeanPool)}
    monkeypatch.setattr("lmttm.config.kinds.find", classes.__getitem__)


def test_a_class_gets_what_its_init_names(found):
    """Guards against a new part that needs a change of the builder."""
    options = {"dim": 3, "depth": 4, "dropout": 0.5}
    assert make("Part", **options).numbers == (3, 4)
    assert make("Part", dim=3, dropout=0.5).numbers == (3, 2)
    derived = make("Derived", **options)
    assert (derived.numbers, derived.dropout) == ((3, 4), 0.5)
    assert isinstance(make("MeanPool", **options), MeanPool)
    assert options_of("Derived") == {"dim", "depth", "dropout"}
    assert options_of("MeanPool") == set()


@pytest.mark.parametrize("name", ["Part", "Derived", "Unfulfilled"])
def test_a_class_that_needs_more_than_is_offered_is_told_what_is(found, name):
    needed = {"Part": "dim", "Derived": "dim", "Unfulfilled": "colour"}[name]
    with pytest.raises(TypeError, match=f"{name} needs {needed}; build.py offers dropout"):
        make(name, dropout=0.5, **({"dim": 3} if name == "Unfulfilled" else {}))
