"""ReLU, Tanh and Flatten by hand."""

import numpy as np

from minigrad import Flatten, ReLU, Tanh


def test_relu_and_its_kink():
    layer = ReLU()
    x = np.array([[-2.0, -0.0, 0.0, 1e-30, 3.0]], np.float32)
    np.testing.assert_array_equal(layer.forward(x), [[0, 0, 0, np.float32(1e-30), 3]])
    np.testing.assert_array_equal(layer.backward(np.full_like(x, 7)), [[0, 0, 0, 7, 7]])


def test_tanh():
    layer = Tanh()
    x = np.array([[0.0, np.log(2.0), -50.0, 50.0]])
    np.testing.assert_allclose(layer.forward(x), [[0, 0.6, -1, 1]], rtol=1e-15)
    np.testing.assert_allclose(layer.backward(np.full_like(x, 2)), [[2, 1.28, 0, 0]], rtol=1e-14)


def test_flatten_reads_rows_then_columns_then_channels():
    H, W, C = 2, 3, 5
    x = np.arange(2 * H * W * C, dtype=np.float32).reshape(2, H, W, C)
    layer = Flatten()
    y = layer.forward(x)
    assert y.shape == (2, H * W * C)
    assert y[1, (1 * W + 2) * C + 3] == x[1, 1, 2, 3]
    np.testing.assert_array_equal(layer.backward(y), x)


def test_infinite_gradients_stop_where_relu_is_0():
    layer = ReLU()
    layer.forward(np.array([[-1.0, 2.0, 0.0, 3.0]]))
    np.testing.assert_array_equal(layer.backward(np.array([[np.inf, -np.inf, np.nan, 5.0]])), [[0, -np.inf, 0, 5]])
