"""A stand-in for CuPy where there is no GPU: NumPy computes, and the rules of CuPy and CUDA are enforced.

It has two devices. What it refuses, each with a sentence that says which rule was broken:

  arrays    device arrays do not mix with NumPy's or lists, are not converted or iterated, and live on one device
  names     what the real CuPy lacks, keywords too: the installed package is asked, which imports without a GPU
  indices   an index out of range, which CuPy wraps silently; duplicate indices in an assignment, undefined in CuPy
  kernels   RawModule compiles the same source with g++ (host_module.py), which checks what CuPy does not
  ordering  streams and events as happens-before: work that reads or overwrites memory on another stream without an event in between,
            an event of one device on a stream of another, memory freed while another stream may still use it (state.problems)
  memory    state.limit bytes on each device

Counted: state.waits (the host waits for a device), state.copies (operands that matmul copies silently), state.launches; state.peak.
Not modelled: time, races inside a kernel, the implicit order of the default stream. A program that passes here may still be slow."""

import contextlib
import ctypes
import inspect
import threading
import time
import types

import cupy as _real
import cupyx.scipy.sparse  # noqa: F401  CuPy puts this off, and would then find the stand-in in its own place
import numpy as _np
from host_module import HostModule

__version__ = _real.__version__
DEVICES = 2
state = types.SimpleNamespace()


def reset():
    """Everything as if the process had just begun."""
    vars(state).update(waits=0, copies=0, launches=0, problems=[], used=[0] * DEVICES, peak=[0] * DEVICES, limit=1 << 40, peers=True)


reset()
_thread = threading.local()  # CUDA's current device and CuPy's current streams are those of a thread


def _device():
    return _thread.__dict__.setdefault("device", 0)


def _stream():
    return _thread.__dict__.setdefault("streams", dict(_null)).get(_device())


# ---- streams and events: every stream counts its own work; a clock says how much of each stream's work lies before


def _merge(clock, other):
    for stream, tick in other.items():
        clock[stream] = max(clock.get(stream, 0), tick)


class Device:
    compute_capability = "90"

    def __init__(self, id=None):
        self.id = _device() if id is None else id
        if not 0 <= self.id < DEVICES:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def __eq__(self, other):
        return self.id == other.id

    def __enter__(self):
        _thread.__dict__.setdefault("entered", []).append(_device())
        _thread.device = self.id
        return self

    def __exit__(self, *_):
        _thread.device = _thread.entered.pop()

    def synchronize(self):
        state.waits += 1
        for stream in _streams:
            if stream.device_id == self.id:
                _merge(_host_clock, stream.clock)


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


_streams = []


class Stream:
    def __init__(self, non_blocking=False):
        self.device_id, self.clock, self.before = _device(), {}, []
        _streams.append(self)

    def __enter__(self):
        if self.device_id != _device():
            raise RuntimeError(f"a stream of device {self.device_id} entered while device {_device()} is current")
        self.before.append(_stream())
        _thread.streams[self.device_id] = self
        return self

    def __exit__(self, *_):
        _thread.streams[self.device_id] = self.before.pop()

    def tick(self):
        _merge(self.clock, _host_clock)  # whatever the host has waited for comes before what it launches now
        self.clock[self] = self.clock.get(self, 0) + 1

    def record(self, event=None):
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event):
        _merge(self.clock, event.clock)

    def synchronize(self):
        state.waits += 1
        _merge(_host_clock, self.clock)


class Event:
    def __init__(self, block=False, disable_timing=False):
        self.device_id, self.clock, self.timing = _device(), {}, not disable_timing

    def record(self, stream=None):
        stream = stream or _stream()
        if stream.device_id != self.device_id:
            raise CUDARuntimeError(
                f"cudaErrorInvalidResourceHandle: an event of device {self.device_id} recorded on a stream of device {stream.device_id}"
            )
        self.clock, self.time = dict(stream.clock), time.perf_counter()

    def synchronize(self):
        state.waits += 1
        _merge(_host_clock, self.clock)


_host_clock, _null = {}, {}
for _d in range(DEVICES):
    with Device(_d):
        _thread.__dict__.setdefault("streams", {})
        _null[_d] = Stream()
del _thread.streams


