"""The figure of what speaks for a class."""

from types import SimpleNamespace

import numpy as np
import pytest
from drawn import pixels, some_images

from minigrad import plots


def test_one_number_for_a_pixel_is_a_grey(tmp_path):
    one = np.linspace(-1, 1, 81).reshape(1, 9, 9, 1)
    explanation = SimpleNamespace(saliency=np.zeros((1, 9, 9)), deconvnet=one, guided=-one, cam=None)
    plots.backwards(some_images(1), ["a"], explanation, tmp_path / "b.png")
    found = pixels(tmp_path / "b.png").astype(int)
    right = found[:, 6 * found.shape[1] // 10 :]  # deconvnet and guided
    assert np.ptp(right, axis=-1).max() == 0 and len(np.unique(right)) > 60


@pytest.mark.parametrize("with_cam", [True, False])
def test_a_row_for_each_image(tmp_path, with_cam):
    shape, middle = (2, 9, 9), np.zeros((2, 9, 9, 3))
    middle[:, 4, 4] = [1, -1, -1]  # red
    saliency = np.zeros(shape)
    saliency[:, 2, 2] = 3.0
    cam = np.zeros((2, 3, 3)) if with_cam else None
    explanation = SimpleNamespace(saliency=saliency, deconvnet=middle, guided=0 * middle, cam=cam)
    plots.backwards(some_images(2), ["$a_b$", "another"], explanation, tmp_path / "b.png")
    found = pixels(tmp_path / "b.png").astype(int)
    assert abs(found.shape[1] / found.shape[0] - (7.5 if with_cam else 6) / 3.3) < 0.01
    yellow, red = (np.abs(found - colour).max(axis=-1) < 4 for colour in ([253, 231, 37], [255, 0, 0]))  # viridis' end
    grey = np.abs(found - 128).max(axis=-1) < 2
    assert yellow.sum() > 500 and red.sum() > 500 and grey.sum() > 30 * red.sum()
