"""Local response normalisation: a strong response quietens its neighbours in the channels beside it (paper §3.3)."""

import numpy as np

from minigrad.device import memory
from minigrad.layers.base import ImageLayer


def window_sum(q, half):
    """q (..., C) -> the sum of q over the channels c - half .. c + half that exist, as a view of a fresh array.

    Each pixel's channels get `half` zeros on both sides. In flat memory a sum over neighbours is then a sum of shifted copies of
    one long run, which is three times as fast as shifting each pixel's few channels by themselves."""
    C, width = q.shape[-1], q.shape[-1] + 2 * half
    padded = memory.empty((*q.shape[:-1], width), q.dtype)
    padded[...] = 0
    padded[..., half : half + C] = q
    flat = padded.reshape(-1)
    total = memory.empty(padded.shape, q.dtype)
    sums = total.reshape(-1)[: flat.size - 2 * half]
    np.add(flat[: sums.size], flat[1 : sums.size + 1], out=sums) if half else np.copyto(sums, flat)
    for i in range(2, 2 * half + 1):
        sums += flat[i : i + sums.size]
    return total[..., :C]


def power(s, beta):
    """s ** beta. For 3/4 by two square roots: NumPy's power takes 1.5 times as long, and this is exact to the last bit or two."""
    q = memory.empty(s.shape, s.dtype)
    if beta != 0.75:
        return np.power(s, beta, out=q)
    root = memory.empty(s.shape, s.dtype)
    np.sqrt(s, out=root)
    np.sqrt(root, out=q)
    q *= root
    return q


class LocalResponseNorm(ImageLayer):
    """s_i = k + alpha * (sum of x_j^2 over the `size` channels around i that exist),   y_i = x_i * s_i^-beta.

    dx_i = dy_i * s_i^-beta - 2 alpha beta x_i * (sum over the same channels of dy_j y_j / s_j).
    x (N, ..., C), size odd. As in the paper, alpha multiplies the plain *sum*: torch divides it by the size, so that
    torch's alpha=5e-4, k=2 is this layer's default. Channels are those of one tower."""

    def __init__(self, size=5, alpha=1e-4, beta=0.75, k=2.0):
        if size < 1 or size % 2 == 0:
            raise ValueError(f"LocalResponseNorm: size must be odd, so that the window has a middle, not {size}")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def arguments(self):
        return f"size={self.size}, alpha={self.alpha:g}, beta={self.beta:g}, k={self.k:g}"

    def output_shape(self, shape):
        if len(shape) < 2:
            raise ValueError(f"LocalResponseNorm: expects (N, ..., C), but x has shape {tuple(shape)}")
        return tuple(shape)

    def forward_slab(self, x, first):
        y, s = memory.empty(x.shape, x.dtype), memory.empty(x.shape, x.dtype)
        np.multiply(x, x, out=y)
        np.multiply(window_sum(y, self.size // 2), x.dtype.type(self.alpha), out=s)
        s += x.dtype.type(self.k)
        q = power(s, self.beta)
        np.divide(x, q, out=y)
        return y, (x, s, q)

    def backward_slab(self, dy, kept):
        x, s, q = kept
        dx, t = memory.empty(x.shape, x.dtype), memory.empty(x.shape, x.dtype)
        np.divide(dy, q, out=dx)  # dy s^-beta
        np.multiply(dx, x, out=t)
        t /= s  # dy y / s
        np.multiply(window_sum(t, self.size // 2), x, out=t)
        t *= x.dtype.type(2 * self.alpha * self.beta)
        dx -= t
        return dx, ()

    def run_cuda(self, kernel, x, *more):
        C, result = x.shape[-1], self.device.empty(x.shape, x.dtype)
        d = {"rows": x.size // C, "C": C, "half": self.size // 2, "k": self.k, "alpha": self.alpha, "beta": self.beta}
        self.device.launch("lrn", kernel, x.size, x, *more, result, d, channels=C)
        return result

    def forward_cuda(self, x):
        return self.run_cuda("lrn_forward", x), x

    def backward_cuda(self, dy, x):
        return self.run_cuda("lrn_backward", x, dy), ()
