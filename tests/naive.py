"""The layers once more as plain loops over single numbers, and derivatives by central differences: what the tests compare with.

N H W C images, rows, columns, channels; K kernel; S stride; r q row and column of an output; o its channel."""

import numpy as np


def pad(x, padding):
    top, bottom, left, right = (padding,) * 4 if isinstance(padding, int) else padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0))), (top, left)


def places(H, W, K, S):
    """The row and the column of the upper left corner of every window that fits, in the order of the outputs."""
    return list(range(0, H - K + 1, S)), list(range(0, W - K + 1, S))


def conv(x, W, b, stride, padding):
    """y (N, OH, OW, CO): y[n, r, q, o] = b[o] + sum over i, j, c of x[n, r S + i, q S + j, c] W[i, j, c, o]."""
    x, _ = pad(x, padding)
    K, _, C, CO = W.shape
    rows, columns = places(*x.shape[1:3], K, stride)
    y = np.empty((len(x), len(rows), len(columns), CO), x.dtype)
    for n, r, q, o in np.ndindex(y.shape):
        y[n, r, q, o] = b[o]
        for i, j, c in np.ndindex(K, K, C):
            y[n, r, q, o] += x[n, rows[r] + i, columns[q] + j, c] * W[i, j, c, o]
    return y


def conv_backward(x, W, dy, stride, padding):
    """dx, dW, db: every product of `conv` read backwards."""
    shape = x.shape
    x, (top, left) = pad(x, padding)
    K, _, C, _ = W.shape
    rows, columns = places(*x.shape[1:3], K, stride)
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros_like(W[0, 0, 0])
    for n, r, q, o in np.ndindex(dy.shape):
        db[o] += dy[n, r, q, o]
        for i, j, c in np.ndindex(K, K, C):
            dx[n, rows[r] + i, columns[q] + j, c] += dy[n, r, q, o] * W[i, j, c, o]
            dW[i, j, c, o] += dy[n, r, q, o] * x[n, rows[r] + i, columns[q] + j, c]
    return dx[:, top : top + shape[1], left : left + shape[2]], dW, db


def max_pool(x, K, S):
    """y, and winners: for each output the row and the column of the first maximum of its window in row-major order."""
    N, H, W, C = x.shape
    rows, columns = places(H, W, K, S)
    y, winners = np.empty((N, len(rows), len(columns), C), x.dtype), {}
    for n, r, q, c in np.ndindex(y.shape):
        best = None
        for i, j in np.ndindex(K, K):
            h, w = rows[r] + i, columns[q] + j
            if best is None or x[n, h, w, c] > best:
                best, winners[n, r, q, c] = x[n, h, w, c], (h, w)
        y[n, r, q, c] = best
    return y, winners


def max_pool_backward(x, dy, K, S):
    dx = np.zeros_like(x)
    _, winners = max_pool(x, K, S)
    for (n, r, q, c), (h, w) in winners.items():
        dx[n, h, w, c] += dy[n, r, q, c]
    return dx


def lrn(x, size, alpha, beta, k):
    """y_i = x_i (k + alpha * sum of x_j^2 over the channels i - size // 2 .. i + size // 2 that exist)^-beta."""
    y, C = np.empty_like(x), x.shape[-1]
    for index in np.ndindex(x.shape):
        i, total = index[-1], 0.0
        for j in range(max(0, i - size // 2), min(C - 1, i + size // 2) + 1):
            total += x[index[:-1] + (j,)] ** 2
        y[index] = x[index] * (k + alpha * total) ** -beta
    return y


def numerical_gradients(f, t, dys):
    """For each dy the gradient of sum(f() * dy) with respect to every element of t, which f reads. f gives float64 arrays.

    Central differences; the step balances the error of cutting the Taylor series, h^2, against that of rounding, eps / h."""
    gradients = [np.empty_like(t) for _ in dys]
    for index in np.ndindex(t.shape):
        old = t[index]
        h = np.finfo(np.float64).eps ** (1 / 3) * max(1, abs(old))
        t[index] = above = old + h
        difference = np.array(f())  # a copy: f may return a view of t
        t[index] = below = old - h
        difference = (difference - f()) / (above - below)
        t[index] = old
        for gradient, dy in zip(gradients, dys, strict=True):
            gradient[index] = (difference * dy).sum()
    return gradients


def relative_error(a, b):
    """The largest difference, as a fraction of the largest number."""
    return np.abs(a - b).max() / max(np.abs(a).max(), np.abs(b).max(), np.finfo(np.float64).tiny)


def spread(rng, shape):
    """Float64 numbers from -1 to 1 in random order, all different and none near 0: no tie and no kink within a small step."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) + 0.37) / size * 2 - 1).reshape(shape)
