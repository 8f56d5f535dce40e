"""A device is where arrays lie and a way to work on many images at once. This one is the CPU, or a share of its cores.

The work is cut into tasks of whole images, which run on worker threads (engine/workers.py). Tasks never depend on the number of threads,
and neither do results. A GPU is a device of the same interface (cuda/device.py)."""

import time
from functools import cached_property
from importlib import import_module

import numpy as np

from minigrad.engine import memory, processors
from minigrad.engine.processors import cores
from minigrad.engine.workers import Workers

NEURONS = 256  # of a fully connected layer: what one task takes


def is_number(name):
    """Whether that is the name of a GPU, such as "0"."""
    return isinstance(name, str) and name.strip().isascii() and name.strip().isdigit()


class Device:
    """A CPU, or a share of one; `Device("0")` is the GPU of that number, a `CudaDevice`.

    name: "cpu". threads: how many threads compute; as many as the process may use cores by default.
    A device is a handle: copies of a layer share it. `with device:` makes it the current one, which matters on GPUs alone.
    Raises ValueError for another name, for fewer than one thread, and for a GPU that cannot be used."""

    xp = np  # the module whose functions take this device's arrays
    is_gpu = False
    memory_space = "host"  # devices with the same one share their arrays
    arithmetic = "float32"
    bf16 = False  # whether convolutions of float32 arrays multiply in bfloat16, on a GPU that was told so

    def __new__(cls, name="cpu", threads=None):
        if cls is Device and is_number(name):
            # Asked for late: `cuda` builds on this module, and is no business of those who have no GPU.
            return object.__new__(import_module("minigrad.cuda.device").CudaDevice)
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

    def use_bfloat16(self):
        """From the next forward on convolutions multiply in bfloat16. Raises ValueError for a device that does not know it."""
        raise ValueError("a CPU multiplies in float32, not in bfloat16")

    @cached_property
    def workers(self):
        return Workers(self.threads)

    def empty(self, shape, dtype):
        """An uninitialised array on this device. Raises MemoryError if there is no room for it."""
        return memory.empty(shape, dtype)

    def asarray(self, array, dtype=None):
        """The array on this device, wherever it was; the array itself if it is here already."""
        if hasattr(array, "__cuda_array_interface__"):
            with array.device:  # else CuPy would copy on the current GPU's stream, which knows nothing of this array's work
                array = array.get()
        return np.asarray(array, dtype)

    def numpy(self, array):
        """An array of this device as NumPy's."""
        return array

    def send(self, array, target):
        """An array of this device on another one."""
        return target.asarray(array)

    def join(self, parts, shape):
        """Arrays of this device side by side along the last axis, as a new one of that shape."""
        return np.concatenate(parts, axis=-1, out=self.empty(shape, parts[0].dtype))

    def host_empty(self, shape, dtype):
        """An uninitialised NumPy array of the kind that reaches this device fastest."""
        return memory.empty(shape, dtype)

    def upload(self, batches):
        """A generator of (images, labels) with the images on this device; closing it closes `batches`, a generator too."""
        return batches

    def mark(self):
        """A point in the course of this device's work, for `seconds`."""
        return time.perf_counter()

    def seconds(self, start, end):
        """The seconds between two marks."""
        return end - start

    def blocks(self, size):
        """The numbers 0 .. size - 1 as a list of slices, each worth a task. They do not depend on the number of threads, so neither do
        sums."""
        return [slice(i, min(i + NEURONS, size)) for i in range(0, size, NEURONS)]

    def run(self, work, tasks):
        """[work(task) for task in tasks], side by side on the worker threads, with BLAS on one thread in each.

        The first exception of any task is raised. A task that calls `run` itself does those tasks alone."""
        return self.workers.run(work, tasks)


CPU = Device("cpu")  # where a layer lives until it is moved


def share_cores(all_of):
    """Share the cores of this machine with its other processes that do the same work: from now on each takes as many as are its own.

    all_of(value): a list of the value of each process of this machine, this one included."""
    mine, group = processors.bound_to(), processors.control_group()
    everybody = all_of((mine, group))
    share = processors.share_of(mine, [cores for cores, _ in everybody])
    processors.share = min(share, processors.quota() / sum(other == group for _, other in everybody))
    CPU.threads = cores()
    vars(CPU).pop("workers", None)
