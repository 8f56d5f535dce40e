"""The kernels of conv1 are drawn weight by weight."""

import numpy as np
import pytest
from drawn import pixels

from minigrad import plots


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
