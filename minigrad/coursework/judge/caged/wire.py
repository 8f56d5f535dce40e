"""Values on a pipe: a header in JSON, then the bytes of its arrays. Nothing that arrives is executed, and all of it is checked.

None, bool, int, float and str stand for themselves; everything else is a dict with one key:
    t, l      tuple, list                     a   array [dtype, shape, strides or None, first byte, length of the memory, writeable]
    s         NumPy scalar [dtype]            v   view of the k-th array of the request [k, first byte, dtype, shape, strides]
    y         dtype [its text]                f   function of functions.py [its name]
    e         Ellipsis                        g   state of a random generator (to the solution only)
    me        the object that was called      p   a parameter [name, value, gradient] (to the solution only)
    n         a network [its text, identity]  o   any other object [name of its type, its text]"""

import json
import math
import struct

import numpy as np

from .functions import FUNCTIONS

LARGEST = 1 << 28  # bytes of a message
LARGEST_HEADER = 1 << 24  # of which values of Python's may take so many: here they grow thirtyfold
DEEPEST = 12  # containers in containers
HEAD = struct.Struct("<II")  # lengths of the header and of the bytes behind it


class BadMessage(Exception):
    """What arrived is no message: a sentence."""


# ---- a message as bytes


class Writer:
    """Encodes the values of one message. arrays: those that it holds, in order."""

    def __init__(self, known=(), me=None):
        self.chunks, self.arrays, self.known, self.me = [], [], known, me

    def message(self, header):
        head = json.dumps(header).encode()
        body = b"".join(self.chunks)
        if len(head) > LARGEST_HEADER or len(head) + len(body) > LARGEST:
            raise BadMessage(f"the answer holds more than {LARGEST >> 20} MB, or {LARGEST_HEADER >> 20} MB that are no arrays")
        return HEAD.pack(len(head), len(body)) + head + body

    def encode(self, value, depth=0):
        if value is None or isinstance(value, (bool, str)) or type(value) in (int, float):
            return value
        if depth > DEEPEST:
            return {"o": ["object", "..."]}
        if self.me is not None and value is self.me:
            return {"me": 1}
        if isinstance(value, (tuple, list)):
            return {"t" if isinstance(value, tuple) else "l": [self.encode(v, depth + 1) for v in value]}
        if value is ...:
            return {"e": 1}
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            return self.array(value)
        if isinstance(value, np.generic) and value.dtype.kind in "fiub":
            self.chunks.append(value.tobytes())
            return {"s": [value.dtype.str]}
        return self.other(value, depth)

    def other(self, value, depth):
        if isinstance(value, np.dtype) or isinstance(value, type) and issubclass(value, np.number):
            return {"y": [np.dtype(value).str]}
        if callable(value) and (names := [name for name, function in FUNCTIONS.items() if function is value]):
            return {"f": names}
        if isinstance(value, np.random.Generator):
            return {"g": value.bit_generator.state}
        if all(hasattr(value, name) for name in ("name", "value", "grad")):
            return {"p": [value.name, self.encode(value.value, depth + 1), self.encode(value.grad, depth + 1)]}
        if hasattr(value, "layers"):
            return {"n": [repr(value)[:100_000], id(value)]}
        return {"o": [type(value).__name__[:100], repr(value)[:200]]}

    def array(self, array):
        """An array with its strides, so that it lies in memory at the other end as it does here."""
        self.arrays.append(array)
        low, length = span(array)
        for k, other in enumerate(self.known):
            start, size = span(other)
            begin = array.__array_interface__["data"][0] - other.__array_interface__["data"][0]
            if array.size and np.may_share_memory(array, other) and 0 <= start + begin - low and start + begin - low + length <= size:
                return {"v": [k, start + begin, array.dtype.str, array.shape, array.strides]}
        if array.flags.c_contiguous:
            self.chunks.append(array.tobytes())
            return {"a": [array.dtype.str, array.shape, None, 0, array.nbytes, bool(array.flags.writeable)]}
        self.chunks.append(memory_of(array, length).tobytes())
        return {"a": [array.dtype.str, array.shape, array.strides, low, length, bool(array.flags.writeable)]}


def span(array):
    """(bytes from the first of the memory that an array touches to its first element, number of these bytes)."""
    low = sum(-stride * (size - 1) for size, stride in zip(array.shape, array.strides, strict=True) if stride < 0 and size)
    high = sum(stride * (size - 1) for size, stride in zip(array.shape, array.strides, strict=True) if stride > 0 and size)
    return low, (low + high + array.itemsize) if array.size else 0


def memory_of(array, length):
    """The memory that an array touches, as bytes; a view."""
    if not length:
        return np.zeros(0, np.uint8)
    lowest = array[
        tuple(slice(size - 1, size) if stride < 0 else slice(0, 1) for size, stride in zip(array.shape, array.strides, strict=True))
    ]
    return np.lib.stride_tricks.as_strided(lowest.reshape(1).view(np.uint8), (length,), (1,))


