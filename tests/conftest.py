"""Fixtures shared by all tests."""

import os
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


@pytest.fixture
def fake_gpus():
    """Two GPUs of the fake CUDA (tests/cuda/fake): memory is NaN, and the GPUs' work comes in an order of its seed's choice."""
    from backends import NO_FAKE, POLICY, SEED, as_in_a_new_process, fake

    if NO_FAKE:
        pytest.skip(NO_FAKE)
    gpus = fake()
    gpus.reset(SEED)
    gpus.set(devices=2, policy=POLICY)
    from poison import Poison

    as_in_a_new_process()
    with mock.patch.dict(os.environ), Poison():  # a device may set CUPY_TF32
        yield gpus
    problems = gpus.count("problems")
    as_in_a_new_process()
    gpus.reset()
    assert problems == 0, "a rule of CUDA was broken: see stderr"


@pytest.fixture
def cupy(request):
    """CuPy, on the GPUs of this machine or on fake ones."""
    from backends import NO_FAKE

    if NO_FAKE is None:
        request.getfixturevalue("fake_gpus")
    return pytest.importorskip("cupy")


one_gpu = two_gpus = cupy  # a test that asks for the one is marked `gpu`, for the other `multi_gpu`


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests marked `gpu` or `multi_gpu` are skipped where there are not so many, and say why."""
    from backends import no_gpu

    for fixture, mark, wanted in (("one_gpu", "gpu", 1), ("two_gpus", "multi_gpu", 2)):
        for item in items:
            if fixture in item.fixturenames:
                item.add_marker(mark)
        marked = [item for item in items if item.get_closest_marker(mark)]
        reason = marked and no_gpu(wanted)
        for item in marked if reason else ():
            item.add_marker(pytest.mark.skip(reason=reason))
