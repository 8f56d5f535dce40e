"""bfloat16 for NumPy, which has none: the upper half of a float32's bits, as whole numbers. And a convolution on a CPU that computes
with it as those of GPUs do."""

import numpy as np

import minigrad
from minigrad import plain
from minigrad.engine.patches import im2col


def rounded(x):
    """The bits of the nearest numbers, of two equally near that whose last bit is 0; of a NaN those of a NaN."""
    x = np.asarray(x, np.float32)
    bits = x.view(np.uint32)
    return np.where(np.isnan(x), 0x7FFF, (bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def number(bits):
    """The numbers, float32, that have these bits."""
    return (np.asarray(bits).astype(np.uint32) << 16).view(np.float32)


def nearest(x):
    """The numbers themselves, in the dtype of x, of which none is NaN."""
    bits = np.array(x, np.float32).view(np.uint32)
    bits += (bits >> 16 & 1) + np.uint32(0x7FFF)
    bits &= np.uint32(0xFFFF0000)
    return bits.view(np.float32).astype(x.dtype, copy=False)


class Conv2d(minigrad.Conv2d):
    """What is multiplied is rounded, and so are the dpatches; sums and the bias are not."""

    def faster_way(self, y_shape, dtype):
        return None

    def forward_slab(self, x, first):
        y = np.matmul(im2col(nearest(x), self.kernel_size, self.stride, self.padding), nearest(self.matrix(x.dtype)))
        return y.reshape(self.output_shape(x.shape)) + self.b.astype(x.dtype), x

    def backward_slab(self, dy, x):
        rows, dx = nearest(dy).reshape(-1, self.out_channels), None
        dW = im2col(nearest(x), self.kernel_size, self.stride, self.padding).T @ rows
        if self.input_gradient:
            dpatches = nearest(rows @ nearest(self.matrix(x.dtype)).T)
            dx = plain.col2im(dpatches, x.shape, self.kernel_size, self.stride, self.padding)
        return dx, (dW, rows.sum(axis=0))
