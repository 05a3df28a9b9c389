"""What a model takes: its parameters, and the arithmetic of one volume."""

from collections.abc import Iterable

import torch

from lmttm.config.schema import Config
from lmttm.device import shapes_only
from lmttm.errors import InputError
from lmttm.model.build import build_model
from lmttm.model.memory import InitialMemory
from lmttm.sweeps.plan import Trial


def cost(config: Config) -> tuple[int, float]:
    """What a model takes, found without allocating it.

    Args:
        config: The configuration of the model.

    Returns:
        Its parameters, and the GFLOP of one volume's forward pass by torch's counter.

    Raises:
        InputError: The model cannot be built.
    """
    from torch.utils.flop_counter import FlopCounterMode

    if config.distance == "auto":  # as if off: the data decide when the run starts
        config = config.model_copy(update={"distance": "off"})
    # One volume: a batch would share what is embedded once for all of its volumes.
    volumes = torch.empty(1, config.num_channels, *config.shape, device="meta")
    with shapes_only():
        model = build_model(config).requires_grad_(False)
    # In training mode, since the counter does not see torch's fused attention layer; without
    # the noise on a carried memory, which cannot be drawn without memory.
    for module in model.modules():
        module.training = not isinstance(module, InitialMemory)
    with FlopCounterMode(display=False) as counter:
        model(volumes)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return parameters, counter.get_total_flops() / 1e9


def costs_of(trials: Iterable[Trial]) -> dict[str, tuple[int, float]]:
    """What `cost` gives for each trial, by the trial's name; equal models are counted once.

    Raises:
        InputError: A model cannot be built; the text names the trial.
    """
    costs: dict[str, tuple[int, float]] = {}
    known: dict[tuple[str, ...], tuple[int, float]] = {}
    for trial in trials:
        config = trial.config
        kind = (repr(config.model), str(config.size), config.distance, str(config.fast))
        try:
            known[kind] = known[kind] if kind in known else cost(config)
        except (InputError, ValueError, RuntimeError) as error:
            raise InputError(f"trial {trial.name} cannot be built: {error}") from None
        costs[trial.name] = known[kind]
    return costs
