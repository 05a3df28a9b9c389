"""What of a configuration has an effect, so that one run is not trained under two names."""

from typing import Any

from lmttm.config import kinds
from lmttm.config.schema import Config, ModelConfig
from lmttm.config.shape import Shape
from lmttm.model.build import options_of

# What a part is offered of these keys of `model` (lmttm.model.build), by the name of its argument.
_OFFERED = {
    "patch_size": {"tokenizer": "patch_size"},
    "patch_stride": {"tokenizer": "stride"},
    "border": {"tokenizer": "border"},
    "resnet_pretrained": {"tokenizer": "pretrained"},
    "num_heads": dict.fromkeys(("summarizer", "write", "process", "pool"), "num_heads"),
    "drop_r": dict.fromkeys(("summarizer", "write", "process"), "dropout"),
    "mlp_ratio": {"process": "mlp_ratio"},
    "depth": {"process": "depth"},
    "share_layers": {"process": "share_layers"},
    "norm": {"process": "norm"},
    "drop_path": {"process": "drop_path"},
    "write_use_positional_embedding": {"write": "positions"},
}


def effective(config: Config) -> Config:
    """A configuration with each key that has no effect in it at its default.

    Two configurations for which this is the same describe one run, if they name one folder.

    Args:
        config: A validated configuration; what it leaves to the data is not decided here.

    Returns:
        A configuration to be compared with others, not to be run.
    """
    augment = config.augment
    update: dict[str, Any] = {
        "model": _effective_model(config.model, config.shape),
        "test_flips": config.test_flips and bool(augment.flip_axes),
        "test_turns": config.test_turns and bool(augment.turn_planes),
    }
    return config.model_copy(update=update)


def _effective_model(model: ModelConfig, shape: Shape) -> ModelConfig:
    if model.model == "resnet3d":
        used = {key: getattr(model, key) for key in ("model", "in_channels", "out_class_num")}
        return ModelConfig().model_copy(update=used)
    units = model.num_units if model.has_memory else 1
    radius = min(model.radius, units // 2)  # further away the ring repeats itself
    start = model.memory_start if model.has_memory else "zeros"
    noise = model.noise if start == "carried" else "none"
    update: dict[str, Any] = {
        "model": "lmttm",
        "num_blocks": units,
        "radius": radius,
        "memory_start": start,
        "load_memory_add_noise": noise != "none",
        "load_memory_add_noise_mode": noise,
        "mark_neighbours": model.mark_neighbours and radius > 0,
        "patch_stride": list(model.stride),
        "patch_size": list(model.patch),
    }
    without_effect = _not_taken(model)
    if not model.has_memory:
        without_effect.add("memory_tokens_size")
    edges = zip(shape, model.patch, model.stride, strict=True)
    if all((edge - patch) % stride == 0 for edge, patch, stride in edges):
        without_effect.add("border")
    if model.depth == 1:
        without_effect.add("share_layers")
    defaults = ModelConfig().model_dump()
    update |= {key: defaults[key] for key in without_effect}
    return model.model_copy(update=update)


def _not_taken(model: ModelConfig) -> set[str]:
    """Keys that no part of the machine has an argument for."""
    mode = kinds.MEMORY_MODES[model.memory_mode]
    paths = {
        "tokenizer": kinds.TOKENIZERS[model.preprocess_mode],
        "summarizer": mode.summarizer,
        "write": mode.write,
        "process": kinds.PROCESS_UNITS[model.process_unit],
        "pool": kinds.POOLS[model.pool],
    }
    taken = {part: options_of(path) if path else set() for part, path in paths.items()}
    return {
        key
        for key, offered in _OFFERED.items()
        if not any(name in taken[part] for part, name in offered.items())
    }
