"""Fixtures shared by all tests."""

import numpy as np
import pytest

from minigrad.layers import base


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def slabs_of_one_image(monkeypatch):
    """As if every image filled the cache: tiny batches are cut into slabs and tasks as large ones are."""
    monkeypatch.setattr(base, "SLAB", 1)
