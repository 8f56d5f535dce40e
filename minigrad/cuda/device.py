"""A GPU: arrays that live on it, the kernels that run on it, and copies to and from it.

All work of a device goes to a stream of its own. CUDA runs it in that order, and beside the host and the other devices; memory that
is freed serves the next array of the same stream without waiting (CuPy's memory pool). In a training step the host waits for numbers
once, for the loss."""

import functools
import math
import os
import threading
import warnings

import numpy as np

from minigrad.cuda import blas, find, kernels, upload
from minigrad.device import CPU, Device

THREADS = 256  # of a block
BLOCKS = 16  # for each multiprocessor, at most: a thread takes several elements rather than more blocks waiting
WORKSPACE = 4 << 30  # bytes for the patches of a convolution, at most
ENVIRONMENT = {  # unless it says otherwise
    "CUPY_TF32": "1",  # float32 matrices are multiplied in TF32: operands of 10 bits, sums in float32
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # the same bits each time of CuPy's own products; ours have memory of their own (blas.py)
}
REFUSED = "CUBLAS_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_NOT_INITIALIZED"  # cuBLAS says the latter, too, where memory is short


NO_MEMORY = 2  # cudaErrorMemoryAllocation


class Inside(threading.local):
    """devices: those that a thread has entered, the current one last; with each, whether it was another that was current before, and the
    caller's stream where it is to wait."""

    def __init__(self):
        self.devices = []


inside = Inside()


@functools.cache
def say_if_apart(cupy, one, other):
    """Warn, once, if two GPUs cannot reach each other's memory; CUDA then copies through the host by itself."""
    if not cupy.cuda.runtime.deviceCanAccessPeer(one, other):
        warnings.warn(f"GPUs {one} and {other} cannot reach each other's memory: what they exchange goes through the host", stacklevel=4)


@functools.lru_cache(1024)
def beside(rows, width, whole, to):
    """The struct `Beside` of towers.cu, and of what all its columns are multiples."""
    return kernels.Fields(rows=rows, width=width, whole=whole, to=to), math.gcd(width, whole, to)


def out_of_memory(error):
    """Whether an error of CUDA or its libraries says that there is no room; CuPy's own pool raises a MemoryError."""
    if type(error).__name__ == "CUDARuntimeError":
        return error.status == NO_MEMORY
    return type(error).__name__ == "CUBLASError" and any(name in str(error) for name in REFUSED)


