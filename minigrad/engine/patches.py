"""The patches of images that a convolution multiplies, laid out and multiplied a few images at a time.

N H W C images, rows, columns, channels; OH OW output rows and columns; K kernel size; S stride; CO output channels."""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigrad.engine import memory

SHORT = 16  # numbers in a row of a window: so short a run is copied slowly
PRODUCTS = 1 << 19  # bytes of products at a time
SMALL = 1_000_000  # multiply-adds: OpenBLAS has a way for products up to there that is up to twice as fast, so an image's is one by itself
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


def im2col(x, K, S=1, padding=(0, 0, 0, 0), together=1):
    """x (N, H, W, C) -> patches (N * OH * OW, K * K * C), one row for each position of the window, zeros outside the image.

    together: so many neighbouring windows in one row, as the rectangle of K x (K + S * (together - 1)) pixels that they cover; OW must be a
    multiple of it."""
    x = pad(x, padding)
    N, H, W, C = x.shape
    OH, OW = output_size(H, K, S, 0, 0), output_size(W, K, S, 0, 0)
    n, h, w, c = x.strides
    patches = memory.empty((N, OH, OW // together, K, K + S * (together - 1), C), x.dtype)
    np.copyto(patches, as_strided(x, patches.shape, (n, S * h, S * together * w, h, w, c)))  # a window begins S pixels after the one before
    return patches.reshape(N * OH * (OW // together), -1)


def windows_together(K, S, C, OW):
    """How many windows `im2col` should take together. One alone has few numbers where there are few channels: its patch is copied in short
    runs, and its product is too narrow for BLAS. With four the copies are half as many and the product is twice as large, half of it zeros,
    but several times as fast a number."""
    if S == 1 and K * C <= SHORT:
        return next(together for together in (4, 2, 1) if OW % together == 0)
    return 1


def side_by_side(W, together):
    """The weights for windows taken together: W (K, K, C, CO) -> (K * (K + together - 1) * C, together * CO), the kernel once for each
    window, shifted by a pixel, zeros where it does not reach. The stride is 1."""
    K, _, C, CO = W.shape
    if together == 1:
        return W.reshape(-1, CO)
    wide = np.zeros((K, K + together - 1, C, together, CO), W.dtype)
    for t in range(together):
        wide[:, t : t + K, :, t] = W
    return wide.reshape(-1, together * CO)


def side_by_side_backward(d, shape, together):
    """dW of that shape (K, K, C, CO) from the gradient of `side_by_side`: all windows' added up."""
    K, _, C, CO = shape
    d = d.reshape(K, K + together - 1, C, together, CO)
    return sum(d[:, t : t + K, :, t] for t in range(together))


def strip(x, rows, K, S, padding):
    """The rows of x (N, H, W, C) that the output rows `rows`, a slice, are made of, and the padding that they need."""
    (top, _, left, right), H = padding, x.shape[1]
    first, end = S * rows.start - top, S * (rows.stop - 1) + K - top  # either may lie beyond the image
    return x[:, max(0, first) : max(0, end)], (max(0, min(0, end) - first), max(0, end - max(H, first)), left, right)


def batches(N, bytes_per_image, limit=PATCHES):
    """0 .. N - 1 as slices of as many images as have `limit` bytes of patches, of one at least."""
    step = max(1, limit // bytes_per_image)
    return [slice(i, min(i + step, N)) for i in range(0, N, step)]


def add_product(total, a, b):
    """total + a @ b, in the memory of total, which is None at first. Matrices, or stacks of them, which are added a few at a time: their
    products take little memory, and are still in the processor's cache when they are added."""
    if total is None:
        total = memory.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
        return np.matmul(a, b, out=total)
    for few in batches(len(a), total[0].nbytes, PRODUCTS) if a.ndim == 3 else [slice(None)]:
        product = memory.empty(total[few].shape, a.dtype)
        np.matmul(a[few], b[few], out=product)
        total[few] += product
    return total


def multiply(a, b, out, images):
    """Writes a @ b into `out`; a and out have as many rows for each of so many images."""
    rows = len(a) // images
    if rows * b.size <= SMALL < len(a) * b.size:
        a, out = a.reshape(images, rows, -1), out.reshape(images, rows, -1)
    np.matmul(a, b, out=out)


def add_gradient(total, a, b, images):
    """total + a' @ b, total None at first; a and b have as many rows for each of so many images."""
    rows, size = len(a) // images, a.shape[1] * b.shape[1]
    if len(a) * size <= SMALL or rows * size > SMALL or rows < a.shape[1]:
        return add_product(total, a.T, b)
    product = np.matmul(a.reshape(images, rows, -1).transpose(0, 2, 1), b.reshape(images, rows, -1)).sum(axis=0)
    if total is not None:
        product += total
    return product


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
