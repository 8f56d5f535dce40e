"""Where a test runs its kernels: on the CPU through g++, or on a GPU. And why it cannot, where it cannot."""

import ctypes
import functools
import gc
import os

import fake_cuda
import numpy as np
from host_module import MISSING, HostModule

from minigrad.cuda import find, kernels

POLICY, SEED = (int(os.environ.get(f"FAKE_CUDA_{name}", default)) for name, default in (("POLICY", fake_cuda.RANDOM), ("SEED", 1)))


def has_driver():
    """Whether this machine has NVIDIA's driver, and so most likely GPUs."""
    try:
        return bool(ctypes.CDLL("libcuda.so.1"))
    except OSError:
        return False


NO_FAKE = "there is a driver: the tests run on its GPUs" if has_driver() else fake_cuda.missing()


@functools.cache
def fake():
    """The fake CUDA below this process's CuPy, a machine without a GPU until a test asks for some (`fake_gpus`)."""
    return fake_cuda.boot()


def as_in_a_new_process():
    """CuPy's memory as it was before the first array, and no precision chosen for its products."""
    import cupy

    gc.collect()
    cupy.get_default_memory_pool().free_all_blocks()
    cupy.get_default_pinned_memory_pool().free_all_blocks()
    cupy._core.set_compute_type(np.float32, 0)  # "to be decided": by CUPY_TF32, at the next product


def no_gpu(wanted=1):
    """Why there are not so many GPUs, or None. Fake ones count."""
    if NO_FAKE is None:
        return None
    try:
        _, count = find()
    except ValueError as error:
        return f"{error}; {NO_FAKE}"
    return None if count >= wanted else f"there are {count} GPUs, and the test needs {wanted}"


class Host:
    missing = MISSING
    module = HostModule

    def array(self, a):
        return a

    numpy = array

    def address(self, a):
        return a.ctypes.data


class Gpu:
    @property
    def missing(self):
        return no_gpu()

    @property
    def module(self):
        import cupy

        return cupy.RawModule

    def array(self, a):
        import cupy

        return cupy.asarray(a)

    def numpy(self, a):
        return a.get()

    def address(self, a):
        return a.data.ptr


class Launcher:
    """Runs kernels of one build in one launch shape, on NumPy arrays; what a kernel writes to is copied back.

    edit(text) -> text: what becomes of the source first, for mistakes planted on purpose."""

    modules = {}

    def __init__(self, backend, dtype, lanes, grid=3, block=5, edit=lambda text: text):
        self.backend, self.dtype, self.lanes, self.shape, self.edit = backend, np.dtype(dtype), lanes, ((grid,), (block,)), edit

    def __call__(self, file, kernel, *arguments):
        text = self.edit(kernels.source(file))
        key = type(self.backend), text, self.dtype, self.lanes
        if key not in self.modules:
            self.modules[key] = self.backend.module(code=text, options=kernels.options(self.dtype, self.lanes))
        wanted = kernels.signatures(text)[kernel]
        given = [self.packed(text, *pair) for pair in zip(arguments, wanted, strict=True)]
        self.modules[key].get_function(kernel)(*self.shape, tuple(given))
        for array, there, w in zip(arguments, given, wanted, strict=True):
            if w.written and there is not array:
                array[...] = self.backend.numpy(there)

    def packed(self, text, value, wanted):
        if wanted.array:
            return self.backend.array(value)
        if isinstance(value, dict):
            return kernels.packed(text, wanted.base, self.dtype, value)
        return value if isinstance(value, np.ndarray) else wanted.dtype(text, self.dtype).type(value)

    def empty(self, *shape, dtype=None):
        """An output full of NaN or 255: an element that the kernel forgets is seen. Aligned as a GPU's memory is."""
        dtype = np.dtype(dtype or self.dtype)
        return aligned(np.full(shape, 255 if dtype.kind == "u" else np.nan, dtype))


def aligned(a):
    """A copy whose memory begins at a multiple of 16 bytes and ends where the array ends, so that a sanitizer sees the next byte."""
    a = np.ascontiguousarray(a)
    while True:
        block = np.empty(a.nbytes, np.uint8)
        if block.ctypes.data % 16 == 0:
            break
    copy = block.view(a.dtype).reshape(a.shape)
    copy[...] = a
    return copy
