"""MaxPool2d against plain loops; a tie goes to the first maximum in row-major order."""

import numpy as np
import pytest
from naive import max_pool, max_pool_backward

from minigrad import MaxPool2d
from minigrad.engine import pooling
from minigrad.engine.pooling import FEW

WINDOWS = [(3, 2), (2, 2), (3, 1), (3, 3), (2, 3), (1, 1), (1, 2), (5, 2)]


@pytest.mark.parametrize("K, S", WINDOWS)
@pytest.mark.parametrize("H, W", [(7, 9), (8, 5), (6, 6)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("highest", [0, 1, 2, 1000])
def test_equals_the_loops(rng, K, S, H, W, dtype, highest):
    """Whole numbers, so that sums are exact: from 0 alone, where all windows are ties, to few ties at all."""
    x = rng.integers(-highest, highest + 1, (2, H, W, 3)).astype(dtype)
    layer = MaxPool2d(K, S)
    y = layer.forward(x)
    np.testing.assert_array_equal(y, max_pool(x, K, S)[0])
    dy = rng.integers(1, 100, y.shape).astype(dtype)
    np.testing.assert_array_equal(layer.backward(dy), max_pool_backward(x, dy, K, S))


@pytest.mark.parametrize("K, S", WINDOWS)
@pytest.mark.parametrize("C", [FEW - 1, FEW])
def test_few_and_many_channels_equal_the_loops(rng, K, S, C):
    x = rng.integers(-2, 3, (2, 8, 7, C)).astype(np.float32)
    layer = MaxPool2d(K, S)
    y = layer.forward(x)
    np.testing.assert_array_equal(y, max_pool(x, K, S)[0])
    dy = rng.integers(1, 100, y.shape).astype(np.float32)
    np.testing.assert_array_equal(layer.backward(dy), max_pool_backward(x, dy, K, S))


@pytest.mark.parametrize("K, S", WINDOWS)
def test_all_numbers_negative(rng, K, S):
    x = -1 - rng.random((1, 7, 6, 2))
    np.testing.assert_array_equal(MaxPool2d(K, S).forward(x), max_pool(x, K, S)[0])


def test_the_first_row_wins_before_the_first_column():
    x = np.array([[0, 0, 5], [5, 0, 0], [0, 5, 0]], np.float32).reshape(1, 3, 3, 1)
    layer = MaxPool2d(3, 2)
    layer.forward(x)
    dx = layer.backward(np.ones((1, 1, 1, 1), np.float32))
    assert np.argwhere(dx[0, :, :, 0]).tolist() == [[0, 2]]


def test_a_pixel_that_wins_four_windows_gets_the_sum():
    x = np.zeros((1, 5, 5, 1), np.float32)
    x[0, 2, 2] = 1
    layer = MaxPool2d()
    layer.forward(x)
    dx = layer.backward(np.array([1, 10, 100, 1000], np.float32).reshape(1, 2, 2, 1))
    assert dx[0, 2, 2, 0] == 1111 and dx.sum() == 1111


@pytest.mark.parametrize("size, expected", [(55, 27), (27, 13), (13, 6), (32, 15), (28, 13)])
def test_what_is_left_over_is_not_read(size, expected):
    assert MaxPool2d(3, 2).forward(np.zeros((1, size, 3, 1), np.float32)).shape == (1, expected, 1, 1)


def test_a_window_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="MaxPool2d.*3x3.*5x2"):
        MaxPool2d(3, 2).forward(np.zeros((1, 5, 2, 1), np.float32))


def test_a_batch_without_channels_is_refused():
    with pytest.raises(ValueError, match=r"MaxPool2d.*\(2, 5, 5\)"):
        MaxPool2d(3, 2).forward(np.zeros((2, 5, 5), np.float32))


@pytest.mark.parametrize("arguments", [(0, 1), (2, 0)])
def test_sizes_of_zero_are_refused(arguments):
    with pytest.raises(ValueError, match="MaxPool2d.*0"):
        MaxPool2d(*arguments)


def test_a_nan_wins_its_windows_as_in_torch():
    """Forward and backward: the first NaN of a window is its maximum, wherever it stands, and gets the gradient."""
    x = np.zeros((1, 5, 5, 1))
    x[0, 1, 2, 0], x[0, 3, 3, 0], x[0, 0, 0, 0] = np.nan, np.nan, 7
    layer = MaxPool2d(3, 2)
    y = layer.forward(x)
    np.testing.assert_array_equal(y[0, :, :, 0], [[np.nan, np.nan], [0, np.nan]])
    dx = layer.backward(np.array([1.0, 2, 3, 4]).reshape(1, 2, 2, 1))
    assert dx[0, 1, 2, 0] == 3 and dx[0, 3, 3, 0] == 4 and dx[0, 2, 0, 0] == 3 and dx.sum() == 10


def test_an_infinite_gradient_reaches_the_winners_alone():
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    layer = MaxPool2d(2, 2)
    layer.forward(x)
    dx = layer.backward(np.array([np.inf, 1, 2, 3]).reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(dx.ravel(), [0, 0, 0, 0, 0, np.inf, 0, 1, 0, 0, 0, 0, 0, 2, 0, 3])


@pytest.mark.parametrize("arguments", [((3, 3),), (3, (2, 2)), ("3",), (2.0,)])
def test_sizes_that_are_no_int_are_told(arguments):
    with pytest.raises(TypeError, match="MaxPool2d: .* must be one int"):
        MaxPool2d(*arguments)


def test_gradients_of_one_image_at_a_time_are_those_of_all(rng, monkeypatch):
    """To the bit: a pixel adds up in the order of the windows."""
    layer, x = MaxPool2d(3, 2), rng.integers(0, 3, (5, 9, 8, 4)).astype(np.float32)
    dy = rng.standard_normal(layer.forward(x).shape).astype(np.float32)
    together = layer.backward(dy)
    monkeypatch.setattr(pooling, "PLACES", 1)
    np.testing.assert_array_equal(layer.backward(dy), together)
