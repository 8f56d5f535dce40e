"""Patches of a few images at a time."""

import numpy as np
import pytest

from minigrad import Conv2d
from minigrad.engine import patches


@pytest.mark.parametrize("arguments", [(3, 5, 3, 2, 1), (3, 5, 3, 1, (1, 1, 0, 1)), (6, 5, 3, 1, (2, 0, 1, 1)), (64, 64, 3, 1, 1)])
def test_a_slab_in_portions_is_the_same_slab(rng, monkeypatch, arguments):
    """Strided, with patches of the outputs, and Winograd: one image at a time or all at once, but for the order of the sums of dW."""
    layer, x = Conv2d(*arguments, rng=rng).astype(np.float64), rng.standard_normal((5, 8, 9, arguments[0]))
    results = []
    for bytes_at_a_time in (1, 1 << 40):
        monkeypatch.setattr(patches, "PATCHES", bytes_at_a_time)
        monkeypatch.setattr(patches, "PRODUCTS", bytes_at_a_time)
        y = layer.forward(x)
        results.append([y, layer.backward(np.sin(np.arange(y.size)).reshape(y.shape)), layer.dW, layer.db])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("columns, together", [(8, 4), (6, 2), (7, 1)])
def test_windows_taken_together_are_the_same_convolution(rng, columns, together):
    W, x = rng.standard_normal((3, 3, 2, 5)), rng.standard_normal((2, 4, columns + 2, 2))
    assert patches.windows_together(3, 1, 2, columns) == together
    dy = rng.standard_normal((2, 2, columns, 5))
    alone, wide = patches.im2col(x, 3), patches.im2col(x, 3, together=together)
    assert wide.shape == (2 * 2 * columns // together, 3 * (3 + together - 1) * 2)
    y = wide @ patches.side_by_side(W, together)
    np.testing.assert_allclose(y.reshape(-1, 5), alone @ W.reshape(-1, 5), rtol=1e-12, atol=1e-12)
    dW = patches.side_by_side_backward(wide.T @ dy.reshape(len(wide), -1), W.shape, together)
    np.testing.assert_allclose(dW.reshape(-1, 5), alone.T @ dy.reshape(-1, 5), rtol=1e-12, atol=1e-12)


def test_products_added_a_few_at_a_time_are_the_same_to_the_bit(rng, monkeypatch):
    a, b, total = rng.standard_normal((7, 3, 4)), rng.standard_normal((7, 4, 5)), rng.standard_normal((7, 3, 5))
    for bytes_at_a_time in (1, 3 * 5 * 8 * 2, 1 << 40):
        monkeypatch.setattr(patches, "PRODUCTS", bytes_at_a_time)
        np.testing.assert_array_equal(patches.add_product(total.copy(), a, b), total + a @ b)


@pytest.mark.parametrize("small", [0, 7 * 4 * 5, 1 << 40])  # never by itself, an image by itself, all of them together
def test_products_of_one_image_at_a_time_are_the_whole_product(rng, monkeypatch, small):
    monkeypatch.setattr(patches, "SMALL", small)
    a, b, d, y = rng.standard_normal((3 * 7, 4)), rng.standard_normal((4, 5)), rng.standard_normal((3 * 7, 5)), np.empty((3 * 7, 5))
    patches.multiply(a, b, y, 3)
    np.testing.assert_allclose(y, a @ b, rtol=1e-12)
    total = patches.add_gradient(None, a, d, 3)
    np.testing.assert_allclose(total, a.T @ d, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(patches.add_gradient(total.copy(), a, d, 3), 2 * (a.T @ d), rtol=1e-12, atol=1e-12)
