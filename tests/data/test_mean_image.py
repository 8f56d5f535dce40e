"""The mean image: of all images in an array, of a sample of a folder."""

import numpy as np
import pytest
from refused import Lazy, data_threads, refused

from minigrad.data import mean_image


@pytest.mark.parametrize("C", [1, 3])
def test_mean_image(rng, C):
    images = rng.integers(0, 256, (7, 5, 4, C), np.uint8)
    mean = mean_image(images)
    assert mean.shape == (5, 4, 3) and mean.dtype == np.float32
    np.testing.assert_allclose(mean, np.broadcast_to(images.astype(float).mean(axis=0), (5, 4, 3)), rtol=1e-6)


def test_mean_image_of_a_folder_is_a_sample_of_all_of_it():
    few, many = Lazy(10), Lazy(4000)
    np.testing.assert_allclose(mean_image(few), np.full((4, 4, 3), 4.5))
    assert sorted(few.asked) == list(range(10))
    mean_image(many)
    asked = sorted(many.asked)
    assert len(set(asked)) == 1000 and asked[0] == 0 and asked[-1] == 3999 and 3 <= min(np.diff(asked)) and max(np.diff(asked)) <= 5
    assert not data_threads()


def test_mean_image_needs_images():
    refused(lambda: mean_image(np.zeros((0, 4, 4, 3), np.uint8)), "at least one image")
