"""A device is a place where arrays live and a way to work on many images at once.

On a CPU the work is cut into tasks of whole images, which run on worker threads while BLAS is held to one thread. NumPy and BLAS
release Python's lock, so the threads truly run side by side. Tasks never depend on the number of threads, and neither do results."""

import contextlib
import math
import os
import threading
import weakref
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

REUSED_FROM = 1 << 16  # bytes; smaller arrays are malloc's business


class Memory:
    """Arrays whose memory, once nobody refers to it, serves the next array of the same size.

    Fresh pages cost a fault and a clearing each, which is more than the arithmetic of an elementwise operation; a GPU's memory
    pool does the same for the same reason."""

    def __init__(self):
        self.free = defaultdict(list)

    def empty(self, shape, dtype):
        """An uninitialised array of that shape; aligned to cache lines."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size < REUSED_FROM:
            return np.empty(shape, dtype)
        free = self.free[size]
        try:
            block = free.pop()
        except IndexError:
            block = bytearray(size + 64)
        # A bytearray, since views of views refer to the last array above something that is none: this one.
        array = np.ndarray(shape, dtype, block, -np.frombuffer(block, np.uint8).ctypes.data % 64)
        weakref.finalize(array, free.append, block).atexit = False
        return array

    def trim(self):
        """Give unused memory back to the system."""
        for free in list(self.free.values()):
            free.clear()


class OneBlasThread:
    """While at least one thread is inside, BLAS runs on a single thread; afterwards as the user had it."""

    def __init__(self):
        self.lock, self.inside, self.limit = threading.Lock(), 0, None

    @cached_property
    def libraries(self):
        from threadpoolctl import ThreadpoolController

        return ThreadpoolController()

    def __enter__(self):
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.limit = self.libraries.limit(limits=1, user_api="blas")
                self.limit.__enter__()

    def __exit__(self, *error):
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.limit.__exit__(*error)


memory = Memory()
one_blas_thread = OneBlasThread()


def cores():
    """The number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Device:
    """A CPU, or a share of one.

    name: "cpu". threads: how many worker threads; all cores of this process by default.
    A device is a handle: copies of a layer share it."""

    xp = np

    def __init__(self, name="cpu", threads=None):
        if not isinstance(name, str) or name.strip() != "cpu":
            raise ValueError(unknown(name))
        if threads is not None and threads < 1:
            raise ValueError(f"a device needs at least one thread, not {threads}")
        self.name, self.threads = "cpu", threads or cores()

    def __repr__(self):
        return f"Device({self.name!r}, threads={self.threads})"

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return Device, (self.name, self.threads)

    @cached_property
    def workers(self):
        return ThreadPoolExecutor(self.threads, thread_name_prefix="minigrad")

    def empty(self, shape, dtype):
        """An uninitialised array on this device."""
        return memory.empty(shape, dtype)

    def asarray(self, array, dtype=None):
        """The array on this device; the array itself if it is there already."""
        return np.asarray(array, dtype)

    def run(self, work, tasks):
        """[work(task) for task in tasks], side by side on the worker threads; the first exception of any is raised."""
        tasks = list(tasks)
        with one_blas_thread:
            if self.threads == 1 or len(tasks) == 1:
                return [work(task) for task in tasks]
            # A worker takes the next task when it is done with one: no thread waits while another is held up.
            waiting, results = iter(enumerate(tasks)), [None] * len(tasks)
            lock = threading.Lock()

            def worker(_):
                while True:
                    with lock:
                        i, task = next(waiting, (None, None))
                    if i is None:
                        return
                    try:
                        results[i] = work(task)
                    except BaseException:
                        with lock, contextlib.suppress(StopIteration):
                            while True:
                                next(waiting)
                        raise

            list(self.workers.map(worker, range(min(self.threads, len(tasks)))))
            return results


def unknown(name):
    return f"there is no device {name!r}: this machine has 'cpu', and 'cpu,cpu' gives each tower half of its cores"


def parse(text):
    """The devices of a description such as "cpu" or "cpu,cpu", in order: a list of `Device`.

    Several CPUs share the cores of this process equally. Raises ValueError if there is no such device."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name.isdigit():
            raise ValueError(no_gpu(name))
        if name != "cpu":
            raise ValueError(unknown(name))
    return [Device("cpu", max(1, cores() // len(names))) for _ in names]


def no_gpu(name):
    return f"there is no GPU {name} to be used: this version computes on the CPU; use 'cpu', or 'cpu,cpu' for two towers side by side"


CPU = Device("cpu")  # where a layer lives until it is moved
