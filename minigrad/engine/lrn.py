"""What local response normalisation is made of: sums over neighbouring channels, and powers."""

from functools import lru_cache

import numpy as np

from minigrad.engine import memory
from minigrad.engine.masks import all_finite
from minigrad.engine.patches import multiply

FEW = 32  # channels; up to so many, a product with a band matrix is faster than shifted sums


def window_sum(q, half, factor, plus=0):
    """q (..., C), contiguous -> factor times the sum of q over the channels c - half .. c + half that exist, plus a number; a fresh array,
    or a view of it where nothing is added."""
    C = q.shape[-1]
    if C <= FEW and all_finite(q):  # a product would multiply infinities beyond the window by 0
        total = memory.empty(q.shape, q.dtype)
        multiply(q.reshape(-1, C), band(C, half, factor, q.dtype), total.reshape(-1, C), len(q))
        if plus:
            total += q.dtype.type(plus)
        return total
    total = shifted_sum(q, half, factor)
    return np.add(total, q.dtype.type(plus), out=memory.empty(q.shape, q.dtype)) if plus else total


@lru_cache(maxsize=64)
def band(C, half, factor, dtype):
    """The matrix (C, C) that has `factor` where row and column are at most `half` apart, else 0."""
    distance = np.abs(np.arange(C)[:, None] - np.arange(C))
    return (factor * (distance <= half)).astype(dtype)


def shifted_sum(q, half, factor):
    """`window_sum` for many channels.

    Each pixel's channels get `half` zeros on both sides. In flat memory a sum over neighbours is then a sum of shifted copies of
    one long run, which is three times as fast as shifting each pixel's few channels by themselves."""
    C, width = q.shape[-1], q.shape[-1] + 2 * half
    padded = memory.empty((*q.shape[:-1], width), q.dtype)
    padded[..., :half] = 0
    padded[..., half + C :] = 0
    np.multiply(q, q.dtype.type(factor), out=padded[..., half : half + C])
    flat = padded.reshape(-1)
    total = memory.empty(padded.shape, q.dtype)
    sums = total.reshape(-1)[: flat.size - 2 * half]
    np.add(flat[: sums.size], flat[1 : sums.size + 1], out=sums) if half else np.copyto(sums, flat)
    for i in range(2, 2 * half + 1):
        sums += flat[i : i + sums.size]
    return total[..., :C]


def fourth_root(s):
    """s^(1/4), in the memory of s. From it s^(3/4) and s are products, exact to the last bit or two; NumPy's power takes three times as
    long as both roots."""
    np.sqrt(s, out=s)
    return np.sqrt(s, out=s)


def power(r, beta):
    """s^beta of r = s^(1/4)."""
    p = memory.empty(r.shape, r.dtype)
    if beta not in (0.75, 1):
        return np.power(r, 4 * beta, out=p)
    np.multiply(r, r, out=p)
    p *= r if beta == 0.75 else p
    return p
