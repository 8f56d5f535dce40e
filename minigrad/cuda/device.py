"""A GPU: arrays that live on it, the kernels that run on it, and copies to and from it.

All work of a device goes to a stream of its own. CUDA runs it in that order, and beside the host and the other devices; memory that
is freed serves the next array of the same stream without waiting (CuPy's memory pool). In a training step the host waits for numbers
once, for the loss."""

import functools
import os
import threading
import warnings
from collections import deque
from contextlib import closing

import numpy as np

from minigrad.cuda import find, kernels
from minigrad.device import CPU, Device

THREADS = 256  # of a block
BLOCKS = 16  # for each multiprocessor, at most: a thread takes several elements rather than more blocks waiting
WORKSPACE = 4 << 30  # bytes for the patches of a convolution, at most

inside = threading.local()  # .devices: those that this thread has entered, the current one last


@functools.cache
def tf32(cupy, index):
    """Whether CuPy multiplies float32 matrices in TF32: operands of 10 bits, sums in float32. So unless the environment has
    CUPY_TF32=0, or the GPU knows no TF32. CuPy reads the variable at the first product and then keeps to it."""
    if int(cupy.cuda.Device(index).compute_capability) < 80:
        return False
    return int(os.environ.setdefault("CUPY_TF32", "1")) > 0


@functools.cache
def say_if_apart(cupy, one, other):
    """Warn, once, if two GPUs cannot reach each other's memory; CUDA then copies through the host by itself."""
    if not cupy.cuda.runtime.deviceCanAccessPeer(one, other):
        warnings.warn(f"GPUs {one} and {other} cannot reach each other's memory: what they exchange goes through the host", stacklevel=4)


