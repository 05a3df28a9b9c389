"""Edges of a box of voxels: one number for a cube, or three along D, H, W."""

import json
from typing import Any

Shape = tuple[int, int, int]
Edges = int | list[int]


def three(edges: Edges) -> Shape:
    """The three edges D, H, W of a box; all others take them from here."""
    depth, height, width = [edges] * 3 if isinstance(edges, int) else edges
    return depth, height, width


def in_words(edges: Edges) -> str:
    """Such as `28^3`, or `32 x 96 x 96`."""
    return f"{edges}^3" if isinstance(edges, int) else " x ".join(map(str, edges))


class EdgesFrom:
    """Takes `28`, `[32, 96, 96]` or the text `32,96,96`, and makes one number of three equal ones.

    Args:
        name: The dotted key, for the error message.
        low: Least edge.
        high: Largest edge.
    """

    def __init__(self, name: str, low: int, high: int) -> None:
        self.name = name
        self.low = low
        self.high = high

    def __call__(self, value: Any) -> Edges:
        """Checks a value.

        Raises:
            ValueError: It is neither one edge nor three, or out of bounds.
        """
        edges = value
        if isinstance(edges, str) and "," in edges:
            edges = [int(part) if part.strip().isdecimal() else part for part in edges.split(",")]
        edges = list(edges) if isinstance(edges, list | tuple) else [edges] * 3
        edges = [int(e) if isinstance(e, float) and e.is_integer() else e for e in edges]
        if len(edges) != 3 or not all(type(e) is int and self.low <= e <= self.high for e in edges):
            raise ValueError(
                f"{self.name} must be a whole number from {self.low} to {self.high}, or three of "
                f"them along D, H, W, got {json.dumps(value, default=str)[:100]}"
            )
        return edges[0] if len(set(edges)) == 1 else edges
