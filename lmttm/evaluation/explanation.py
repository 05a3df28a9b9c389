"""How a machine came to its answer for a volume: where its reads attended, what moved it.

Everything is taken from the plain form of the steps; the results are plain tensors.
"""

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lmttm.model.machine import LMTTM
from lmttm.model.memory import neighbours
from lmttm.model.read import TriTemporalRead

T = TypeVar("T", Tensor, np.ndarray)


class Explanation(NamedTuple, Generic[T]):
    """What a machine did with b volumes in t steps, with u neighbours in memory."""

    probabilities: T  # (b classes): the answer
    running: T  # (b t classes): the answer if the volume ended with that step
    token_attention: T  # (b u*r D H W): the attention of each read token to each voxel
    attention: T  # (b D H W): the mean of it over the read tokens
    shares: T  # (b t u+1): of all attention, the shares of the neighbours (current, past,
    # next, ...) and, last, of the input
    without_step: T  # (b t classes): the answer with an empty slab
    without_unit: T  # (b u classes): the answer if a neighbour reads as zeros at every step
    step_effects: T  # (b t): by how much the log-odds of the answer fall with an empty slab
    unit_effects: T  # (b u): by how much they fall without a neighbour


@torch.no_grad()
def explain(model: LMTTM, volumes: Tensor) -> Explanation[Tensor]:
    """Explains the answers for volumes.

    Args:
        model: In evaluation mode.
        volumes: `(b c D H W)`, as `lmttm.prepare` gives them.

    Returns:
        The explanation. An effect is the logit of the predicted class, less the mean of the
        others, with everything in place, minus the same with one thing blanked; it is
        positive for what spoke for the answer.
    """
    tokens = model.tokenizer(volumes)
    empty = model.tokenizer(torch.zeros_like(volumes))
    logits, step_logits = _answer(model, tokens)
    weights = contrast(logits.argmax(dim=1), logits)

    def margin(logits: Tensor) -> Tensor:
        return torch.einsum("b...c,bc->b...", logits, weights)

    without_step = torch.stack(
        [_answer(model, _blanked(tokens, empty, step))[0] for step in range(tokens.shape[1])], dim=1
    )
    without_unit = [_answer(model, tokens, blank=slot)[0] for slot in range(_slots(model))]
    unit_logits = torch.stack([*without_unit, logits], dim=1)[:, :-1]  # also of no unit
    attended, shares = _attention(model, tokens)
    token_attention = torch.stack(
        [model.tokenizer.to_voxels(part, volumes.shape[2:]) for part in attended.unbind(dim=2)],
        dim=1,
    )
    counts = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)[:, None]
    whole = margin(logits)[:, None]
    return Explanation(
        probabilities=logits.softmax(dim=1),
        running=(step_logits.cumsum(dim=1) / counts).softmax(dim=2),
        token_attention=token_attention,
        attention=token_attention.mean(dim=1),
        shares=shares,
        without_step=without_step.softmax(dim=2),
        without_unit=unit_logits.softmax(dim=2),
        step_effects=whole - margin(without_step),
        unit_effects=whole - margin(unit_logits),
    )


def contrast(answers: Tensor, logits: Tensor) -> Tensor:
    """Weights `(b classes)` of logits: 1 for the answer, together -1 for all others."""
    chosen = F.one_hot(answers, logits.shape[1]).to(logits)
    return chosen - (1 - chosen) / (logits.shape[1] - 1)


def _blanked(tokens: Tensor, empty: Tensor, step: int) -> Tensor:
    """The tokens with those of an empty volume in the place of one slab's."""
    result = tokens.clone()
    result[:, step] = empty[:, step]
    return result


def _slots(model: LMTTM) -> int:
    """Neighbours that a step reads."""
    if model.cell.write is None:
        return 0
    num_units = model.initial_memory(1).shape[1]
    return len(neighbours(0, num_units=num_units, radius=model.cell.radius))


def _steps(
    model: LMTTM, tokens: Tensor, blank: int | None = None
) -> Iterator[tuple[list[Tensor], Tensor]]:
    """Takes the steps one by one; gives what each read from, and its output tokens."""
    memory = model.initial_memory(len(tokens))
    num_units = memory.shape[1]
    for step in range(tokens.shape[1]):
        near: list[int] = []
        if model.cell.write is not None:
            near = neighbours(step, num_units=num_units, radius=model.cell.radius)
        seen = memory
        if blank is not None:
            seen = memory.clone()
            seen[:, near[blank]] = 0
        units = [seen[:, unit] for unit in near]
        outputs, changed = model.cell(seen, tokens[:, step], step)
        if blank is not None:  # what was blanked is only hidden from this step
            kept = [unit for unit in range(num_units) if unit != (step + 1) % num_units]
            changed = changed.clone()
            changed[:, kept] = memory[:, kept]
        memory = changed
        yield units, outputs


def _answer(model: LMTTM, tokens: Tensor, blank: int | None = None) -> tuple[Tensor, Tensor]:
    """Logits `(b classes)` and those of each step `(b t classes)`."""
    outputs = torch.stack([outputs for _, outputs in _steps(model, tokens, blank)], dim=1)
    seen = model.pool(outputs)
    return model.classifier(seen.mean(dim=1)), model.classifier(seen)


def _attention(model: LMTTM, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The summarizer's softmax weights.

    Of each read token on each input token, `(b t u*r n)`, and of all together in shares of
    the neighbours and the input, `(b t u+1)`.
    """
    read = model.cell.read
    assert isinstance(read, TriTemporalRead)
    on_inputs, shares = [], []
    for step, (units, _) in enumerate(_steps(model, tokens)):
        inputs = tokens[:, step]
        views = [torch.cat([unit, inputs], dim=1) for unit in units] or [inputs]
        attended = [read.summarize.weights(read.positions(view)) for view in views]  # b r m+n
        unit_tokens = attended[0].shape[2] - inputs.shape[1]
        on_inputs.append(torch.cat([part[:, :, unit_tokens:] for part in attended], dim=1))
        on_units = [
            part[:, :, :unit_tokens].sum(dim=2).mean(dim=1) / len(attended)
            for part in attended
            if unit_tokens
        ]
        shares.append(torch.stack([*on_units, on_inputs[-1].sum(dim=2).mean(dim=1)], dim=1))
    return torch.stack(on_inputs, dim=1), torch.stack(shares, dim=1)


def of_volume(explanation: Explanation[Tensor], index: int) -> Explanation[np.ndarray]:
    """The explanation of one volume of a batch: arrays without the axis b."""
    return Explanation(*(part[index].cpu().numpy() for part in explanation))
