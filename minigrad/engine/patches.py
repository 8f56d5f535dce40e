"""The patches of images that a convolution multiplies, laid out and multiplied a few images at a time.

N H W C images, rows, columns, channels; OH OW output rows and columns; K kernel size; S stride; CO output channels."""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigrad.engine import memory

PATCHES = 1 << 22  # bytes of patches at a time: they are still in the processor's cache when the product wants them


def output_size(size, kernel_size, stride, before, after):
    """(size + padding - K) // S + 1: the windows that fit; what is left over at the end is not read."""
    return (size + before + after - kernel_size) // stride + 1


def pad(x, padding):
    """x (N, H, W, C) in a frame of zeros, (top, bottom, left, right) pixels wide."""
    if not any(padding):
        return x
    (N, H, W, C), (top, bottom, left, right) = x.shape, padding
    padded = memory.empty((N, H + top + bottom, W + left + right, C), x.dtype)
    padded[:, :top] = 0
    padded[:, top + H :] = 0
    padded[:, :, :left] = 0
    padded[:, :, left + W :] = 0
    padded[:, top : top + H, left : left + W] = x
    return padded


def im2col(x, K, S=1, padding=(0, 0, 0, 0)):
    """x (N, H, W, C) -> patches (N * OH * OW, K * K * C), one row for each position of the window, zeros outside the image."""
    x = pad(x, padding)
    N, H, W, C = x.shape
    OH, OW = output_size(H, K, S, 0, 0), output_size(W, K, S, 0, 0)
    n, h, w, c = x.strides
    patches = memory.empty((N, OH, OW, K, K, C), x.dtype)
    np.copyto(patches, as_strided(x, patches.shape, (n, S * h, S * w, h, w, c)))  # a window begins S pixels after the one before
    return patches.reshape(-1, K * K * C)


def batches(N, bytes_per_image, limit=PATCHES):
    """0 .. N - 1 as slices of as many images as have `limit` bytes of patches, of one at least."""
    step = max(1, limit // bytes_per_image)
    return [slice(i, min(i + step, N)) for i in range(0, N, step)]


def add_product(total, a, b):
    """total + a @ b, in the memory of total, which is None at first."""
    product = memory.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    np.matmul(a, b, out=product)
    if total is None:
        return product
    total += product
    return total


def add_bias(y, b):
    """y (N, OH, OW, CO) with b (CO,) added to every pixel, in place."""
    rows = y.reshape(-1, y.shape[2] * y.shape[3])  # NumPy adds long rows faster than one pixel's few channels
    rows += np.tile(b.astype(y.dtype, copy=False), y.shape[2])
    return y


def col2im_of_product(dy, W, shape, S, padding):
    """dx, of that shape, of a convolution by W (K, K, C, CO) from dy (N, OH, OW, CO): what col2im makes of dy @ W', without those patches.

    Through W[i, j] each output gives dy @ W[i, j]' back to the pixel it came from; windows overlap, so a pixel adds up."""
    K, (N, H, width, C), (_, OH, OW, CO), (top, bottom, left, right) = len(W), shape, dy.shape, padding
    padded = memory.empty((N, H + top + bottom, width + left + right, C), dy.dtype)
    padded[...] = 0
    part = memory.empty((N, OH, OW, C), dy.dtype)
    for i in range(K):
        for j in range(K):
            np.matmul(dy.reshape(-1, CO), W[i, j].T, out=part.reshape(-1, C))
            padded[:, i : i + S * OH : S, j : j + S * OW : S] += part
    return padded[:, top : top + H, left : left + width]


def gradients_from_output_patches(dy, x, W, padding):
    """dx and dW of a convolution by W (K, K, C, CO) with stride 1, from patches of dy (N, OH, OW, CO) instead of x (N, H, W, C).

    x[h, w] met W[i, j] on the way to y[h + top - i, w + left - j]: with stride 1 these lie equally far apart everywhere. So dx is a
    convolution of dy with the kernel turned by 180 degrees, and the same patches of dy give dW: one im2col in all, and one product instead
    of K * K. It pays where dy has no more channels than x. Padding must be smaller than K."""
    K, (C, CO) = len(W), W.shape[2:]
    turned = W[::-1, ::-1].transpose(0, 1, 3, 2).reshape(-1, C)  # (K * K * CO, C)
    dx, dW, pixels = memory.empty(x.shape, x.dtype), None, np.ascontiguousarray(x)
    for images in batches(len(x), x[0].size // C * len(turned) * x.itemsize):
        patches = im2col(dy[images], K, 1, [K - 1 - side for side in padding])  # a row for each pixel of x
        np.matmul(patches, turned, out=dx[images].reshape(-1, C))
        dW = add_product(dW, pixels[images].reshape(-1, C).T, patches)
    return dx, dW.reshape(C, K, K, CO)[:, ::-1, ::-1].transpose(1, 2, 0, 3)
