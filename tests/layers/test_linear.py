"""Linear against the formulas of its derivatives."""

import numpy as np
import pytest
from naive import relative_error

from minigrad import Linear


@pytest.mark.parametrize("N, inputs, outputs", [(1, 1, 1), (3, 7, 5), (1, 300, 2), (5, 600, 259), (2, 3, 513)])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_equals_the_formulas(rng, N, inputs, outputs, dtype, tolerance):
    """Sizes on both sides of whatever blocks the work is cut into."""
    layer = Linear(inputs, outputs, std=1.0, bias=0.5, rng=rng).astype(dtype)
    x, dy = rng.standard_normal((N, inputs)).astype(dtype), rng.standard_normal((N, outputs)).astype(dtype)
    W, b = (p.value.astype(np.float64) for p in layer.parameters())
    y, dx = layer.forward(x), layer.backward(dy)
    results = [y, dx, *(p.grad for p in layer.parameters())]
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    for result, expected in zip(results, [x @ W + b, dy @ W.T, x.T @ dy, dy.sum(axis=0)], strict=True):
        assert result.shape == expected.shape and result.dtype == dtype
        assert relative_error(result, expected) < tolerance


def test_by_hand():
    layer = Linear(2, 3)
    W, b = (p.value for p in layer.parameters())
    W[...], b[...] = [[1, 2, 3], [4, 5, 6]], [10, 20, 30]
    y = layer.forward(np.array([[1, -1]], np.float32))
    np.testing.assert_array_equal(y, [[7, 17, 27]])
    np.testing.assert_array_equal(layer.backward(np.array([[1, 0, -1]], np.float32)), [[-2, -2]])
    np.testing.assert_array_equal([p.grad for p in layer.parameters()][0], [[1, 0, -1], [-1, 0, 1]])


def test_starting_weights(rng):
    layer = Linear(90, 80, std=0.005, bias=0.1, rng=rng)
    W, b = (p.value for p in layer.parameters())
    assert W.shape == (90, 80) and b.shape == (80,) and W.dtype == b.dtype == np.float32
    assert abs(W.mean()) < 5 * 0.005 / W.size**0.5
    assert abs(W.std() / 0.005 - 1) < 5 / (2 * W.size) ** 0.5
    np.testing.assert_array_equal(b, np.float32(0.1))


@pytest.mark.parametrize("shape", [(7,), (2, 7, 1), (2, 1, 1, 7)])
def test_images_that_are_not_rows_are_refused(shape):
    with pytest.raises(ValueError, match=r"Linear.*\(N, 7\)"):
        Linear(7, 5).forward(np.ones(shape, np.float32))


@pytest.mark.parametrize("arguments", [(0, 4), (3, 0)])
def test_sizes_of_zero_are_refused(arguments):
    with pytest.raises(ValueError, match="Linear.*0"):
        Linear(*arguments)


@pytest.mark.parametrize("bias", [True, False, np.False_])
def test_a_bias_is_a_number_and_no_switch(bias):
    with pytest.raises(TypeError, match="Linear: bias is the number"):
        Linear(3, 4, bias=bias)
