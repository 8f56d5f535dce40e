"""Max-pooling: of every window the largest number survives. With a stride below the window's size the windows overlap (paper §3.4)."""

from functools import lru_cache

import numpy as np

from minigrad.cuda.kernels import Fields
from minigrad.engine.patches import output_size
from minigrad.engine.pooling import max_pool, max_pool_backward
from minigrad.layers.base import ImageLayer


class MaxPool2d(ImageLayer):
    """y = the maximum of each K x K window;    dx = the sum of the dy of the windows that a pixel won.

    x (N, H, W, C) -> y (N, OH, OW, C), OH = (H - K) // S + 1: windows that do not fit are left out. A tie goes to the first maximum in
    row-major order, as in torch, and a NaN is larger than any number. The stride is 2 unless given (torch: kernel_size).
    kernel_size is an int from 1 to 15, since a winner's number takes a byte. Raises TypeError for a kernel_size or stride that is no int,
    ValueError for others, for an x that holds no images, and for a window that does not fit."""

    takes_relu = takes_norm = before_relu = True

    def __init__(self, kernel_size=3, stride=2):
        for name, value in (("kernel_size", kernel_size), ("stride", stride)):
            if not isinstance(value, (int, np.integer)):
                raise TypeError(f"MaxPool2d: {name} must be one int, since windows are square, not {value!r}")
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
        y, winner = max_pool(x, self.kernel_size, self.stride, *self.output_shape(x.shape)[1:3], winners=self.remembers)
        return y, (winner, x.shape)

    def backward_slab(self, dy, kept):
        winner, shape = kept
        return max_pool_backward(dy, winner, shape, self.kernel_size, self.stride), ()

    def forward_cuda(self, x):
        d = fields(x.shape, self.kernel_size, self.stride, self.relu)
        shape = d["N"], d["OH"], d["OW"], d["C"]
        y, winner = self.device.empty(shape, x.dtype), self.device.empty(shape, np.uint8)
        if self.norm is None:
            self.device.launch("pool", "maxpool_forward", y.size, x, y, winner, d, channels=d["C"])
            return y, (winner, d, None, None)
        self.device.launch("norm_pool", "norm_pool_forward", y.size, x, y, winner, self.norm, d, channels=d["C"])
        return y, (winner, d, self.norm, x)

    def backward_cuda(self, dy, kept):
        winner, d, norm, x = kept
        dx = self.device.empty((d["N"], d["H"], d["W"], d["C"]), dy.dtype)
        if norm is None:
            self.device.launch("pool", "maxpool_backward", dx.size, dy, winner, dx, d, channels=d["C"])
        else:
            self.device.launch("norm_pool", "norm_pool_backward", dx.size, x, dy, winner, dx, norm, d, channels=d["C"])
        return dx, ()

    def keeps(self):
        return "winners"


@lru_cache(1024)
def fields(x_shape, K, S, relu):
    """The struct `Pool` of pool.cu."""
    N, H, W, C = x_shape
    return Fields(N=N, H=H, W=W, C=C, K=K, S=S, OH=output_size(H, K, S, 0, 0), OW=output_size(W, K, S, 0, 0), relu=relu)
