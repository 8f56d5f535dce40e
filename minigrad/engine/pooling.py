"""Max-pooling in few passes over memory, and its winners.

x (N, H, W, C); y, dy, winner (N, OH, OW, C); K, S the size of the windows and their distance. winner: which number of its window the
maximum is, row by row: i * K + j, uint8."""

from functools import lru_cache

import numpy as np

from minigrad.engine import memory
from minigrad.engine.masks import all_finite
from minigrad.engine.patches import batches

FEW = 32  # channels; NumPy takes runs of fewer numbers so slowly that it is faster to pool at every column and to throw some away
PLACES = 1 << 19  # bytes of places at a time


def max_pool(x, K, S, OH, OW, winners=True):
    """y and winner, which is None unless `winners`. A tie goes to the first maximum in row-major order; a NaN is larger than any number.

    Rows first, then columns: 2 (K - 1) maxima instead of K * K - 1."""
    C, last = x.shape[3], S * (OW - 1) + 1
    best, row = largest([x[:, i : i + S * (OH - 1) + 1 : S] for i in range(K)], winners)
    if winners:
        row *= K
    if C < FEW:  # in flat memory the columns of a window are C numbers apart, and the windows that begin too late are not looked at
        flat, n = best.reshape(-1), best.size - (K - 1) * C
        columns = [flat[j * C : j * C + n] for j in range(K)]
        y, _ = largest(columns, False)
        winner = first(columns, [row.reshape(-1)[j * C : j * C + n] for j in range(K)], y) if winners else None
        y, winner = (at_every(a, best.shape, S, OW) for a in (y, winner))
    else:
        columns = [best[:, :, j : j + last : S] for j in range(K)]
        y, _ = largest(columns, False)
        winner = first(columns, [row[:, :, j : j + last : S] for j in range(K)], y) if winners else None
    if winners and not all_finite(y):  # NaN equals nothing, so its place is not in `winner`
        first_nan(x, K, S, y, winner)
    return y, winner


def largest(candidates, which):
    """The largest of some arrays, number by number, and the number of the first that has it (uint8), None unless wanted: so many of the
    maxima of the first one, the first two, ... are still smaller."""
    best, before = candidates[0], []
    for candidate in candidates[1:]:
        before += [best] if which else []
        best = np.maximum(best, candidate, out=memory.empty(best.shape, best.dtype))
    if best is candidates[0]:
        best = best.copy()
    if not which:
        return best, None
    number = memory.empty(best.shape, np.uint8)
    number[...] = 0
    for smaller in before:
        number += np.not_equal(smaller, best, out=memory.empty(best.shape, bool)).view(np.uint8)
    return best, number


def first(columns, rows, best):
    """The first place of a window that has its maximum: the smallest of row + j (uint8) of the columns j in which it lies."""
    place = None
    for j, (column, row) in enumerate(zip(columns, rows, strict=True)):
        mine = memory.empty(best.shape, np.uint8)
        np.not_equal(column, best, out=mine.view(bool))
        np.negative(mine, out=mine)  # 255 where it is smaller, so that its place does not count
        mine |= row + np.uint8(j) if j else row
        place = mine if place is None else np.minimum(place, mine, out=place)
    return place


def at_every(flat, shape, S, OW):
    """Every S-th column, OW of them, of the beginning `flat` of an array of that shape (N, OH, W, C)."""
    if flat is None:
        return None
    N, OH, W, C = shape
    out = memory.empty((N, OH, OW, C), flat.dtype)
    size = flat.itemsize
    out[...] = np.ndarray(out.shape, flat.dtype, flat, strides=(OH * W * C * size, W * C * size, S * C * size, size))
    return out


def first_nan(x, K, S, y, winner):
    """Set the winner of each window that holds a NaN to the first of them."""
    _, OH, OW, _ = y.shape
    for m in reversed(range(K * K)):
        i, j = divmod(m, K)
        winner[np.isnan(x[:, i : i + S * (OH - 1) + 1 : S, j : j + S * (OW - 1) + 1 : S])] = m


def max_pool_backward(dy, winner, shape, K, S):
    """dx of that shape: each dy goes to the pixel that won its window; windows overlap, so a pixel adds up, in the order of the windows."""
    N, H, W, C = shape
    dx = memory.empty(shape, dy.dtype)
    dx[...] = 0
    for images in batches(N, dy[0].size * np.dtype(np.intp).itemsize, PLACES):
        place = memory.empty(winner[images].shape, np.intp)
        np.take(pixels_in_window(K, W, C), winner[images], out=place, mode="clip")
        place += window_corners(*place.shape[1:], S, W)
        place += (np.arange(len(place)) * (H * W * C))[:, None, None, None]
        np.add.at(dx[images].reshape(-1), place.reshape(-1), dy[images].reshape(-1))
    return dx


@lru_cache(maxsize=64)
def pixels_in_window(K, W, C):
    """How far in memory each pixel of a window lies behind the first one, in numbers: (K * K,)."""
    return (np.arange(K)[:, None] * W * C + np.arange(K) * C).reshape(-1)


@lru_cache(maxsize=64)
def window_corners(OH, OW, C, S, W):
    """Where in an image (H, W, C) the first number of each window lies: (OH, OW, C)."""
    return np.arange(OH)[:, None, None] * S * W * C + np.arange(OW)[:, None] * S * C + np.arange(C)
