"""The probability of each class as it forms from slab to slab, as an SVG with a cursor."""

from collections.abc import Sequence
from html import escape

import numpy as np

from lmttm.report.style import COLOURS, colour_of, short

_WIDTH, _HEIGHT, _LEFT, _TOP = 720.0, 220.0, 44.0, 12.0
_DASHES = ("", "8 4", "2 4", "8 4 2 4")


def running_plot(running: np.ndarray, class_names: Sequence[str]) -> str:
    """Draws the probabilities.

    Args:
        running: `(t classes)`, after each of t slabs.
        class_names: The names of the classes.

    Returns:
        An SVG element. Its line `.cursor` says where step 0 lies and how far steps are apart.
    """
    num_steps = len(running)
    gap = _WIDTH / max(num_steps - 1, 1)

    def x(step: int) -> float:
        return round(_LEFT + step * gap, 2)

    def y(probability: float) -> float:
        return round(_TOP + (1 - float(probability)) * _HEIGHT, 2)

    rows = -(-len(class_names) // 3)
    bottom = _TOP + _HEIGHT
    height = bottom + 46 + 20 * rows
    parts = [
        f'<svg role="img" aria-label="probability of each class after each slab" '
        f'viewBox="0 0 {_LEFT + _WIDTH + 16} {height}" font-size="12" fill="currentColor" '
        'font-family="system-ui, sans-serif">'
    ]
    for level in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_line(_LEFT, y(level), _LEFT + _WIDTH, y(level), "currentColor", 0.2))
        parts.append(f'<text x="{_LEFT - 6}" y="{y(level) + 4}" text-anchor="end">{level:g}</text>')
    every = -(-num_steps // 20)
    for step in range(0, num_steps, every):
        text = f'<text x="{x(step)}" y="{bottom + 16}" text-anchor="middle">{step + 1}</text>'
        parts.append(text)
    middle = _LEFT + _WIDTH / 2
    parts.append(f'<text x="{middle}" y="{bottom + 34}" text-anchor="middle">slab</text>')
    for number, name in enumerate(class_names):
        dash = _DASHES[(number + number // len(COLOURS)) % len(_DASHES)]  # no look comes twice
        points = " ".join(f"{x(t)},{y(p)}" for t, p in enumerate(running[:, number]))
        look = f'stroke="{colour_of(number)}" stroke-width="2" '
        look += f'stroke-dasharray="{dash}"'
        parts.append(f'<polyline points="{points}" fill="none" {look}/>')
        parts += [
            f'<circle cx="{x(t)}" cy="{y(p)}" r="3" fill="{colour_of(number)}"/>'
            for t, p in enumerate(running[:, number])
        ]
        left, line = _LEFT + (number % 3) * _WIDTH / 3, bottom + 54 + 20 * (number // 3)
        parts.append(f'<path d="M{left} {line - 4} h28" {look}/>')
        parts.append(f'<text x="{left + 34}" y="{line}">{escape(short(name))}</text>')
    parts.append(
        f'<line class="cursor" data-left="{_LEFT}" data-gap="{gap}" x1="{_LEFT}" x2="{_LEFT}" '
        f'y1="{_TOP}" y2="{bottom}"/></svg>'
    )
    return "".join(parts)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, opacity: float) -> str:
    place = f'x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"'
    return f'<line {place} stroke="{colour}" stroke-opacity="{opacity}"/>'
