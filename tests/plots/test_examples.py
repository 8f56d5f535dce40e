"""Predictions and neighbours show the images and numbers they are given."""

import numpy as np
import pytest
from drawn import drawn, some_images

from minigrad import plots


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
