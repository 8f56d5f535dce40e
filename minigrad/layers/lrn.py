"""Local response normalisation: a strong response quietens its neighbours in the channels beside it (paper §3.3)."""

from functools import lru_cache

import numpy as np

from minigrad.cuda.kernels import Fields
from minigrad.engine import memory
from minigrad.engine.lrn import fourth_root, power, window_sum
from minigrad.layers.base import ImageLayer


class LocalResponseNorm(ImageLayer):
    """s_i = k + alpha * (sum of x_j^2 over the `size` channels around i that exist),    y_i = x_i * s_i^-beta.

    dx_i = dy_i * s_i^-beta - 2 alpha beta x_i * (sum over the same channels of dy_j y_j / s_j).
    x (N, ..., C), size odd. As in the paper, alpha multiplies the plain *sum*: torch divides it by the size, so that torch's alpha=5e-4,
    k=2 is this layer's default. Channels are those of one tower. Raises ValueError for an even size, and for an x without channels."""

    takes_relu = is_norm = True

    def __init__(self, size=5, alpha=1e-4, beta=0.75, k=2.0):
        if size < 1 or size % 2 == 0:
            raise ValueError(f"LocalResponseNorm: size must be odd, so that the window has a middle, not {size}")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def arguments(self):
        return f"size={self.size}, alpha={self.alpha:g}, beta={self.beta:g}, k={self.k:g}"

    def output_shape(self, shape):
        """(N, ..., C) -> the same. Raises ValueError for fewer than two axes."""
        if len(shape) < 2:
            raise ValueError(f"LocalResponseNorm: expects (N, ..., C), but x has shape {tuple(shape)}")
        return tuple(shape)

    def forward_slab(self, x, first):
        squares = np.multiply(x, x, out=memory.empty(x.shape, x.dtype))
        r = fourth_root(window_sum(squares, self.size // 2, self.alpha, plus=self.k))  # of s
        y = power(r, self.beta)
        return np.divide(x, y, out=y), (x, r)

    def backward_slab(self, dy, kept):
        x, r = kept
        dx = power(r, self.beta)  # to compute it again takes less time than memory
        np.divide(dy, dx, out=dx)  # dy s^-beta
        t = np.multiply(dx, x, out=memory.empty(x.shape, x.dtype))
        t /= power(r, 1)  # dy y / s
        t = window_sum(t, self.size // 2, 2 * self.alpha * self.beta)
        t *= x
        dx -= t
        return dx, ()

    def run_cuda(self, kernel, relu, x, *more):
        C, result = x.shape[-1], self.device.empty(x.shape, x.dtype)
        self.device.launch("lrn", kernel, x.size, x, *more, result, self.fields(x.size // C, C, relu), channels=C)
        return result

    def fields(self, rows, C, relu):
        return fields(rows, C, self.size // 2, relu, self.k, self.alpha, self.beta)

    def forward_cuda(self, x):
        return self.run_cuda("lrn_forward", self.relu, x), (x, self.relu)

    def backward_cuda(self, dy, kept):
        x, relu = kept
        return self.run_cuda("lrn_backward", relu, x, dy), ()

    def keeps(self):
        return "x"


@lru_cache(1024)
def fields(rows, C, half, relu, k, alpha, beta):
    """The struct `Lrn` of lrn.cu."""
    return Fields(rows=rows, C=C, half=half, relu=relu, k=k, alpha=alpha, beta=beta)
