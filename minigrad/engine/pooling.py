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
    best, row = largest([x[:, i : i + S * (OH - 1) + 1 : S] for i in range(K)], [np.uint8(i * K) for i in range(K)], winners)
    if C < FEW:  # in flat memory the columns of a window are C numbers apart, and the windows that begin too late are not looked at
        flat, n = best.reshape(-1), best.size - (K - 1) * C
        rows = row.reshape(-1) if winners else None
        columns = [flat[j * C : j * C + n] for j in range(K)]
        places = [rows[j * C : j * C + n] + np.uint8(j) for j in range(K)] if winners else ()
        y, winner = (at_every(a, best.shape, S, OW) for a in largest(columns, places, winners))
    else:
        columns = [best[:, :, j : j + last : S] for j in range(K)]
        places = [row[:, :, j : j + last : S] + np.uint8(j) for j in range(K)] if winners else ()
        y, winner = largest(columns, places, winners)
    if winners and not all_finite(y):  # NaN equals nothing, so its place is not in `winner`
        first_nan(x, K, S, y, winner)
    return y, winner


def largest(candidates, places, wanted):
    """The largest of some arrays, number by number, and the first place (uint8) of those that are as large, None unless wanted."""
    best = memory.empty(candidates[0].shape, candidates[0].dtype)
    if len(candidates) == 1:
        best[...] = candidates[0]
    else:
        np.maximum(candidates[0], candidates[1], out=best)
        for candidate in candidates[2:]:
            np.maximum(best, candidate, out=best)
    if not wanted:
        return best, None
    place, mine = (memory.empty(best.shape, np.uint8) for _ in range(2))
    place[...] = 255
    for candidate, number in zip(candidates, places, strict=True):
        np.not_equal(candidate, best, out=mine.view(bool))
        np.negative(mine, out=mine)  # 255 where it is smaller, so that its place does not count
        mine |= number
        np.minimum(place, mine, out=place)
    return best, place


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
