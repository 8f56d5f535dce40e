"""Names in figures: as they are written, in letters that a font has, without a warning."""

import warnings

import numpy as np
import pytest

from minigrad import plots
from minigrad.plots import words

NAMES = ("cost_$5_$10", "a$b^{c$", "\\frac{", "中文", "тест", "\udce9\x1b", "hörbar 😀", "नमस्ते", "ends in $")


@pytest.mark.parametrize("which", ["here", "none"])
def test_any_name_is_drawn(tmp_path, monkeypatch, which):
    """which: with the fonts of this machine, and as where no font has more than the usual one."""
    words.fonts_with.cache_clear()
    if which == "none":
        monkeypatch.setattr("matplotlib.font_manager.fontManager.ttflist", [])
    K = len(NAMES)
    images = [np.zeros((8, 8, 3), np.uint8)] * 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.predictions(images, [0, 1, 2, 3], np.full((4, K), 1 / K), NAMES, tmp_path / "a")
        plots.confusion(np.eye(K, dtype=int), NAMES, tmp_path / "b")
        plots.neighbours(images[:1], [images], tmp_path / "c", [[NAMES[i] for i in range(5)]])
        many = tuple(NAMES[i % K] for i in range(40))
        plots.confusion(np.ones((40, 40), int), many, tmp_path / "d")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.{kind}" for name in "abcd" for kind in ("png", "svg")]
    if which == "none":
        assert words.legible("中") == "\\u4e2d" and words.legible("тест") == "тест"
    words.fonts_with.cache_clear()
    assert words.legible("a\udce9\n") == "a\\xe9\\n"


def test_dollars_are_no_formula():
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.set_xticks([0], ["$x$"])
    axes.set_title("$y$")
    words.as_written(figure)
    assert not any(text.get_parse_math() for text in [axes.title, *axes.get_xticklabels()])
