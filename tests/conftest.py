"""Fixtures shared by all tests."""

import os
import sys
from unittest import mock

import numpy as np
import pytest

from minigrad.engine import slabs


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def slabs_of_one_image(monkeypatch):
    """As if every image filled the cache: tiny batches are cut into slabs and tasks as large ones are."""
    monkeypatch.setattr(slabs, "SLAB", 1)


def cupy_or_its_stand_in(which):
    """The module `cupy` while a test runs: the real one, or the stand-in with two devices that enforces CuPy's rules (tests/cuda)."""
    from backends import NO_CUPY

    if NO_CUPY:
        pytest.skip(NO_CUPY)
    with mock.patch.dict(os.environ):  # a device may set CUPY_TF32
        if which == "GPU":
            import cupy

            yield cupy
        else:
            import strict_cupy

            from minigrad.cuda.device import tf32

            strict_cupy.reset()
            tf32.cache_clear()  # as in a process that has just begun
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(sys.modules, "cupy", strict_cupy)
                yield strict_cupy
            assert not strict_cupy.state.problems


@pytest.fixture
def stand_in():
    yield from cupy_or_its_stand_in("stand-in")


@pytest.fixture(params=["stand-in", pytest.param("GPU", marks=pytest.mark.gpu)])
def one_gpu(request):
    yield from cupy_or_its_stand_in(request.param)


@pytest.fixture(params=["stand-in", pytest.param("GPU", marks=pytest.mark.multi_gpu)])
def two_gpus(request):
    yield from cupy_or_its_stand_in(request.param)


def pytest_collection_modifyitems(items):
    """Tests marked `gpu` or `multi_gpu` are skipped where there are not so many, and say why."""
    from backends import no_gpu

    for mark, wanted in (("gpu", 1), ("multi_gpu", 2)):
        marked = [item for item in items if item.get_closest_marker(mark)]
        reason = marked and no_gpu(wanted)
        for item in marked if reason else ():
            item.add_marker(pytest.mark.skip(reason=reason))