class _Buffer:
    """What several views share: where the memory is, and the last work that wrote and read it."""

    def __init__(self, nbytes):
        self.device, self.owner, self.written, self.read, self.nbytes = _device(), _stream(), None, {}, nbytes
        self.used, self.problems = state.used, state.problems  # those of this run, should it outlive a reset
        if state.used[self.device] + nbytes > state.limit:
            self.nbytes = 0
            raise OutOfMemoryError(f"Out of memory allocating {nbytes:,} bytes (allocated so far: {state.used[self.device]:,} bytes)")
        state.used[self.device] += nbytes
        state.peak[self.device] = max(state.peak[self.device], state.used[self.device])

    def touch(self, stream, write, what):
        for other, tick in filter(None, [self.written, *(self.read.items() if write else ())]):
            if stream.clock.get(other, 0) < tick:
                raise RuntimeError(
                    f"{what}: race. Memory used on a stream of device {other.device_id} is {'written' if write else 'read'} "
                    f"on a stream of device {stream.device_id} with no event between them"
                )
        if write:
            self.written, self.read = (stream, stream.clock[stream]), {}
        else:
            self.read[stream] = stream.clock[stream]

    def __del__(self):  # a pool gives freed memory to the next allocation on its stream
        self.used[self.device] -= self.nbytes
        for other, tick in filter(None, [self.written, *self.read.items()]):
            if other is not self.owner and self.owner.clock.get(other, 0) < tick and _host_clock.get(other, 0) < tick:
                self.problems.append(f"memory of device {self.device} freed while a stream of device {other.device_id} may still use it")


def _work(what, reads=(), writes=(), stream=None):
    """One operation on the current stream of the current device."""
    stream = stream or _stream()
    state.launches += 1
    stream.tick()
    for array, write in [(a, False) for a in reads] + [(a, True) for a in writes]:
        if array._buffer.device != _device():
            raise ValueError(f"{what}: an array of device {array._buffer.device} while device {_device()} is current: copy it explicitly")
        array._buffer.touch(stream, write, what)


# ---- arrays


class _Memory:
    """array.data: enough of cupy.cuda.MemoryPointer for copies and checks."""

    def __init__(self, array):
        self.array, self.device_id, self.ptr = array, array._buffer.device, array._a.ctypes.data

    def copy_from_device_async(self, source, nbytes, stream=None):
        target, source = self.array, source.array
        assert nbytes == target.nbytes == source.nbytes and target.flags.c_contiguous and source.flags.c_contiguous
        self.copied(stream or _stream(), [source])
        target._a.reshape(-1).view(_np.uint8)[:] = source._a.reshape(-1).view(_np.uint8)

    def copy_from_host_async(self, pointer, nbytes, stream=None):
        assert nbytes == self.array.nbytes and self.array.flags.c_contiguous
        self.copied(stream or _stream(), [])
        ctypes.memmove(self.ptr, pointer, nbytes)

    def copied(self, stream, sources):
        state.launches += 1
        stream.tick()
        for source in sources:
            source._buffer.touch(stream, False, "copy")
        self.array._buffer.touch(stream, True, "copy")


class ndarray:
    __slots__ = ("_a", "_buffer")
    __array_priority__ = 100

    def __init__(self, a, buffer):
        self._a, self._buffer = a, buffer

    shape, dtype, ndim, size, nbytes, itemsize, flags, strides = (
        property(lambda s, n=n: getattr(s._a, n)) for n in "shape dtype ndim size nbytes itemsize flags strides".split()
    )
    T = property(lambda s: ndarray(s._a.T, s._buffer))
    data = property(_Memory)
    device = property(lambda s: Device(s._buffer.device))
    __cuda_array_interface__ = property(lambda s: {"shape": s.shape, "data": (s.data.ptr, False)})

    def __len__(self):
        return len(self._a)

    def __repr__(self):
        return f"strict_cupy.ndarray(device={self._buffer.device}, {self._a!r})"

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __iter__(self):
        raise TypeError("iterating over a device array: one launch a row")

    def __deepcopy__(self, _):
        with Device(self._buffer.device):
            return self.copy()

    def get(self):
        with Device(self._buffer.device):
            _work("get", [self])
            _stream().synchronize()
        return self._a.copy()

    def set(self, array):
        if not isinstance(array, _np.ndarray) or array.shape != self.shape or array.dtype != self.dtype:
            raise ValueError("set: wants a NumPy array of the same shape and dtype")
        with Device(self._buffer.device):
            _work("set", [], [self])
        self._a[...] = array

    def item(self):
        return self.get().item()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __array_ufunc__(self, ufunc, method, *args, **kw):
        if method != "__call__":
            raise TypeError(f"ufunc.{method} on a device array")
        return _call(ufunc.__name__, args, kw)

    def __array_function__(self, function, _, args, kw):
        return _call(function.__name__, args, kw)

    def _index(self, key, write):
        keys, plain, axis = key if isinstance(key, tuple) else (key,), [], 0
        for k in keys:
            if isinstance(k, (list, _np.ndarray)):
                raise IndexError("a list or NumPy array as index of a device array: use a device array")
            if isinstance(k, ndarray):
                _work("index", [k])
                k = k._a
                if k.dtype.kind in "iu" and ((k < -self.shape[axis]) | (k >= self.shape[axis])).any():
                    raise IndexError(f"index out of range: CuPy would wrap it silently (axis {axis}, size {self.shape[axis]})")
            axis = self.ndim - len(keys) + len(plain) + 1 if k is Ellipsis else axis + 1
            plain.append(k)
        arrays = [k for k in plain if isinstance(k, _np.ndarray) and k.dtype.kind in "iu"]
        if write and arrays and len(arrays) == len(plain):
            flat = _np.ravel_multi_index(_np.broadcast_arrays(*arrays), self.shape[: len(arrays)], mode="wrap")
            if len(_np.unique(flat)) != flat.size:
                raise IndexError("duplicate indices in an assignment: which one wins is undefined in CuPy")
        return tuple(plain)

    def __getitem__(self, key):
        return _wrap(self._a[self._index(key, False)], "getitem", [self])

    def __setitem__(self, key, value):
        where = self._index(key, True)
        values = _plain(value, "setitem")
        _work("setitem", [value] if isinstance(value, ndarray) else [], [self])
        self._a[where] = values


