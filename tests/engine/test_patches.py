"""Patches of a few images at a time."""

import numpy as np
import pytest

from minigrad import Conv2d
from minigrad.engine import patches


@pytest.mark.parametrize("arguments", [(3, 5, 3, 2, 1), (6, 5, 3, 1, (2, 0, 1, 1)), (64, 64, 3, 1, 1)])
def test_a_slab_in_portions_is_the_same_slab(rng, monkeypatch, arguments):
    """Strided, with patches of the outputs, and Winograd: one image at a time or all at once, but for the order of the sums of dW."""
    layer, x = Conv2d(*arguments, rng=rng).astype(np.float64), rng.standard_normal((5, 8, 9, arguments[0]))
    results = []
    for bytes_at_a_time in (1, 1 << 40):
        monkeypatch.setattr(patches, "PATCHES", bytes_at_a_time)
        y = layer.forward(x)
        results.append([y, layer.backward(np.sin(np.arange(y.size)).reshape(y.shape)), layer.dW, layer.db])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
