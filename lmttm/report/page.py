"""Self-contained HTML pages: templates, escaped values, volumes for the slice viewer.

A page makes no request: styles, script, pictures and volumes lie in it, and its
Content-Security-Policy allows nothing else, no other script either.
"""

import base64
import functools
import hashlib
import json
import zlib
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jinja2 import Environment

PRIVACY = "This file holds images of the scans: treat it as you treat the patients' data."
_START = '\nstart(document.body, JSON.parse(document.getElementById("data").textContent));\n'


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("lmttm.report"), autoescape=True, undefined=StrictUndefined
    )


def asset(name: str) -> str:
    """The text of a file of `templates/`."""
    return files("lmttm.report").joinpath("templates", name).read_text(encoding="utf-8")


def fragment(template: str, **values: Any) -> str:
    """Fills a template; every text among the values is escaped, `markup` is not."""
    return _environment().get_template(template).render(**values)


def page(
    template: str,
    *,
    title: str,
    data: dict[str, Any],
    start: str = _START,
    privacy: str = PRIVACY,
    connect: str = "'none'",
    **values: Any,
) -> str:
    """Fills the template of a whole page.

    Args:
        template: A file of `templates/` that extends page.html.
        title: The title.
        data: For the slice viewer: `volumes` by `packed`, `slabs` or none, and where several
            channels can be shown the further ones as `channels`, by `pack`.
        start: The script behind the slice viewer, which starts it.
        privacy: Whom the images concern.
        connect: What the page may ask, as a Content-Security-Policy names it.
        values: What the template shows.

    Returns:
        HTML.
    """
    script = asset("viewer.js") + start
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return fragment(
        template,
        title=title,
        privacy=privacy,
        connect=markup(connect),
        style=markup(asset("style.css")),
        script=markup(script),
        hash=markup(f"'sha256-{digest}'"),
        data=markup(json.dumps(data).replace("<", "\\u003c")),
        **values,
    )


def markup(text: str) -> Any:
    """Marks a text of this package, such as an SVG, as HTML that is not escaped."""
    from markupsafe import Markup

    return Markup(text)


def packed(
    volume: np.ndarray, heat: np.ndarray | None = None, start: Sequence[int] | None = None
) -> dict[str, Any]:
    """A volume for the slice viewer.

    Args:
        volume: `(D H W)` uint8.
        heat: `(D H W)`, not negative; its largest value becomes 255.
        start: The slices that are shown first; the middle ones where there is none.

    Returns:
        What JSON can hold.
    """
    result: dict[str, Any] = {
        "shape": list(volume.shape),
        "start": list(start or (edge // 2 for edge in volume.shape)),
        "voxels": pack(volume),
        "heat": None,
    }
    if heat is not None:
        result["heat"] = pack(np.rint(255 * heat / max(heat.max(), 1e-12)).astype(np.uint8))
    return result


def pack(volume: np.ndarray) -> str:
    """The bytes of a volume `(D H W)` for the slice viewer, as text."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(volume).tobytes(), 9)).decode()