def _fresh(a):
    """An array in memory the current stream's pool has handed out; whoever had it before used it on this stream."""
    stream = _stream()
    buffer = _Buffer(a.nbytes)
    stream.tick()
    buffer.written = stream, stream.clock[stream]
    return ndarray(a, buffer)


def _wrap(result, what, inputs):
    """A view shares its memory with an input and costs nothing; anything else was computed and is new."""
    if isinstance(result, tuple):
        return tuple(_wrap(r, what, inputs) for r in result)
    if not isinstance(result, (_np.ndarray, _np.generic)):
        return result
    result = _np.asarray(result)  # reductions return arrays without dimensions, as in CuPy
    for i in inputs:
        if _np.may_share_memory(result, i._a):
            return i if result is i._a else ndarray(result, i._buffer)
    _work(what, inputs)
    return _fresh(result)


def _plain(x, what):
    if isinstance(x, ndarray):
        return x._a
    if isinstance(x, (list, tuple)):
        return type(x)(_plain(v, what) for v in x)
    if isinstance(x, _np.ndarray):
        raise TypeError(f"{what}: Unsupported type {type(x)}: use asarray")
    return x


def _arrays(x):
    if isinstance(x, ndarray):
        return [x]
    return [a for v in x for a in _arrays(v)] if isinstance(x, (list, tuple)) else []


def _find(path):
    real, numpy = _real, _np
    for part in path.split("."):
        if not hasattr(real, part):
            raise AttributeError(f"cupy has no {path!r}" + (" although numpy has" if hasattr(numpy, part) else ""))
        real, numpy = getattr(real, part), getattr(numpy, part)
    return real, numpy


def _call(path, args, kw):
    real, function = _find(path)
    if isinstance(function, _np.ufunc) and any(isinstance(a, (list, tuple)) for a in args):
        raise TypeError(f"{path}: Unsupported type list")
    parameters = {}
    with contextlib.suppress(ValueError, TypeError):  # CuPy's ufuncs have no signature
        parameters = inspect.signature(real).parameters
    unknown = set(kw) - set(parameters) if parameters else ()
    if unknown and not any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
        raise TypeError(f"cupy.{path}() got an unexpected keyword argument {unknown.pop()!r}")
    out = kw.pop("out", None)
    out = out[0] if isinstance(out, tuple) else out
    inputs = _arrays(args) + _arrays(tuple(kw.values()))
    if path in ("matmul", "dot", "tensordot"):
        _check_product(path, inputs, out)
    elif out is not None and not isinstance(out, ndarray):
        raise TypeError(f"{path}: out must be a device array")
    plain, options = _plain(args, path), {k: _plain(v, path) for k, v in kw.items()}
    if out is None:
        return _wrap(function(*plain, **options), path, inputs)
    _work(path, inputs, [out])
    function(*plain, out=out._a, **options)
    return out


def _check_product(path, inputs, out):
    for a in inputs:
        if a.ndim > 2:
            raise ValueError(f"{path} of {a.ndim}-D arrays: CuPy copies operands and ignores TF32; make it 2-D")
        if not (a.flags.c_contiguous or a.flags.f_contiguous):
            state.copies += 1
    if out is not None and not out.flags.c_contiguous:
        if path != "matmul":
            raise ValueError(f"{path}: Output array must be C-contiguous")
        state.copies += 1  # computed elsewhere and copied in


def _method(name):
    def method(self, *args, **kw):
        if not hasattr(_real.ndarray, name):
            raise AttributeError(f"cupy.ndarray has no {name}")
        return _wrap(getattr(self._a, name)(*_plain(args, name), **kw), name, [self, *_arrays(args)])

    return method


