"""What pictures share: short names, whole files, SVGs that a page can take in."""

import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from lmttm.report import style


def picture():
    figure = Figure(figsize=(4, 3))
    panel = figure.subplots()
    panel.plot([0, 1], [0, 1], color="black", label="line")
    panel.errorbar([0.5], [0.5], [0.1], color="black")
    panel.legend()
    panel.set_title("title")
    return figure


def test_a_picture_is_a_png(tmp_path):
    style.save(tmp_path / "a.png", picture())
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 100
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_name_is_seen_as_it_is():
    """Guards against `$x_1$` set as a formula, a stop at a faulty one, and boxes for letters."""
    for name, seen in {
        "Ünï $x_1$ <b>": "Ünï $x_1$ <b>",
        r"$\frac$ a\$b": r"$\frac$ a\$b",
        "漢字.nii\nsecond": "\\u6f22\\u5b57.nii\nsecond",
    }.items():
        figure = Figure()
        text = figure.text(0, 0, style.legible(name))
        style.to_png(figure)  # a letter without a glyph is a warning, and so an error
        plain, is_formula = text._preprocess_math(text.get_text())
        assert (plain, bool(is_formula)) == (seen, False)


def test_long_names_are_cut():
    assert style.short("x" * 24) == "x" * 24
    assert style.short("x" * 25) == "x" * 22 + "..."


def test_the_runs_of_an_ensemble_are_named_while_that_is_short():
    assert style.run_names(["s0"]) == "s0"
    assert style.run_names(["s0", "s1", "s2"]) == "s0 + s1 + s2"
    names = [f"vesselmnist3d_s{n}" for n in range(10)]
    assert style.run_names(names) == "vesselmnist3d_s0 + ... + vesselmnist3d_s9 (10 runs)"
    assert style.run_names(["x" * 50, "y" * 50]) == "x" * 50 + " + " + "y" * 50


def test_a_title_is_folded_to_the_width_of_its_figure():
    """Guards against the names of an ensemble that run over both edges of a picture."""
    title = "+".join(f"run_of_fold_{n}" for n in range(20)) + ": AdrenalMNIST3D\nsecond line"
    figure = Figure(figsize=(6, 3), layout="constrained")
    style.put_title(figure, title)
    with Image.open(io.BytesIO(style.to_png(figure))) as image:
        pixels = np.array(image.convert("L"))
    assert pixels.min() == 0
    assert min(edge.min() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])) == 255
    assert figure.get_suptitle().endswith("\nsecond line")


def test_an_svg_takes_the_colour_of_its_page():
    """Guards against black axes and letters on a dark page."""
    svg = style.to_svg(picture(), 'a "name" <b>')
    assert svg.startswith("<svg ")
    assert 'aria-label="a &quot;name&quot; &lt;b&gt;"' in svg
    assert "currentColor" in svg
    assert "#000000" not in svg
    assert "<metadata" not in svg
    assert svg == style.to_svg(picture(), 'a "name" <b>')  # no date, no chance


def test_more_lines_than_colours_differ_in_their_dashes():
    looks = {(style.colour_of(n), style.dash_of(n)) for n in range(20)}
    assert len(looks) == 20
