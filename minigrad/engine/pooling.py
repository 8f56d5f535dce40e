"""Max-pooling in few passes over memory, and its winners.

x (N, H, W, C); y, dy, winner (N, OH, OW, C); K, S the size of the windows and their distance. winner: which number of its window the
maximum is, row by row: i * K + j, uint8."""

import numpy as np

from minigrad.engine import memory
from minigrad.engine.masks import all_finite


def max_pool(x, K, S, OH, OW):
    """y and winner. A tie goes to the first maximum in row-major order; a NaN is larger than any number.

    Columns first, then rows: 2 (K - 1) comparisons instead of K * K - 1. The first maximum of the first row that has one is the first in
    row-major order. `higher` is 0 or 1 and the numbers of the candidates grow, so the larger of both numbers is the winner so far."""
    N, H, _, C = x.shape
    best, column = memory.empty((N, H, OW, C), x.dtype), memory.empty((N, H, OW, C), np.uint8)
    higher = memory.empty(column.shape, bool)
    best[...] = x[:, :, 0 : S * (OW - 1) + 1 : S]
    column[...] = 0
    for j in range(1, K):
        candidate = x[:, :, j : j + S * (OW - 1) + 1 : S]
        np.greater(candidate, best, out=higher)
        np.maximum(best, candidate, out=best)
        np.maximum(column, higher.view(np.uint8) * np.uint8(j), out=column)
    y, winner = memory.empty((N, OH, OW, C), x.dtype), memory.empty((N, OH, OW, C), np.uint8)
    y[...] = best[:, 0 : S * (OH - 1) + 1 : S]
    winner[...] = column[:, 0 : S * (OH - 1) + 1 : S]
    for i in range(1, K):
        rows = slice(i, i + S * (OH - 1) + 1, S)
        higher = np.greater(best[:, rows], y)
        np.maximum(y, best[:, rows], out=y)
        np.maximum(winner, (column[:, rows] + np.uint8(i * K)) * higher.view(np.uint8), out=winner)
    if not all_finite(y):  # comparisons with NaN are all false, so its place is not in `winner`
        first_nan(x, K, S, y, winner)
    return y, winner


def first_nan(x, K, S, y, winner):
    """Set the winner of each window that holds a NaN to the first of them."""
    _, OH, OW, _ = y.shape
    for m in reversed(range(K * K)):
        i, j = divmod(m, K)
        winner[np.isnan(x[:, i : i + S * (OH - 1) + 1 : S, j : j + S * (OW - 1) + 1 : S])] = m


def max_pool_backward(dy, winner, shape, K, S):
    """dx of that shape: each dy goes to the pixel that won its window; windows overlap, so a pixel adds up."""
    _, OH, OW, _ = dy.shape
    dx, share = memory.empty(shape, dy.dtype), memory.empty(dy.shape, dy.dtype)
    dx[...] = 0
    finite = all_finite(np.ascontiguousarray(dy))  # 0 times infinity is NaN
    for m in range(K * K):
        i, j = divmod(m, K)
        if finite:
            np.multiply(dy, winner == m, out=share)
        else:
            share[...] = np.where(winner == m, dy, 0)
        dx[:, i : i + S * (OH - 1) + 1 : S, j : j + S * (OW - 1) + 1 : S] += share
    return dx