def _operators():
    for name in "reshape transpose copy astype sum mean max min argmax any all ravel swapaxes squeeze view".split():
        setattr(ndarray, name, _method(name))
    for name, ufunc in dict(add="add", sub="subtract", mul="multiply", truediv="true_divide", pow="power", matmul="matmul").items():
        setattr(ndarray, f"__{name}__", lambda s, o, u=ufunc: _call(u, (s, o), {}))
        setattr(ndarray, f"__r{name}__", lambda s, o, u=ufunc: _call(u, (o, s), {}))
        setattr(ndarray, f"__i{name}__", lambda s, o, u=ufunc: _call(u, (s, o), {"out": s}))
    for name, ufunc in dict(gt="greater", lt="less", ge="greater_equal", le="less_equal", eq="equal", ne="not_equal").items():
        setattr(ndarray, f"__{name}__", lambda s, o, u=ufunc: _call(u, (s, o), {}))
    ndarray.__neg__ = lambda s: _call("negative", (s,), {})


_operators()


# ---- the module's functions


def asarray(a, dtype=None):
    if isinstance(a, ndarray):
        if a._buffer.device == _device() and dtype in (None, a.dtype):
            return a
        raise ValueError("asarray of an array of another device or dtype: this stand-in wants the copy to be explicit")
    return _fresh(_np.array(a, dtype))


array = asarray


def ascontiguousarray(a, dtype=None):
    if not isinstance(a, ndarray):
        return asarray(a, dtype)
    return _wrap(_np.ascontiguousarray(a._a, dtype), "ascontiguousarray", [a])


def zeros(shape, dtype=float):
    return _fresh(_np.zeros(shape, dtype))


def zeros_like(a):
    return zeros(a.shape, a.dtype)


def asnumpy(a):
    return a.get()


def empty(shape, dtype=float):
    """Poisoned, so that an element nobody wrote is seen: NaN, or the largest integer."""
    dtype = _np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    count = int(_np.prod(shape))
    block = _np.full(count + 64 // dtype.itemsize, _np.iinfo(dtype).max if dtype.kind in "iu" else _np.nan, dtype)
    first = -block.ctypes.data % 64 // dtype.itemsize  # aligned as the pool's memory is
    return _fresh(block[first : first + count].reshape(shape))


class RawModule:
    def __init__(self, *, code, options=()):
        self.module = HostModule(code=code, options=options)

    def get_function(self, name):
        kernel = self.module.get_function(name)

        def launch(grid, block, arguments):
            for a in arguments:
                if isinstance(a, _np.ndarray) and a.size != 1:
                    raise TypeError(f"{name}: a numpy.ndarray of shape {a.shape} as an argument")
            used = [(a, wanted) for a, wanted in zip(arguments, kernel.wanted, strict=True) if wanted.array and isinstance(a, ndarray)]
            _work(name, [a for a, wanted in used if not wanted.written], [a for a, wanted in used if wanted.written])
            kernel(grid, block, [a._a if isinstance(a, ndarray) else a for a in arguments])

        return launch


def get_default_memory_pool():
    return types.SimpleNamespace(total_bytes=lambda: state.used[_device()])


def _elapsed(start, end):
    if not (start.timing and end.timing):
        raise CUDARuntimeError("cudaErrorInvalidResourceHandle: an event made with disable_timing has no time")
    return 1000 * (end.time - start.time)


def _properties(index):
    return {"name": b"stand-in", "multiProcessorCount": 2, "totalGlobalMem": state.limit}


cuda = types.SimpleNamespace(
    Device=Device,
    Stream=Stream,
    Event=Event,
    get_current_stream=_stream,
    get_elapsed_time=_elapsed,
    alloc_pinned_memory=bytearray,
    memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
    cublas=types.SimpleNamespace(),
    nvrtc=types.SimpleNamespace(),
    runtime=types.SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        getDeviceCount=lambda: DEVICES,
        getDeviceProperties=_properties,
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 13000,
        memGetInfo=lambda: (state.limit - state.used[_device()], state.limit),
        deviceCanAccessPeer=lambda device, peer: int(state.peers),
    ),
)


class _Names:
    def __init__(self, path):
        self._path = path

    def __getattr__(self, name):
        return __getattr__(name, self._path + ".")


def __getattr__(name, path=""):
    if name.startswith("__"):
        raise AttributeError(name)
    if path + name == "random":
        raise AttributeError("cupy.random gives other numbers than NumPy for the same seed: draw on the host, or use Philox")
    _, numpy = _find(path + name)
    if isinstance(numpy, types.ModuleType):
        return _Names(path + name)
    if isinstance(numpy, type) or not callable(numpy):
        return numpy
    return lambda *args, **kw: _call(path + name, args, kw)
