"""Confusions of few classes and of many."""

import numpy as np
import pytest
from drawn import pixels

from minigrad import plots


@pytest.mark.parametrize("K", [3, 30, 31, 200])
def test_confusions(tmp_path, K):
    table = 90 * np.eye(K, dtype=int)
    table[0, 1] = 10
    plots.confusion(table, [f"class {i}, also called {i}" for i in range(K)], tmp_path / "c.png")
    image = pixels(tmp_path / "c.png")
    assert (image.max(axis=-1) - image.min(axis=-1).astype(int)).max() > 50
