"""A device is a place where arrays live and a way to work on many images at once.

On a CPU the work is cut into tasks of whole images, which run on worker threads while BLAS is held to one thread. NumPy and BLAS
release Python's lock, so the threads truly run side by side. Tasks never depend on the number of threads, and neither do results.

A GPU is a device of the same interface, in minigrad/cuda."""

import contextlib
import math
import os
import threading
import time
import weakref
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cached_property

import numpy as np

REUSED_FROM = 1 << 16  # bytes; smaller arrays are malloc's business
BLOCK = 256  # neurons a task takes


class Loan(weakref.ref):
    """A weak reference to an array, which knows the memory below it. (weakref.finalize would do, at four times the cost.)"""

    __slots__ = ("size", "block")


class Memory:
    """Arrays whose memory, once nobody refers to it, serves the next array of the same size.

    Fresh pages cost a fault and a clearing each, which is more than the arithmetic of an elementwise operation; a GPU's memory
    pool does the same for the same reason."""

    def __init__(self):
        self.free, self.lent = defaultdict(list), {}

    def empty(self, shape, dtype):
        """An uninitialised array of that shape; aligned to cache lines. Raises MemoryError, which says how much was wanted."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size < REUSED_FROM:
            return np.empty(shape, dtype)
        try:
            block, start = self.free[size].pop()
        except IndexError:
            # A bytearray, since views of views refer to the last array above something that is none: this one.
            block = self.fresh(size + 64)
            start = -np.frombuffer(block, np.uint8).ctypes.data % 64
        array = np.ndarray(shape, dtype, block, start)
        loan = Loan(array, self.back)
        loan.size, loan.block = size, (block, start)
        self.lent[id(loan)] = loan  # nobody calls back a weak reference that is gone itself
        return array

    def fresh(self, size):
        """New memory; if there is none, what lies unused is given back first."""
        try:
            return bytearray(size)
        except MemoryError:
            self.trim()
        try:
            return bytearray(size)
        except MemoryError:
            raise MemoryError(f"{size / 1e9:.2f} GB more are wanted for one array") from None

    def back(self, loan):
        """The array is gone: its memory is free."""
        del self.lent[id(loan)]
        self.free[loan.size].append(loan.block)

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
    """A CPU, or a share of one; `Device("0")` is the GPU of that number.

    name: "cpu". threads: how many worker threads; all cores of this process by default.
    A device is a handle: copies of a layer share it. `with device:` makes it the current one, which matters on GPUs alone."""

    xp = np  # the module whose functions take this device's arrays
    is_gpu = False
    place = "host"  # devices of the same place share their arrays
    arithmetic = "float32"

    def __new__(cls, name="cpu", threads=None):
        if cls is Device and is_number(name):
            from minigrad.cuda.device import CudaDevice

            return object.__new__(CudaDevice)
        return object.__new__(cls)

    def __init__(self, name="cpu", threads=None):
        if not isinstance(name, str) or name.strip() != "cpu":
            raise ValueError(f"there is no device {name!r}: a device is 'cpu', or the number of a GPU, such as '0'")
        if threads is not None and threads < 1:
            raise ValueError(f"a device needs at least one thread, not {threads}")
        self.name, self.threads = "cpu", threads or cores()

    def __repr__(self):
        return f"Device({self.name!r}, threads={self.threads})"

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return Device, (self.name, self.threads)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    @cached_property
    def workers(self):
        return ThreadPoolExecutor(self.threads, thread_name_prefix="minigrad")

    def empty(self, shape, dtype):
        """An uninitialised array on this device."""
        return memory.empty(shape, dtype)

    def asarray(self, array, dtype=None):
        """The array on this device, wherever it was; the array itself if it is here already."""
        if hasattr(array, "__cuda_array_interface__"):
            array = array.get()
        return np.asarray(array, dtype)

    def numpy(self, array):
        """An array of this device as NumPy's."""
        return array

    def send(self, array, target):
        """An array of this device on another one."""
        return target.asarray(array)

    def host_empty(self, shape, dtype):
        """An uninitialised NumPy array of the kind that reaches this device fastest."""
        return memory.empty(shape, dtype)

    def upload(self, batches):
        """A generator of (images, labels) with the images on this device; closing it closes `batches`, a generator too."""
        return batches

    def mark(self):
        """A point in the course of this device's work."""
        return time.perf_counter()

    def seconds(self, start, end):
        """The time between two marks."""
        return end - start

    def blocks(self, size):
        """0 .. size - 1 as a list of slices, each worth a task. They do not depend on the number of threads, so neither do sums."""
        return [slice(i, min(i + BLOCK, size)) for i in range(0, size, BLOCK)]

    def run(self, work, tasks):
        """[work(task) for task in tasks], side by side on the worker threads; the first exception of any is raised."""
        tasks = list(tasks)
        with one_blas_thread:
            if self.threads == 1 or len(tasks) == 1:
                return [work(task) for task in tasks]
            # A worker takes the next task when it is done with one: no thread waits while another is held up.
            waiting, results = iter(enumerate(tasks)), [None] * len(tasks)
            lock = threading.Lock()

            def drop():
                """Nobody shall take another task."""
                with lock, contextlib.suppress(StopIteration):
                    while True:
                        next(waiting)

            def worker():
                while True:
                    with lock:
                        i, task = next(waiting, (None, None))
                    if i is None:
                        return
                    try:
                        results[i] = work(task)
                    except BaseException:
                        drop()
                        raise

            futures = [self.workers.submit(worker) for _ in range(min(self.threads, len(tasks)) - 1)]
            try:
                worker()  # the calling thread is one of them, which saves waking it
            finally:  # after Ctrl-C, too: whoever goes on must find nobody at work any more
                wait(futures)
            for future in futures:
                future.result()
            return results


def is_number(name):
    return isinstance(name, str) and name.strip().isascii() and name.strip().isdigit()


def unknown(name):
    return (
        f"there is no device {name!r}: say 'cpu', or 'cpu,cpu' to give each tower half of its cores, "
        f"or the number of a GPU ('0', '0,1', or '0,0' for both towers on one), or 'auto'"
    )


def parse(text, towers=2):
    """The devices of a description such as "cpu", "cpu,cpu", "0", "0,1" or "0,cpu", in order: a list of `Device`.

    Several CPUs share the cores of this process equally. "auto" is a GPU for each of so many towers, as far as there are GPUs, and
    the CPU where there is none. Raises ValueError if there is no such device."""
    if text.strip() == "auto":
        from minigrad.cuda import count

        text = ",".join(map(str, range(min(count(), towers)))) or "cpu"
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name != "cpu" and not is_number(name):
            raise ValueError(unknown(name))
    share = max(1, cores() // max(1, names.count("cpu")))
    return [Device(name) if is_number(name) else Device(name, share) for name in names]


CPU = Device("cpu")  # where a layer lives until it is moved
