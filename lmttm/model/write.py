"""Write: a step replaces one unit of the memory."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lmttm.model.layers import Positions
from lmttm.model.summarizers import Summarizer


class SummarizingWrite(nn.Module):
    """Writes the next unit: `M_f <- S_m([M_c || M_p || M_f || I_t || O_t] + pos)`.

    Args:
        dim: Width of a token, d.
        unit_tokens: Tokens of a memory unit, m.
        num_neighbours: Units that the step read, u.
        input_tokens: Input tokens of a step, n.
        output_tokens: Output tokens of a step, u * r.
        make_summarizer: Number of summary tokens -> a summarizer.
        positions: Whether a learned position table is added.

    Source: memory write of the paper, modes `TL` and `TL-MHA`.
    """

    def __init__(
        self,
        *,
        dim: int,
        unit_tokens: int,
        num_neighbours: int,
        input_tokens: int,
        output_tokens: int,
        make_summarizer: Callable[[int], Summarizer],
        positions: bool,
    ) -> None:
        super().__init__()
        self.num_neighbours = num_neighbours
        self.output_tokens = output_tokens
        num_tokens = num_neighbours * unit_tokens + input_tokens + output_tokens
        self.positions = Positions(num_tokens=num_tokens, dim=dim) if positions else nn.Identity()
        self.summarize = make_summarizer(unit_tokens)

    def forward(
        self, units: list[Tensor], target: Tensor, inputs: Tensor, outputs: Tensor
    ) -> Tensor:
        """Writes.

        Args:
            units: The u neighbours, current unit first, each `(b m d)`.
            target: The unit that is replaced, `(b m d)`; the summary does not use it.
            inputs: Input tokens of the step, `(b n d)`.
            outputs: Output tokens of the step, `(b u*r d)`.

        Returns:
            The new tokens of the next unit, `(b m d)`.
        """
        tokens = torch.cat([*units, inputs, outputs], dim=1)
        written: Tensor = self.summarize(self.positions(tokens))
        return written


class EraseAddWrite(nn.Module):
    """Writes the next unit by erasing, then adding, as controlled by the output tokens.

    `M_f <- M_f * prod_j (1 - w_j e_j) + sum_j w_j a_j`, where each output token o_j determines
    the weights w_j (softmax over the unit's tokens), the erase vector e_j (sigmoid) and the add
    vector a_j. A LayerNorm precedes all three maps; without it, the added term grows with the
    outputs, and the outputs grow with the memory. Positions are not used.

    Args:
        dim: Width of a token, d.
        unit_tokens: Tokens of a memory unit, m.

    Source: memory mode `TL-AddErase`; Neural Turing Machine, arXiv 1410.5401. The published
    added term is mean(1 - w a), a constant near 1 at each write, so that the memory grows;
    its linked form expects the whole memory's token count and crashes.
    """

    def __init__(self, *, dim: int, unit_tokens: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.place = nn.Linear(dim, unit_tokens)
        self.erase = nn.Linear(dim, dim)
        self.add = nn.Linear(dim, dim)

    def forward(
        self, units: list[Tensor], target: Tensor, inputs: Tensor, outputs: Tensor
    ) -> Tensor:
        """Writes.

        Args:
            units: The u neighbours; not used.
            target: The unit that is changed, `(b m d)`.
            inputs: Input tokens of the step; not used.
            outputs: Output tokens of the step, `(b j d)`.

        Returns:
            The new tokens of the next unit, `(b m d)`.
        """
        outputs = self.norm(outputs)
        places = self.place(outputs).softmax(dim=-1)  # b j m
        erased = places[..., None] * self.erase(outputs).sigmoid()[:, :, None]  # b j m d
        added: Tensor = places.transpose(1, 2) @ self.add(outputs)
        kept: Tensor = target * (1 - erased).prod(dim=1)
        return kept + added
