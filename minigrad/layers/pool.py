"""Max-pooling: of every window the largest number survives. With a stride below the window's size the windows overlap (paper §3.4)."""

import numpy as np

from minigrad.engine.patches import output_size
from minigrad.engine.pooling import max_pool, max_pool_backward
from minigrad.layers.base import ImageLayer


class MaxPool2d(ImageLayer):
    """y = the maximum of each K x K window;    dx = the sum of the dy of the windows that a pixel won.

    x (N, H, W, C) -> y (N, OH, OW, C), OH = (H - K) // S + 1: windows that do not fit are left out. A tie goes to the first maximum in
    row-major order, as in torch, and a NaN is larger than any number. The stride is 2 unless given (torch: kernel_size).
    kernel_size is an int from 1 to 15, since a winner's number takes a byte. Raises TypeError for a kernel_size or stride that is no int,
    ValueError for others, for an x that holds no images, and for a window that does not fit."""

    takes_relu = True

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
        (N, H, W, C), (_, OH, OW, _) = x.shape, self.output_shape(x.shape)
        d = {"N": N, "H": H, "W": W, "C": C, "K": self.kernel_size, "S": self.stride, "OH": OH, "OW": OW, "relu": self.relu}
        y, winner = self.device.empty((N, OH, OW, C), x.dtype), self.device.empty((N, OH, OW, C), np.uint8)
        self.device.launch("pool", "maxpool_forward", y.size, x, y, winner, d, channels=C)
        return y, (winner, d)

    def backward_cuda(self, dy, kept):
        winner, d = kept
        dx = self.device.empty((d["N"], d["H"], d["W"], d["C"]), dy.dtype)
        self.device.launch("pool", "maxpool_backward", dx.size, dy, winner, dx, d, channels=d["C"])
        return dx, ()

    def keeps(self):
        return "winners"
