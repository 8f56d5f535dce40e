"""The stand-in refuses what CuPy refuses, and what CuPy does otherwise than NumPy without a word."""

import numpy as np
import pytest


@pytest.fixture
def x(stand_in):
    return stand_in.asarray(np.ones((4, 3), np.float32))


def test_ordinary_code_runs(stand_in, x):
    y = stand_in.maximum(x @ stand_in.asarray(np.ones((3, 2), np.float32)) - 0.5, 0)
    y += 1
    assert y.dtype == np.float32 and isinstance(y.sum(), stand_in.ndarray) and float(y.sum()) == 28
    assert isinstance(np.maximum(x, 0), stand_in.ndarray) and isinstance(np.concatenate([x, x]), stand_in.ndarray)
    y[:, 0] = 7
    assert (stand_in.asnumpy(y)[:, 0] == 7).all()


REFUSED = {  # what is done, and a part of the answer
    "made NumPy's": (lambda cupy, x: np.asarray(x), "Implicit conversion"),
    "added to NumPy's": (lambda cupy, x: x + np.ones((4, 3), np.float32), "Unsupported type"),
    "iterated": (lambda cupy, x: list(x), "iterating"),
    "no such function": (lambda cupy, x: cupy.insert(x, 0, 1), "cupy has no 'insert' although numpy has"),
    "no such keyword": (lambda cupy, x: cupy.sum(x, where=x > 0), "unexpected keyword argument 'where'"),
    "a list": (lambda cupy, x: cupy.add([1, 2], x), "Unsupported type list"),
    "an index too large": (lambda cupy, x: x[cupy.asarray(np.array([0, 9]))], "CuPy would wrap it"),
    "an index of NumPy's": (lambda cupy, x: x[np.array([0, 1])], "use a device array"),
    "an index twice": (lambda cupy, x: x.__setitem__(cupy.asarray(np.array([1, 1])), 0), "duplicate indices"),
    "random": (lambda cupy, x: cupy.random, "cupy.random gives other numbers"),
    "3-D products": (lambda cupy, x: cupy.matmul(x.reshape(2, 2, 3), x.reshape(2, 3, 2)), "make it 2-D"),
    "a strided out": (lambda cupy, x: cupy.dot(x, x.T, out=cupy.zeros((4, 8), np.float32)[:, ::2]), "C-contiguous"),
    "np.add.at": (lambda cupy, x: np.add.at(x, 0, 1), "ufunc.at"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(stand_in, x, what):
    action, answer = REFUSED[what]
    with pytest.raises((TypeError, ValueError, IndexError, AttributeError), match=answer):
        action(stand_in, x)


def test_devices_do_not_mix(stand_in, x):
    with stand_in.cuda.Device(1):
        other = stand_in.asarray(np.ones((4, 3), np.float32))
    for action in (lambda: x + other, lambda: stand_in.sum(other), lambda: stand_in.asarray(other)):
        with pytest.raises(ValueError, match="device"):
            action()


def test_copies_and_waits_are_counted(stand_in, x):
    stand_in.matmul(x, x.T)
    assert stand_in.state.copies == 0
    stand_in.matmul(x[:, :2], x[:2, :2])  # slices of columns are neither C- nor F-contiguous
    assert stand_in.state.copies == 2
    assert stand_in.state.waits == 0
    bool(x.sum() > 3)
    assert stand_in.state.waits == 1


def test_memory_freed_while_another_stream_reads_it(stand_in):
    a, b = (stand_in.cuda.Stream(non_blocking=True) for _ in "ab")
    with a:
        x = stand_in.zeros(4)
    b.wait_event(a.record())
    with b:
        y = x + 1
    del x
    assert "freed while" in stand_in.state.problems.pop()
    with a, pytest.raises(RuntimeError, match="race"):
        y + 1


def test_the_names_of_cuda_exist(stand_in):
    """What the stand-in offers of cupy.cuda, CuPy has. (cublas needs CUDA's library, which is not asked for here.)"""
    import cupy

    real = stand_in._real
    assert cupy is stand_in and real is not stand_in
    for name in vars(stand_in.cuda).keys() - {"cublas"}:
        assert hasattr(real.cuda, name), name
    for name in vars(stand_in.cuda.runtime):
        assert hasattr(real.cuda.runtime, name), name
    for name in ("copy_from_device_async", "copy_from_host_async", "ptr", "device_id"):
        assert hasattr(real.cuda.MemoryPointer, name), name
    for kind in ("Stream", "Event"):
        for name in ("record", "synchronize"):
            assert hasattr(getattr(real.cuda, kind), name), name
