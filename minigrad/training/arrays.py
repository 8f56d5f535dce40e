"""Arrays on their way between a network's device and the host, where NumPy and files are."""

import numpy as np


def to_host(array):
    """The NumPy array of a NumPy or GPU array; NumPy's own is not copied."""
    return array.get() if hasattr(array, "get") else np.asarray(array)


def assign(target, array):
    """Write a NumPy array into a NumPy or GPU array of the same shape."""
    if hasattr(target, "set"):
        target.set(np.ascontiguousarray(array, dtype=target.dtype))
    else:
        target[...] = array


def whole_shape(array, owned):
    """The shape of an array of which only the columns `owned` may be here, or all (None)."""
    return array.shape if owned is None else (*array.shape[:-1], owned.total)


def columns_of(array, owned):
    """Of a whole array the columns `owned`; None: all."""
    return array if owned is None else array[..., owned.start : owned.end]
