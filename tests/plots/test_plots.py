"""The figures are written whole, and show what they are given."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from minigrad import plots


def rows(epochs):
    errors = {f"{s}_top{k}_error": 0.9 / k for s in ("train", "val") for k in (1, 5)}
    return [
        {"epoch": e + 1, "lr": 0.01 if e < 2 else 0.001, "train_loss": 2.5 / (e + 1), "val_loss": 2.6 / (e + 1)} | errors
        for e in range(epochs)
    ]


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def colour(text):
    return [int(text[i : i + 2], 16) for i in (1, 3, 5)]


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
    heights = plots._apart([1.0, 1.1, 1.2, 5.0], 1.0)
    assert np.diff(heights) == pytest.approx([1.0, 1.0, 2.9])
    assert heights[1] == pytest.approx(1.1)
    assert plots._apart([0.0, 2.0], 1.0) == [0.0, 2.0]


def test_labels_stay_above_the_axis():
    axes = Figure().subplots()
    axes.set_ylim(0, 100)
    plots._label_ends(axes, 6, [("c", 30.0, "k"), ("a", 0.1, "k"), ("b", 0.2, "k")])
    assert [text.get_text() for text in axes.texts] == ["a", "b", "c"]
    assert [text.xy[1] for text in axes.texts] == pytest.approx([3, 9, 30])


@pytest.mark.parametrize("k, n", [(11, 48), (5, 17), (3, 12), (3, 5)])
def test_every_weight_of_a_filter_is_a_square_of_whole_pixels(tmp_path, k, n):
    rng = np.random.default_rng(k)
    kernels = [rng.normal(size=(k, k, 3, n)).astype(np.float32) for _ in range(2)]
    path = tmp_path / "filters.png"
    plots.filters(kernels, path)
    image = pixels(path).astype(float)
    scale = round(64 / k)
    columns = 16 if n > 12 else 12
    rows = -(-n // columns)
    low, high = min(W.min() for W in kernels), max(W.max() for W in kernels)
    block, pitch = rows * (k * scale + 4) - 4, k * scale + 4
    assert image.shape[0] == 2 * (block + 30) + 16
    for tower, W in enumerate(kernels):
        for i in (0, n // 2, n - 1):
            top, left = 30 + tower * (block + 30) + i // columns * pitch, 16 + i % columns * pitch
            shown = image[top : top + k * scale, left : left + k * scale]
            wanted = (255 * (W[..., i] - low) / (high - low)).repeat(scale, 0).repeat(scale, 1)
            assert np.abs(shown - wanted).max() <= 1


def test_kernels_of_one_colour_are_grey(tmp_path):
    W = np.random.default_rng(1).normal(size=(5, 5, 1, 3))
    plots.filters([W], tmp_path / "filters.png")
    image = pixels(tmp_path / "filters.png")[30:95, 16:-16]
    assert (image == image[..., :1]).all() and image.std() > 0


def test_one_tower_of_equal_weights_is_drawn(tmp_path):
    plots.filters([np.full((3, 3, 3, 2), 0.5)], tmp_path / "filters.png")
    assert pixels(tmp_path / "filters.png").std() > 0


def test_a_figure_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "old.png"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half way"):
        with plots.replacing(path) as temporary:
            with open(temporary, "wb") as file:
                file.write(b"new")
            raise RuntimeError("half way")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# --- predictions, neighbours, activations, confusions ---


def some_images(n, channels=3):
    return list(np.random.default_rng(0).integers(0, 256, (n, 9, 9, channels), np.uint8))


def drawn(path, wanted):
    """How many pixels of a picture have a colour."""
    return int((pixels(path) == colour(wanted)).all(axis=-1).sum())


@pytest.mark.parametrize("n, channels", [(8, 3), (3, 1)])
def test_predictions_have_bars_as_long_as_the_probabilities(tmp_path, n, channels):
    p = np.zeros((n, 7))
    p[:, 2], p[:, 3], p[:, 5] = 0.6, 0.3, 0.1
    labels = np.full(n, 3)
    plots.predictions(some_images(n, channels), labels, p, list("abcdefg"), tmp_path / "p.png")
    red, blue = drawn(tmp_path / "p.png", plots.PINK), drawn(tmp_path / "p.png", plots.PALE)
    assert blue / red == pytest.approx((0.6 + 0.1) / 0.3, rel=0.15)
    plots.predictions(some_images(n, channels), np.full(n, 6), p, list("abcdefg"), tmp_path / "none.png")
    assert drawn(tmp_path / "none.png", plots.PINK) == 0  # the true class is not among the five


def test_neighbours_show_their_images(tmp_path):
    images = [np.full((5, 5, 3), (10 * i, 200, 3), np.uint8) for i in range(12)]
    plots.neighbours(images[:2], [images[2:7], images[7:]], tmp_path / "n.png", [list("aababb")] * 2)
    assert all(drawn(tmp_path / "n.png", f"#{10 * i:02x}c803") > 1000 for i in range(12))


@pytest.mark.parametrize("towers", [1, 2])
def test_activations_show_the_strongest_channels_of_each_tower(tmp_path, towers):
    maps = {f"conv{i}": [np.zeros((7 - i, 7 - i, 20)) for _ in range(towers)] for i in (1, 2, 3)}
    maps["conv1"][0][..., 17] = 1
    plots.activations(some_images(1)[0], maps, tmp_path / "a.png")
    brightest = (pixels(tmp_path / "a.png").astype(int) - [252, 253, 191]).__abs__().max(axis=-1) < 3  # the end of the scale
    assert brightest.sum() > 1000


@pytest.mark.parametrize("K", [3, 30, 31, 200])
def test_confusions(tmp_path, K):
    table = 90 * np.eye(K, dtype=int)
    table[0, 1] = 10
    plots.confusion(table, [f"class {i}, also called {i}" for i in range(K)], tmp_path / "c.png")
    image = pixels(tmp_path / "c.png")
    assert (image.max(axis=-1) - image.min(axis=-1).astype(int)).max() > 50


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
