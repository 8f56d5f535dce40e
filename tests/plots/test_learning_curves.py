"""The curves of a run show its rows, and their labels can be read."""

import numpy as np
import pytest
from drawn import colour, pixels
from matplotlib.figure import Figure

from minigrad import plots
from minigrad.plots import learning_curves


def rows(epochs):
    errors = {f"{s}_top{k}_error": 0.9 / k for s in ("train", "val") for k in (1, 5)}
    return [
        {"epoch": e + 1, "lr": 0.01 if e < 2 else 0.001, "train_loss": 2.5 / (e + 1), "val_loss": 2.6 / (e + 1)} | errors
        for e in range(epochs)
    ]


@pytest.mark.parametrize("epochs", [1, 3, 41])
def test_curves_draw_both_colours_in_both_panels(tmp_path, epochs):
    path = tmp_path / "curves.png"
    plots.curves(rows(epochs), path)
    image = pixels(path)
    left, right = np.array_split(image, 2, axis=1)
    for panel in (left, right):
        for wanted in (plots.BLUE, plots.ORANGE):
            assert (panel == colour(wanted)).all(axis=-1).sum() > 10
    assert [p.name for p in tmp_path.iterdir()] == ["curves.png"]


def test_curves_take_the_strings_of_a_csv_file(tmp_path):
    text = [{name: str(value) for name, value in row.items()} for row in rows(3)]
    plots.curves(rows(3), tmp_path / "numbers.png")
    plots.curves(text, tmp_path / "strings.png")
    assert (pixels(tmp_path / "numbers.png") == pixels(tmp_path / "strings.png")).all()


def test_a_change_of_the_learning_rate_is_marked(tmp_path):
    same = [row | {"lr": 0.01} for row in rows(4)]
    plots.curves(rows(4), tmp_path / "marked.png")
    plots.curves(same, tmp_path / "plain.png")
    assert (pixels(tmp_path / "marked.png") != pixels(tmp_path / "plain.png")).any()


def test_curves_survive_a_loss_of_zero(tmp_path):
    zero = [{name: 0.0 for name in row} | {"epoch": 1} for row in rows(1)]
    plots.curves(zero, tmp_path / "curves.png")
    assert pixels(tmp_path / "curves.png").std() > 0


def test_labels_keep_their_distance_and_their_order():
    heights = learning_curves.spread([1.0, 1.1, 1.2, 5.0], 1.0)
    assert np.diff(heights) == pytest.approx([1.0, 1.0, 2.9])
    assert heights[1] == pytest.approx(1.1)
    assert learning_curves.spread([0.0, 2.0], 1.0) == [0.0, 2.0]


def test_labels_stay_above_the_axis():
    axes = Figure().subplots()
    axes.set_ylim(0, 100)
    learning_curves.label_ends(axes, 6, [("c", 30.0, "k"), ("a", 0.1, "k"), ("b", 0.2, "k")])
    assert [text.get_text() for text in axes.texts] == ["a", "b", "c"]
    assert [text.xy[1] for text in axes.texts] == pytest.approx([3, 9, 30])
