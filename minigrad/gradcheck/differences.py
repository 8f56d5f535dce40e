"""The numerical gradient: how much a function changes when one element of its input is moved a small step up and a small step down.

Taylor: f(t + h) = f + h f' + h^2/2 f'' + h^3/6 f''' + ..., so that (f(t + h) - f(t - h)) / 2h = f' + h^2/6 f''' + ..."""

import numpy as np

EPS = np.finfo(np.float64).eps
STEP = EPS ** (1 / 3)  # balances the truncation error of the Taylor series, h^2, against the rounding error, eps / h


def numerical_gradient(f, t, dy=None, h=None):
    """The gradient of sum(dy * f(t)), or of f(t) where that is a number, with respect to t: an array of the shape of t.

    f: a function of t. It gets t itself, and may return a view of it or use its output array again.
    t: a float64 array of any shape; changed in place one element at a time and restored bit for bit, also if f raises.
    dy: an array of the shape of f(t); None if f(t) is a number. h: the step, by default eps^(1/3) * max(1, |t_i|).
    Raises TypeError unless t is a float64 array, ValueError for a dy of another shape."""
    if not isinstance(t, np.ndarray) or t.dtype != np.float64:
        raise TypeError(f"numerical_gradient: t must be a float64 array, not {getattr(t, 'dtype', type(t).__name__)}")
    gradient = np.empty(t.shape)
    for i in np.ndindex(t.shape):
        gradient[i] = element_slope(f, t, i, dy, h)
    return gradient


def element_slope(f, t, i, dy=None, h=None):
    """The slope of sum(dy * f(t)) along t[i]. The divisor is the step that float64 really made."""
    old = t[i]
    h = element_step(old) if h is None else h
    try:
        t[i] = above = old + h
        change = np.array(f(t), np.float64)  # a copy: f may use its buffers again, or return a view of t
        t[i] = below = old - h
        change = change - f(t)
    finally:
        t[i] = old
    if np.shape(change) != np.shape(1.0 if dy is None else dy):
        raise ValueError(f"numerical_gradient: f(t) has shape {np.shape(change)}, so dy must have it too, but has {np.shape(dy)}")
    with np.errstate(all="ignore"):
        return np.sum(change if dy is None else dy * change) / (above - below)


def element_step(number):
    """The step for an element of this value."""
    return STEP * max(1.0, abs(number))


def values_along(f, t, u, steps):
    """[f(t + step * u) for step in steps], where f returns fresh arrays; t is restored."""
    old, values = t.copy(), []
    try:
        for step in steps:
            t[...] = old + step * u
            values.append(f(t))
    finally:
        t[...] = old
    return values


def kink_free(shape, rng, low=-2.0, high=2.0):
    """An input without kinks: float64 numbers in random order, low <= v <= high, at least (high - low) / size apart and a quarter of
    that away from 0.

    No maximum is tied and no ReLU stands at its kink, nor does a small step lead there. shape: a tuple of ints; rng: a NumPy
    Generator, used for one permutation. Raises ValueError unless low < high."""
    if not low < high:
        raise ValueError(f"kink_free: low must be below high, not {low}, {high}")
    size = int(np.prod(shape))
    gap = (high - low) / (size - 0.5)
    from_grid = abs(low / gap - round(low / gap))  # distance of 0 from the grid, in gaps; half a gap is left over, enough to move it off 0
    return rng.permutation(low + gap * (np.arange(size) + (0.0 if from_grid >= 0.25 else 0.5))).reshape(shape)