# ---- bytes as a message


class Reader:
    """Decodes the values of one message. known: the arrays of the request that it answers; me: what `me` stands for; network: text,
    identity -> object."""

    def __init__(self, body, known=(), me=None, network=None, parameter=None):
        self.body, self.at, self.known, self.me, self.network, self.parameter = body, 0, known, me, network, parameter
        self.arrays, self.room = [], LARGEST

    def decode(self, value, depth=0):
        """Raises BadMessage."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if depth > DEEPEST or not isinstance(value, dict) or len(value) != 1:
            raise BadMessage("a value is none of those that are expected")
        (kind, content) = next(iter(value.items()))
        if kind == "me":
            return self.me
        if kind == "e":
            return ...
        if not isinstance(content, (list, dict)):
            raise BadMessage("a value is none of those that are expected")
        if kind in ("t", "l"):
            return (tuple if kind == "t" else list)(self.decode(v, depth + 1) for v in content)
        try:
            return getattr(self, f"read_{kind}")(*([content] if kind == "g" else content))
        except (AttributeError, TypeError, ValueError, OverflowError, KeyError, SyntaxError, MemoryError, RecursionError) as error:
            raise BadMessage(f"a value is none of those that are expected ({type(error).__name__})") from None

    def take(self, length):
        if type(length) is not int or length < 0 or self.at + length > len(self.body):
            raise BadMessage("an array is longer than its bytes")
        self.at += length
        return self.body[self.at - length : self.at]

    def read_y(self, dtype):
        return plain_dtype(dtype).type

    def read_s(self, dtype):
        dtype = plain_dtype(dtype)
        return np.frombuffer(self.take(dtype.itemsize), dtype)[0]

    def read_a(self, dtype, shape, strides, first, length, writeable):
        dtype, memory = plain_dtype(dtype), bytearray(self.take(length))
        array = self.placed(memory, dtype, shape, strides, first, length)
        array.flags.writeable = bool(writeable)
        self.arrays.append(array)
        return array

    def read_v(self, k, first, dtype, shape, strides):
        other = self.known[k]
        _, length = span(other)
        memory = memory_of(other, length)
        return self.placed(memory, plain_dtype(dtype), shape, strides, first, length)

    def placed(self, *where):
        """An array; those of a message together take no more memory than one may, once they are copied."""
        array = placed(*where)
        self.room -= array.nbytes
        if self.room < 0:
            raise BadMessage("the arrays of an answer are too large together")
        return array

    def read_n(self, text, identity):
        return self.network(str(text), identity)

    def read_f(self, name):
        return FUNCTIONS[name]

    def read_o(self, name, text):
        return Other(str(name)[:100], str(text)[:200])

    def read_g(self, state):
        if self.parameter is None:
            raise BadMessage("a generator is no answer")
        generator = np.random.Generator(getattr(np.random, state["bit_generator"])())
        generator.bit_generator.state = state
        return generator

    def read_p(self, name, value, grad):
        return self.parameter(name, self.decode(value), self.decode(grad))


class Other:
    """An object that has no form on the pipe; it equals nothing."""

    def __init__(self, name, text):
        self.name, self.text = name, text

    def __repr__(self):
        return self.text


def plain_dtype(text):
    dtype = np.dtype(text) if isinstance(text, str) else None
    if dtype is None or dtype.kind not in "fiub" or dtype.names or dtype.shape:
        raise BadMessage("an array is of no plain dtype")
    return dtype


def placed(memory, dtype, shape, strides, first, length):
    """An array in this memory of `length` bytes. Raises BadMessage unless it lies within."""
    shape = tuple(shape)
    if len(shape) > 32 or not all(type(size) is int and size >= 0 for size in shape) or type(first) is not int:
        raise BadMessage("an array has no shape")
    if math.prod(shape) * dtype.itemsize > LARGEST:  # one number may stand for all of them
        raise BadMessage("an array is too large")
    if strides is None:
        if math.prod(shape) * dtype.itemsize != length:
            raise BadMessage("an array does not have the bytes of its shape")
        return np.frombuffer(memory, dtype).reshape(shape)
    strides = tuple(strides)
    if len(strides) != len(shape) or not all(type(stride) is int for stride in strides):
        raise BadMessage("an array has no strides")
    if math.prod(shape):
        low = first + sum(stride * (size - 1) for size, stride in zip(shape, strides, strict=True) if stride < 0)
        high = first + sum(stride * (size - 1) for size, stride in zip(shape, strides, strict=True) if stride > 0)
        if low < 0 or high + dtype.itemsize > length:
            raise BadMessage("an array lies outside its memory")
    return np.ndarray(shape, dtype, memory, first if math.prod(shape) else 0, strides)


def header_of(data):
    """The header of a message. Raises BadMessage."""
    try:
        header = json.loads(data)
    except (ValueError, RecursionError):
        raise BadMessage("the answer is no message") from None
    if not isinstance(header, dict):
        raise BadMessage("the answer is no message")
    return header
