"""What all figures share: files, names, and the notebooks' style."""

import matplotlib.style
import numpy as np
import pytest
from matplotlib import rc_context, rcParams

from minigrad import plots
from minigrad.plots.figure import blank, save


def test_without_a_suffix_both_kinds_are_written_and_svg_is_always_the_same_file(tmp_path):
    table = np.eye(3, dtype=int)
    for name in ("one", "two"):
        plots.confusion(table, list("abc"), tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.png", "one.svg", "two.png", "two.svg"]
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.svg").read_bytes().startswith(b"<?xml")


def test_names_are_cut_at_the_comma_and_when_long():
    assert plots.short("great white shark, white shark") == "great white shark"
    assert plots.short("a" * 30, 10) == "a" * 9 + "…"


def test_a_figure_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "old.png"
    path.write_bytes(b"old")
    half = blank(1, 1)

    def savefig(temporary, **options):
        temporary.write_bytes(b"half")
        raise RuntimeError("half way")

    half.savefig = savefig
    with pytest.raises(RuntimeError, match="half way"):
        save(half, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_style_of_the_notebooks_is_found():
    with rc_context():
        matplotlib.style.use("minigrad.plots.minigrad")
        assert [colour.lstrip("#") for colour in rcParams["axes.prop_cycle"].by_key()["color"][:2]] == ["0072B2", "D55E00"]
