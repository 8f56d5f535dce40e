"""LocalResponseNorm against plain loops, central differences and known numbers."""

import numpy as np
import pytest
from naive import lrn, numerical_gradients, relative_error

from minigrad import LocalResponseNorm
from minigrad.engine.lrn import FEW

CONSTANTS = [(size, alpha, beta, k) for size in (1, 3, 5, 9) for alpha, k in ((0.5, 1.0), (1e-4, 2.0)) for beta in (0.75, 0.5)]


@pytest.mark.parametrize("size, alpha, beta, k", CONSTANTS)
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 2e-6)])
def test_equals_the_loops(rng, size, alpha, beta, k, dtype, tolerance):
    x = (30 * rng.standard_normal((2, 3, 2, 11))).astype(dtype)
    y = LocalResponseNorm(size, alpha, beta, k).forward(x)
    assert relative_error(y, lrn(x.astype(np.float64), size, alpha, beta, k)) < tolerance


@pytest.mark.parametrize("size, alpha, beta, k", CONSTANTS)
def test_gradient(rng, size, alpha, beta, k):
    """Responses of 30, where the paper's alpha makes a difference."""
    layer, scale = LocalResponseNorm(size, alpha, beta, k), 30 if alpha < 0.01 else 1
    x = scale * rng.standard_normal((1, 2, 3, 7))
    dys = [rng.standard_normal(x.shape) for _ in range(2)]
    for dy, expected in zip(dys, numerical_gradients(lambda: layer.forward(x), x, dys), strict=True):
        layer.forward(x)
        assert relative_error(layer.backward(dy), expected) < 1e-6


@pytest.mark.parametrize(
    "x, expected",
    [(1, (0.594537, 0.594514, 0.594492)), (10, (5.880009, 5.858378, 5.836932)), (100, (29.906976, 26.084743, 23.236808))],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_a_constant(x, expected, dtype):
    y = LocalResponseNorm().forward(np.full((1, 2, 3, 8), x, dtype))
    np.testing.assert_allclose(y[0, 1, 2, :3], expected, atol=5.1e-7, rtol=0 if dtype == np.float64 else 3e-7)
    np.testing.assert_array_equal(y[..., ::-1], y)  # the other edge is the same


def test_the_defaults_are_the_papers(rng):
    x = 50 * rng.standard_normal((1, 2, 2, 9))
    np.testing.assert_array_equal(LocalResponseNorm().forward(x), LocalResponseNorm(5, 1e-4, 0.75, 2.0).forward(x))


def test_two_towers_of_48_channels_differ_from_one_of_96_at_the_seam_alone(rng):
    x, layer = 50 * rng.standard_normal((2, 3, 4, 96)), LocalResponseNorm()
    together = layer.forward(x)
    apart = np.concatenate([layer.forward(x[..., :48]), layer.forward(x[..., 48:])], axis=-1)
    differs = (abs(together - apart) > 1e-12 * abs(together)).any(axis=(0, 1, 2))
    assert np.flatnonzero(differs).tolist() == [46, 47, 48, 49]


@pytest.mark.parametrize("size", [4, 0, -1])
def test_a_window_without_a_middle_is_refused(size):
    with pytest.raises(ValueError, match=f"LocalResponseNorm.*odd.*{size}"):
        LocalResponseNorm(size)


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("C", [FEW, FEW + 1])
def test_few_and_many_channels_equal_the_loops(rng, size, C):
    """Up to FEW channels a product takes the sums, from there on shifted sums do."""
    layer, x = LocalResponseNorm(size, 0.5), rng.standard_normal((2, 2, 3, C))
    assert relative_error(layer.forward(x), lrn(x, size, 0.5, 0.75, 2.0)) < 1e-13
    dy = rng.standard_normal(x.shape)
    (expected,) = numerical_gradients(lambda: layer.forward(x), x, [dy])
    layer.forward(x)
    assert relative_error(layer.backward(dy), expected) < 1e-6


@pytest.mark.parametrize("C", [FEW, FEW + 1])
def test_an_infinite_response_reaches_its_window_alone(C):
    x = np.ones((1, 1, 1, C), np.float32)
    x[..., 10] = np.inf
    with np.errstate(invalid="ignore"):
        y = LocalResponseNorm().forward(x)[0, 0, 0]
    assert np.isfinite(y[[*range(10), *range(11, C)]]).all() and np.flatnonzero(y == 0).tolist() == [8, 9, 11, 12]