class CudaDevice(Device):
    """The GPU of that number. `Device("0")` makes one; two of the same number are two queues of work on one GPU.

    with device: what follows is this device's work. From outside, it comes after all that the caller's stream holds, and what the
    caller does next comes after it, so that CuPy code of one's own needs to know nothing of streams.
    Raises ValueError for a number that does not exist, saying which do."""

    is_gpu = True
    threads = 1
    shared = None  # a dict while `Towers` go forward, of what towers that look at the same x need not make twice
    room = 0  # bytes that it may yet take
    cublas = None  # what its products are made with, from the first on
    changing = {}  # while a step is recorded: {name: address} of numbers that are others in each step (graph.py)

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
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self.gpu = cuda.Device(self.index)
        self.kernels, self.kept, self.ones = {}, None, None
        with self.gpu:  # streams and events belong to the device that is current when they are made
            self.stream, self.copies = cuda.Stream(non_blocking=True), cuda.Stream(non_blocking=True)  # copies: see upload.py
            self.event, self.before = cuda.Event(disable_timing=True), cuda.Event(disable_timing=True)
            # Of all memory, not of what is free: parts of a batch are summed up in this order, and a run's numbers are its own.
            self.workspace = min(WORKSPACE, cuda.runtime.memGetInfo()[1] // 4)
        self.blocks_at_most = BLOCKS * self.properties(self.index)["multiProcessorCount"]

    def __repr__(self):
        return f"Device({self.name!r})"

    def __reduce__(self):
        return Device, (self.name,), {"bf16": self.bf16}

    def use_bfloat16(self):
        if self.capability < 80:
            name, (major, minor) = self.properties(self.index)["name"].decode(), divmod(self.capability, 10)
            raise ValueError(f"GPU {self.name} ({name}) has compute capability {major}.{minor}, and bfloat16 came with 8.0")
        self.bf16 = True

    @property
    def capability(self):
        """CUDA's compute capability: 90 for 9.0."""
        return int(self.gpu.compute_capability)

    @property
    def tf32(self):
        """Whether CuPy multiplies float32 matrices in TF32, which depends on the GPU and on CUPY_TF32 at the process's first product, or
        when it is first asked here."""
        return self.capability >= 80 and blas.in_tf32(self)

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
        said = ["float32"]
        if self.bf16:
            said.append("convolutions in bfloat16")
        if self.tf32:
            said.append("other products in TF32" if self.bf16 else "products in TF32")
        return ", ".join(said)

    def __enter__(self):
        devices = inside.devices
        others, caller = not devices or devices[-1][0] is not self, None
        if others:
            self.gpu.__enter__()
            for entered in devices:
                if entered[0] is self:
                    break
            else:
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
        if error[0] is not None and out_of_memory(error[1]):
            raise MemoryError(str(error[1])) from error[1]

    @property
    def is_current(self):
        """Whether this thread works on this device: then nothing need be entered, which would cost as much as a launch."""
        return bool(inside.devices) and inside.devices[-1][0] is self

    def record(self):
        """The event of all that the stream holds so far, until it is recorded again."""
        self.event.record(self.stream)
        return self.event

    def empty(self, shape, dtype):
        if inside.devices and inside.devices[-1][0] is self:  # `is_current`, which is called more often here than anywhere
            return self.xp.ndarray(shape, dtype)
        with self:
            return self.xp.ndarray(shape, dtype)

    def scratch(self, shape, dtype):
        """An uninitialised array in memory that is kept for the next call, which may overwrite it: for the largest arrays, the patches of
        one convolution at a time. From a pool, arrays of so many sizes would take up to half as much again as the largest."""
        nbytes = math.prod(shape) * np.dtype(dtype).itemsize
        if self.kept is None or self.kept.size < nbytes:
            self.kept = None  # first, for there may be no room for both
            self.kept = self.empty((nbytes,), np.uint8)
        return self.xp.ndarray(shape, dtype, self.kept.data)

    def forget(self):
        """Let go of the arrays that are kept for later calls."""
        self.kept = self.ones = None

    def asarray(self, array, dtype=None):
        """Contiguous, as kernels and products want it."""
        if isinstance(array, self.xp.ndarray):
            if array.data.device_id != self.index:
                array = CPU.asarray(array)
            elif array.flags.c_contiguous and dtype in (None, array.dtype):
                return array
        with self:
            return self.xp.ascontiguousarray(self.xp.asarray(array), dtype)

    def numpy(self, array):
        if isinstance(array, np.ndarray):
            return array
        if array.data.device_id != self.index:
            return CPU.asarray(array)
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
        if not array.flags.c_contiguous:
            with self:
                array = self.xp.ascontiguousarray(array)
        copy = target.empty(array.shape, array.dtype)
        if target.index != self.index:
            say_if_apart(self.xp, *sorted((self.index, target.index)))
        self.stream.wait_event(target.record())
        copy.data.copy_from_device_async(array.data, array.nbytes, self.stream)
        target.stream.wait_event(self.record())
        return copy

    def join(self, parts, shape):
        first = 0
        with self:
            whole = self.empty(shape, parts[0].dtype)
            for part in parts:
                d, channels = beside(whole.size // shape[-1], part.shape[-1], shape[-1], first)
                self.launch("towers", "put_beside", part.size, part, whole, d, channels=channels)
                first += part.shape[-1]
        return whole

    def launch(self, file, kernel, units, *arguments, channels=1, blocks=None, dtype=None):
        """Run a kernel of file.cu on so many units of work, or on so many blocks.

        arguments: arrays; numbers; for a struct `kernels.Fields`, or what `struct` gives. Where `channels` is a multiple of 4 a thread
        takes four units.
        dtype: float32 or float64, which of the two builds; that of the first argument unless it is given.
        Raises TypeError or ValueError for what CUDA would not notice: another dtype, strides, memory of another device."""
        if not self.is_current:
            with self:  # a kernel is loaded onto the current GPU
                return self.launch(file, kernel, units, *arguments, channels=channels, blocks=blocks, dtype=dtype)
        if units >= 1 << 31:
            raise ValueError(f"{kernel}: {units:,} numbers are more than a kernel can count: make the batch smaller")
        dtype = arguments[0].dtype if dtype is None else dtype
        lanes = 1 if channels % kernels.LANES else kernels.LANES
        found = self.kernels.get((file, kernel, dtype, lanes)) or self.loaded(file, kernel, dtype, lanes)
        if len(arguments) != len(found.wanted):
            raise TypeError(f"{kernel} takes {len(found.wanted)} arguments, not {len(arguments)}")
        ndarray, given = self.xp.ndarray, []
        for value, (wanted, is_array, kind) in zip(arguments, found.wanted):  # noqa: B905
            if is_array:
                if type(value) is not ndarray or value.dtype != kind or value.data.device_id != self.index or not value.flags.c_contiguous:
                    raise self.refusal(f"{kernel}: {wanted.name}", value, kind)
                if value.data.ptr % 16 and lanes > 1:
                    return self.launch(file, kernel, units, *arguments, blocks=blocks, dtype=dtype)
            elif type(value) is kernels.Fields:
                value = value.packed(found.text, wanted.base, dtype)
            elif type(value) is np.ndarray:  # a struct
                value = value.view(f"V{kind.itemsize}")
            else:
                value = kind.type(value)
            given.append(value)
        blocks = blocks or min(-(-units // (lanes * THREADS)), self.blocks_at_most)
        found.function((blocks, 1, 1), (THREADS, 1, 1), given)

    def loaded(self, file, name, dtype, lanes):
        """The kernel of that name, compiled for the current GPU."""
        text = kernels.source(file)
        module = self.xp.RawModule(code=text, options=kernels.options(dtype, lanes))
        kernel = self.kernels[file, name, dtype, lanes] = kernels.Kernel(module.get_function(name), text, name, dtype)
        return kernel

    def begin_products(self):
        """Called before the first product."""
        self.cublas = blas.Cublas(self)
        return self.cublas

    def matmul(self, a, b, out, add=False):
        """out = a @ b, or out += a @ b; see `blas.matmul`."""
        if inside.devices and inside.devices[-1][0] is self:  # `is_current`
            return blas.matmul(self, a, b, out, add)
        with self:
            return blas.matmul(self, a, b, out, add)

    def sum_of_rows(self, a):
        """The sum over the rows of a matrix, as a product: CuPy's own takes the host four times as long."""
        rows, columns = a.shape
        with self:
            if self.ones is None or self.ones.dtype != a.dtype or self.ones.size < rows:
                self.ones = self.xp.ones((rows,), a.dtype)
            return blas.matmul(self, self.ones[None, :rows], a, self.empty((1, columns), a.dtype), exact=True)[0]

    def struct(self, file, name, dtype):
        """A struct of file.cu in a build for `dtype`, all zeros, to be filled in and given to `launch`."""
        return np.zeros((), kernels.struct(kernels.source(file), name, dtype))

    def address(self, name, array, dtype):
        """Where an array lies, for a struct that holds addresses. Raises TypeError or ValueError for what CUDA would not notice."""
        if array.dtype != dtype or array.data.device_id != self.index or not array.flags.c_contiguous:
            raise self.refusal(name, array, dtype)
        return array.data.ptr

    def refusal(self, name, value, dtype):
        """Why a kernel cannot have that array."""
        if type(value) is not self.xp.ndarray or value.dtype != dtype:
            return TypeError(f"{name} must be an array of {dtype} on a GPU, not {getattr(value, 'dtype', type(value))}")
        if value.data.device_id != self.index:
            return ValueError(f"{name} lies on GPU {value.data.device_id}, not {self.index}")
        return ValueError(f"{name} must be contiguous, for a kernel sees nothing of strides")

    def host_empty(self, shape, dtype):
        return upload.pinned(self, shape, dtype)

    def upload(self, batches):
        return upload.one_ahead(self, batches)

    def mark(self):
        with self:
            event = self.xp.cuda.Event()
            event.record(self.stream)
        return event

    def seconds(self, start, end):
        end.synchronize()
        return self.xp.cuda.get_elapsed_time(start, end) / 1000