class CudaDevice(Device):
    """The GPU of that number. `Device("0")` makes one; two of the same number are two queues of work on one GPU.

    with device: what follows is this device's work. From outside, it comes after all that the caller's stream holds, and what the
    caller does next comes after it, so that CuPy code of one's own needs to know nothing of streams.
    Raises ValueError for a number that does not exist, saying which do."""

    is_gpu = True
    threads = 1

    def __init__(self, name, threads=None):
        self.name, self.index = str(int(name)), int(name)
        self.xp, count = find(self.name)
        if self.index >= count:
            names = ", ".join(f"{i} ({self.properties(i)['name'].decode()})" for i in range(count))
            raise ValueError(
                f"there is no GPU {self.name}: this machine has {names}, and 'cpu'; "
                f"'0,0' puts both towers on one GPU, 'cpu,cpu' on the two halves of the CPU"
            )
        self.memory_space, cuda = self, self.xp.cuda
        self.gpu, self.tf32 = cuda.Device(self.index), tf32(self.xp, self.index)
        self.functions = {}
        with self.gpu:  # streams and events belong to the device that is current when they are made
            self.stream, self.copies = cuda.Stream(non_blocking=True), cuda.Stream(non_blocking=True)
            self.event, self.before = cuda.Event(disable_timing=True), cuda.Event(disable_timing=True)
            self.workspace = min(WORKSPACE, cuda.runtime.memGetInfo()[0] // 4)
        self.blocks_at_most = BLOCKS * self.properties(self.index)["multiProcessorCount"]

    def __repr__(self):
        return f"Device({self.name!r})"

    def __reduce__(self):
        return Device, (self.name,)

    def properties(self, index):
        return self.xp.cuda.runtime.getDeviceProperties(index)

    @property
    def held(self):
        """Bytes of the GPU that this process holds, in use or kept for later; it gives none back."""
        with self.gpu:
            return self.xp.get_default_memory_pool().total_bytes()

    @property
    def memory(self):
        """Bytes that this process may have on the GPU: what it holds, and what nobody does."""
        with self.gpu:
            return self.xp.cuda.runtime.memGetInfo()[0] + self.held

    @property
    def description(self):
        """The GPU and the software that drives it, for measurements."""
        runtime = self.xp.cuda.runtime
        driver, cuda = (f"{v // 1000}.{v % 1000 // 10}" for v in (runtime.driverGetVersion(), runtime.runtimeGetVersion()))
        return f"{self.properties(self.index)['name'].decode()}, driver for CUDA {driver}, CUDA {cuda}, CuPy {self.xp.__version__}"

    @property
    def arithmetic(self):
        return "float32, products in TF32" if self.tf32 else "float32"

    def __enter__(self):
        devices = inside.__dict__.setdefault("devices", [])
        others = not devices or devices[-1][0] is not self
        caller = None
        if others:
            self.gpu.__enter__()
            if all(device is not self for device, _, _ in devices):
                caller = self.xp.cuda.get_current_stream()
                self.before.record(caller)
                self.stream.wait_event(self.before)
            self.stream.__enter__()
        devices.append((self, others, caller))
        return self

    def __exit__(self, *error):
        _, others, caller = inside.devices.pop()
        if others:
            self.stream.__exit__(*error)
            if caller is not None:
                caller.wait_event(self.record())
            self.gpu.__exit__(*error)

    def record(self):
        """The event of all that the stream holds so far, until it is recorded again."""
        self.event.record(self.stream)
        return self.event

    def empty(self, shape, dtype):
        with self:
            return self.xp.empty(shape, dtype)

    def asarray(self, array, dtype=None):
        """Contiguous, as kernels and products want it."""
        if isinstance(array, self.xp.ndarray) and array.data.device_id != self.index:
            array = CPU.asarray(array)
        with self:
            return self.xp.ascontiguousarray(self.xp.asarray(array), dtype)

    def numpy(self, array):
        if isinstance(array, np.ndarray):
            return array
        with self:
            return array.get()

    def run(self, work, tasks):
        with self:
            return [work(task) for task in tasks]

    def blocks(self, size):
        return [slice(0, size)]

    def send(self, array, target):
        """The array on another device. The copy is work of this device's stream, into memory that the target has given: the target's
        earlier work on that memory comes before it, the target's later work after it."""
        if target is self:
            return array
        if not target.is_gpu:
            return self.numpy(array)
        with self:
            array = self.xp.ascontiguousarray(array)
        copy = target.empty(array.shape, array.dtype)
        if target.index != self.index:
            say_if_apart(self.xp, *sorted((self.index, target.index)))
        self.stream.wait_event(target.record())
        with self:
            copy.data.copy_from_device_async(array.data, array.nbytes, self.stream)
        target.stream.wait_event(self.record())
        return copy

    def launch(self, file, kernel, units, *arguments, channels=1, blocks=None):
        """Run a kernel of file.cu on so many units of work, or on so many blocks.

        arguments: arrays; numbers; a dict of the fields for a struct. Where `channels` is a multiple of 4 a thread takes four units.
        Raises TypeError or ValueError for what CUDA would not notice: another dtype, strides, memory of another device."""
        if units >= 1 << 31:
            raise ValueError(f"{kernel}: {units:,} numbers are more than a kernel can count: make the batch smaller")
        ndarray = self.xp.ndarray
        dtype = next(a.dtype for a in arguments if isinstance(a, ndarray) and a.dtype.kind == "f")
        aligned = channels % kernels.LANES == 0 and all(a.data.ptr % 16 == 0 for a in arguments if isinstance(a, ndarray))
        lanes = kernels.LANES if aligned else 1
        text, wanted, function = self.function(file, kernel, dtype, lanes)
        if len(arguments) != len(wanted):
            raise TypeError(f"{kernel} takes {len(wanted)} arguments, not {len(arguments)}")
        packed = tuple(self.argument(kernel, text, dtype, *pair) for pair in zip(arguments, wanted, strict=True))
        blocks = blocks or min(-(-units // (lanes * THREADS)), self.blocks_at_most)
        with self:
            function((blocks,), (THREADS,), packed)

    def function(self, file, kernel, dtype, lanes):
        """A compiled kernel, with its text and the arguments it takes; loaded once."""
        key = file, kernel, dtype, lanes
        if key not in self.functions:
            text = kernels.source(file)
            module = self.xp.RawModule(code=text, options=kernels.options(dtype, lanes))
            self.functions[key] = text, kernels.signatures(text)[kernel], module.get_function(kernel)
        return self.functions[key]

    def argument(self, kernel, text, dtype, value, wanted):
        """What CUDA is to be given for an argument."""
        kind = wanted.dtype(text, dtype)
        if not wanted.array:
            return kernels.packed(text, wanted.base, dtype, tuple(value.items())) if isinstance(value, dict) else kind.type(value)
        if not isinstance(value, self.xp.ndarray) or value.dtype != kind:
            raise TypeError(f"{kernel}: {wanted.name} must be an array of {kind} on a GPU, not {getattr(value, 'dtype', type(value))}")
        if value.data.device_id != self.index:
            raise ValueError(f"{kernel}: {wanted.name} lies on GPU {value.data.device_id}, not {self.index}")
        if not value.flags.c_contiguous:
            raise ValueError(f"{kernel}: {wanted.name} must be contiguous, for a kernel sees nothing of strides")
        return value

    def host_empty(self, shape, dtype):
        count, dtype = int(np.prod(shape)), np.dtype(dtype)
        with self.gpu:
            memory = self.xp.cuda.alloc_pinned_memory(count * dtype.itemsize)
        return np.frombuffer(memory, dtype, count).reshape(shape)

    def upload(self, batches):
        """The next batch's images are copied while the caller works on this one's, on a stream of their own."""
        coming = deque()
        try:
            with closing(batches):
                for images, labels in batches:
                    coming.append((images, labels, *self.copied(images)))
                    if len(coming) == 2:
                        yield from self.arrived(*coming.popleft())
                while coming:
                    yield from self.arrived(*coming.popleft())
        finally:
            self.copies.synchronize()

    def copied(self, images):
        """Begin to copy images to the GPU: the array they will be in, and the event of their arrival."""
        target = self.empty(images.shape, images.dtype)
        with self.gpu:
            done = self.xp.cuda.Event(disable_timing=True)
        self.copies.wait_event(self.record())  # the memory may still be in use by what the stream holds
        target.data.copy_from_host_async(images.ctypes.data, images.nbytes, self.copies)
        done.record(self.copies)
        return target, done

    def arrived(self, images, labels, target, done):
        with self:
            self.stream.wait_event(done)
        yield target, labels
        done.synchronize()  # long past; only now may the memory of `images` be filled anew

    def mark(self):
        with self:
            event = self.xp.cuda.Event()
            event.record(self.stream)
        return event

    def seconds(self, start, end):
        end.synchronize()
        return self.xp.cuda.get_elapsed_time(start, end) / 1000
