"""What all pictures share: colours, short names, writing them as PNG or SVG."""

import io
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmttm.storage import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which the colour-blind can tell apart; seen on white and on black.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
COLOURS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", "#8C6D1F", "#7F7F7F")
DASHES = ("-", "--", ":", "-.")

_INK = "#010203"  # stands for the text colour of a page until the SVG is written


def colour_of(number: int) -> str:
    """The colour of the class, unit or line of that number."""
    return COLOURS[number % len(COLOURS)]


def dash_of(number: int) -> str:
    """The dashes of the line of that number: another set once the colours repeat."""
    return DASHES[number // len(COLOURS) % len(DASHES)]


def legible(text: str) -> str:
    """A text as it must be given to a picture to be seen as it is.

    No dollar begins a formula, and a letter that the font of pictures lacks is escaped.
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties())).get_charmap()
    letters = (
        letter if ord(letter) in known or letter == "\n" else _escaped(letter) for letter in text
    )
    return "".join(letters).replace("$", r"\$")


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def folded(text: str, letters: int) -> str:
    """A legible text on lines of so many letters; lines that it has stay apart."""
    return legible("\n".join(textwrap.fill(line, letters) for line in text.split("\n")))


def put_title(figure: "Figure", text: str, *, size: float = 12) -> None:
    """Writes a title above a figure, folded to its width.

    Args:
        figure: The figure.
        text: The title; each of its lines is folded by itself.
        size: Of the letters, in points.
    """
    inches = 0.65 * size / 72  # a letter, on average
    figure.suptitle(folded(text, int(figure.get_figwidth() / inches)), fontsize=size)


def short(name: str) -> str:
    """A name that fits beside a picture."""
    return name if len(name) <= 24 else name[:22] + "..."


def run_names(names: Sequence[str]) -> str:
    """The runs of an ensemble, for a title: each of them where that is short."""
    text = " + ".join(names)
    if len(text) <= 60 or len(names) < 3:
        return text
    return f"{names[0]} + ... + {names[-1]} ({len(names)} runs)"


def slice_name(axis: int, index: int, shape: Sequence[int]) -> str:
    """What a slice of a volume `(D H W)` is called beneath it; pages count from 1 likewise."""
    return f"{'DHW'[axis]}: slice {index + 1} of {shape[axis]}"


def to_png(figure: "Figure") -> bytes:
    """A figure as the content of a PNG file.

    It keeps its size: cut tightly, as `savefig` can, it would be drawn twice. And it keeps its
    layout, which takes as long as the drawing, for an SVG of the same figure.
    """
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150)
    figure.set_layout_engine("none")
    return content.getvalue()


def save(path: Path, figure: "Figure") -> None:
    """Writes a figure as a PNG, whole or not at all."""
    write_bytes(path, to_png(figure))


def to_svg(figure: "Figure", name: str) -> str:
    """A figure as an SVG element to put into a page, in the page's own text colour.

    Args:
        figure: The figure; its black lines and texts take the colour of the page, and its
            background becomes transparent.
        name: What a screen reader says; HTML's special characters are escaped.

    Returns:
        The element, without declarations, metadata or references to other hosts.
    """
    from html import escape

    from matplotlib import rc_context

    _take_ink(figure)
    text = io.StringIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(
            text,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(name)}" ', 1)


def _take_ink(figure: Any) -> None:
    """Gives all that is black, texts, axes and ticks, a colour that can be found again."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_hex
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.spines import Spine
    from matplotlib.text import Text

    def black(artist: Any) -> bool:
        colour: Any = artist.get_edgecolor() if isinstance(artist, Spine) else artist.get_color()
        return to_hex(colour[0] if isinstance(artist, LineCollection) else colour) == "#000000"

    for panel in figure.axes:  # ticks made later are copies of what these parameters say
        panel.tick_params(colors=_INK)
    for legend in figure.findobj(Legend):
        legend.get_frame().set_alpha(0)
    for artist in figure.findobj(lambda a: isinstance(a, Text | Line2D | Spine | LineCollection)):
        if black(artist):
            artist.set_edgecolor(_INK) if isinstance(artist, Spine) else artist.set_color(_INK)
