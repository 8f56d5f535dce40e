"""Max-pooling: of every window the largest number survives. With a stride below the window's size the windows overlap (paper §3.4)."""

import numpy as np

from minigrad.device import memory
from minigrad.layers.base import ImageLayer
from minigrad.layers.conv import output_size


class MaxPool2d(ImageLayer):
    """y = the maximum of each K x K window;   dx = the sum of the dy of the windows that a pixel won.

    x (N, H, W, C) -> y (N, OH, OW, C), OH = (H - K) // S + 1. A tie goes to the first maximum in row-major order, as in torch.
    kernel_size is 1 to 15, since a winner's place is kept in a byte. Raises ValueError for others, and for windows that do not fit."""

    def __init__(self, kernel_size=3, stride=2):
        if kernel_size < 1 or kernel_size > 15 or stride < 1:
            raise ValueError(f"MaxPool2d: kernel_size must be 1 to 15 and stride at least 1, not {kernel_size}, {stride}")
        self.kernel_size, self.stride = kernel_size, stride

    def arguments(self):
        return f"{self.kernel_size}, stride={self.stride}"

    def output_shape(self, shape):
        K, S = self.kernel_size, self.stride
        if len(shape) != 4:
            raise ValueError(f"MaxPool2d: expects images (N, H, W, C), but x has shape {tuple(shape)}")
        N, H, W, C = shape
        if min(H, W) < K:
            raise ValueError(f"MaxPool2d: a {K}x{K} window does not fit into {H}x{W} pixels")
        return N, output_size(H, K, S, 0, 0), output_size(W, K, S, 0, 0), C

    def forward_slab(self, x, first):
        N, OH, OW, C = self.output_shape(x.shape)
        K, S = self.kernel_size, self.stride
        # Columns first, then rows: 2 (K - 1) comparisons instead of K * K - 1. The first column of a row and then the first row is the
        # first in row-major order. `higher` is 0 or 1 and candidates grow, so the larger of both numbers is the winner so far.
        best, column = memory.empty((N, x.shape[1], OW, C), x.dtype), memory.empty((N, x.shape[1], OW, C), np.uint8)
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
        return y, (winner, x.shape)

    def backward_slab(self, dy, kept):
        winner, shape = kept
        K, S, (_, OH, OW, _) = self.kernel_size, self.stride, dy.shape
        dx, share = memory.empty(shape, dy.dtype), memory.empty(dy.shape, dy.dtype)
        dx[...] = 0
        for t in range(K * K):
            i, j = divmod(t, K)
            np.multiply(dy, winner == t, out=share)
            dx[:, i : i + S * (OH - 1) + 1 : S, j : j + S * (OW - 1) + 1 : S] += share
        return dx, ()

    def forward_cuda(self, x):
        (N, H, W, C), (_, OH, OW, _) = x.shape, self.output_shape(x.shape)
        d = {"N": N, "H": H, "W": W, "C": C, "K": self.kernel_size, "S": self.stride, "OH": OH, "OW": OW}
        y, winner = self.device.empty((N, OH, OW, C), x.dtype), self.device.empty((N, OH, OW, C), np.uint8)
        self.device.launch("pool", "maxpool_forward", y.size, x, y, winner, d, channels=C)
        return y, (winner, d)

    def backward_cuda(self, dy, kept):
        winner, d = kept
        dx = self.device.empty((d["N"], d["H"], d["W"], d["C"]), dy.dtype)
        self.device.launch("pool", "maxpool_backward", dx.size, dy, winner, dx, d, channels=d["C"])
        return dx, ()
