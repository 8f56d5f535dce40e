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


def pytest_collection_modifyitems(items):
    """Tests marked `gpu` or `multi_gpu` are skipped where there are not so many, and say why."""
    from backends import no_gpu

    for mark, wanted in (("gpu", 1), ("multi_gpu", 2)):
        marked = [item for item in items if item.get_closest_marker(mark)]
        reason = marked and no_gpu(wanted)
        for item in marked if reason else ():
            item.add_marker(pytest.mark.skip(reason=reason))
