"""Of each layer the channels that respond most are drawn."""

import numpy as np
import pytest
from drawn import pixels, some_images

from minigrad import plots


@pytest.mark.parametrize("towers", [1, 2])
def test_activations_show_the_strongest_channels_of_each_tower(tmp_path, towers):
    maps = {f"conv{i}": [np.zeros((7 - i, 7 - i, 20)) for _ in range(towers)] for i in (1, 2, 3)}
    maps["conv1"][0][..., 17] = 1
    plots.activations(some_images(1)[0], maps, tmp_path / "a.png")
    brightest = (pixels(tmp_path / "a.png").astype(int) - [252, 253, 191]).__abs__().max(axis=-1) < 3  # the end of the scale
    assert brightest.sum() > 1000
