"""How far two arrays differ."""

import numpy as np


def largest(a):
    """The largest |a|, as a float; 0 for an empty array."""
    return float(np.abs(a).max(initial=0.0))


def first_index(mask):
    """The index of the first True in row-major order, as a tuple of ints."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(mask), mask.shape))


def distance(a, b):
    """The largest |a - b| as a fraction of the largest |b|; infinite if the shapes differ or a nan stands in one of them alone.

    a, b: arrays, or None for a gradient that is missing. Arrays of objects stand for gradients that are no numbers: they are equal."""
    if a is None or b is None:
        return 0.0 if a is b else np.inf
    if a.shape != b.shape or (a.dtype == object) != (b.dtype == object):
        return np.inf
    if a.dtype == object or np.array_equal(a, b, equal_nan=True):
        return 0.0
    difference, scale = largest(a.astype(np.float64) - b), largest(b)
    if not np.isfinite(difference) or not scale:
        return 0.0 if difference == 0 else np.inf
    return difference / scale
