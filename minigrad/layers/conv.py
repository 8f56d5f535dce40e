"""Convolution: a fully connected layer applied to every patch of an image.

N H W C images, rows, columns, channels; OH OW output rows and columns; K kernel size; S stride; CO output channels."""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigrad.device import memory
from minigrad.layers import winograd
from minigrad.layers.base import ImageLayer

PATCHES = 1 << 22  # bytes of patches at a time


def four_sides(padding):
    """padding as (top, bottom, left, right). Raises ValueError unless it is an int >= 0 or four of them."""
    sides = padding if isinstance(padding, (tuple, list)) else (padding,) * 4
    if len(sides) != 4 or not all(isinstance(side, (int, np.integer)) and side >= 0 for side in sides):
        raise ValueError(f"Conv2d: padding must be an int >= 0 or (top, bottom, left, right), not {padding!r}")
    return tuple(sides)


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


def even(x, padding=(0, 0, 0, 0)):
    """x padded, with a row and a column of zeros more where their number would be odd."""
    top, bottom, left, right = padding
    return pad(x, (top, bottom + (x.shape[1] + top + bottom) % 2, left, right + (x.shape[2] + left + right) % 2))


def im2col(x, K, S=1, padding=(0, 0, 0, 0)):
    """x (N, H, W, C) -> patches (N * OH * OW, K * K * C), one row for each place of the window, zeros outside the image."""
    x = pad(x, padding)
    N, H, W, C = x.shape
    OH, OW = output_size(H, K, S, 0, 0), output_size(W, K, S, 0, 0)
    n, h, w, c = x.strides
    patches = memory.empty((N, OH, OW, K, K, C), x.dtype)
    np.copyto(patches, as_strided(x, patches.shape, (n, S * h, S * w, h, w, c)))  # a window begins S pixels after the one before
    return patches.reshape(-1, K * K * C)


def in_cache(N, bytes_per_image):
    """0 .. N - 1 as slices of so many images that their patches are still in the processor's cache when the product wants them."""
    step = max(1, PATCHES // bytes_per_image)
    return [slice(i, min(i + step, N)) for i in range(0, N, step)]


def added(total, a, b):
    """total + a @ b, in the memory of total, which is None at first."""
    product = memory.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    np.matmul(a, b, out=product)
    if total is None:
        return product
    total += product
    return total


class Conv2d(ImageLayer):
    """y = patches(x) @ W + b: the same weights look at every patch (paper §3.5; cross-correlation, as in all frameworks: the kernel is
    not flipped).

    x (N, H, W, C_in) -> y (N, OH, OW, C_out) with OH = (H + top + bottom - K) // S + 1. W (K, K, C_in, C_out), b (C_out,).
    padding: an int, or (top, bottom, left, right): zeros. W is drawn from N(0, std), b is `bias`. Raises ValueError for sizes that make
    no sense, and for an x of another shape.
    Only x is kept for backward: building the patches again costs less than keeping them.

    On a CPU, 3 x 3 kernels with stride 1 and at least `winograd_channels` input and output channels go Winograd's way instead (see
    winograd.py): the same numbers but for rounding, in about two thirds of the time."""

    names = ("W", "b")
    input_gradient = True  # the first layer of a network has nobody to hand dx to
    winograd_channels = 64  # from so many input and output channels on, what Winograd's products save is more than his additions cost
    kernels = None  # for his way, W as the tiles want it; None: by im2col

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, *, std=0.01, bias=0.0, rng=None):
        if not all(isinstance(n, (int, np.integer)) and n >= 1 for n in (in_channels, out_channels, kernel_size, stride)):
            raise ValueError(
                f"Conv2d: in_channels, out_channels, kernel_size and stride must be whole numbers of at least 1, "
                f"not {in_channels}, {out_channels}, {kernel_size}, {stride}"
            )
        self.in_channels, self.out_channels, self.kernel_size, self.stride = in_channels, out_channels, kernel_size, stride
        self.padding = four_sides(padding)
        rng = np.random.default_rng() if rng is None else rng
        self.W = rng.standard_normal((kernel_size, kernel_size, in_channels, out_channels), np.float32) * np.float32(std)
        self.b = np.full(out_channels, bias, np.float32)
        self.dW = self.db = None

    def arguments(self):
        return f"{self.in_channels}, {self.out_channels}, {self.kernel_size}, stride={self.stride}, padding={self.padding}"

    def output_shape(self, shape):
        if len(shape) != 4 or shape[3] != self.in_channels:
            raise ValueError(f"Conv2d: expects images (N, H, W, {self.in_channels}), but x has shape {tuple(shape)}")
        (N, H, W, _), (top, bottom, left, right), K = shape, self.padding, self.kernel_size
        if H + top + bottom < K or W + left + right < K:
            raise ValueError(f"Conv2d: a {K}x{K} kernel does not fit into {H}x{W} pixels with padding {self.padding}")
        OH, OW = output_size(H, K, self.stride, top, bottom), output_size(W, K, self.stride, left, right)
        return N, OH, OW, self.out_channels

    def matrix(self, dtype):
        """W as a matrix (K * K * C_in, C_out)."""
        return self.W.reshape(-1, self.out_channels).astype(dtype, copy=False)

    def begin(self):
        """Choose the way of this forward and its backward: winograd.py's on a CPU, for 3 x 3 kernels and many channels."""
        self.kernels = None
        many = min(self.in_channels, self.out_channels) >= self.winograd_channels
        if many and self.kernel_size == 3 and self.stride == 1 and not self.device.is_gpu:
            _, OH, OW, _ = self.call.y_shape
            if winograd.multiplications(OH, OW) < 0.75 * 9 * OH * OW:  # else the tiles stand too far over the edge
                self.kernels = winograd.kernels(self.W, self.call.dtype)

    def forward_slab(self, x, first):
        if self.kernels is not None:
            return self.add_bias(self.forward_winograd(x)), x
        y, W = memory.empty(self.output_shape(x.shape), x.dtype), self.matrix(x.dtype)
        for images in in_cache(len(x), y[0].size // self.out_channels * len(W) * x.itemsize):
            patches = im2col(x[images], self.kernel_size, self.stride, self.padding)
            np.matmul(patches, W, out=y[images].reshape(-1, self.out_channels))
        return self.add_bias(y), x

    def add_bias(self, y):
        rows = y.reshape(-1, y.shape[2] * self.out_channels)  # NumPy adds long rows faster than one pixel's few channels
        rows += np.tile(self.b.astype(y.dtype, copy=False), y.shape[2])
        return y

    def backward_slab(self, dy, x):
        d = np.ascontiguousarray(dy)
        rows = d.reshape(-1, self.out_channels)
        db = np.ones(len(rows), d.dtype) @ rows  # a sum, and faster than NumPy's
        if self.kernels is not None:
            dx, dkernels = self.backward_winograd(d, x)
            return dx, (dkernels, db)
        few = self.out_channels <= self.in_channels  # patches of dy are no larger than those of x
        if few and self.input_gradient and self.stride == 1 and max(self.padding) < self.kernel_size:
            dx, dW = self.from_patches_of_dy(d, x)
            return dx, (dW, db)
        dW, size = None, self.W.size // self.out_channels
        for images in in_cache(len(x), len(rows) // len(x) * size * x.itemsize):
            patches = im2col(x[images], self.kernel_size, self.stride, self.padding)
            dW = added(dW, patches.T, d[images].reshape(-1, self.out_channels))
        return self.tap_by_tap(d, x.shape) if self.input_gradient else None, (dW, db)

    def tap_by_tap(self, dy, shape):
        """dx: through W[i, j] each output gives dy @ W[i, j].T back to the pixel it came from; windows overlap, so a pixel adds up."""
        K, S, (N, H, W, C), (_, OH, OW, CO) = self.kernel_size, self.stride, shape, dy.shape
        top, bottom, left, right = self.padding
        padded = memory.empty((N, H + top + bottom, W + left + right, C), dy.dtype)
        padded[...] = 0
        weights, tap = self.W.astype(dy.dtype, copy=False), memory.empty((N, OH, OW, C), dy.dtype)
        for i in range(K):
            for j in range(K):
                np.matmul(dy.reshape(-1, CO), weights[i, j].T, out=tap.reshape(-1, C))
                padded[:, i : i + S * OH : S, j : j + S * OW : S] += tap
        return padded[:, top : top + H, left : left + W]

    def from_patches_of_dy(self, dy, x):
        """dx and dW with stride 1, where the pixels that a weight saw and the outputs that it made lie equally far apart everywhere.

        x[h, w] met W[i, j] on the way to y[h + top - i, w + left - j]. So dx is a convolution of dy with the kernel turned
        by 180 degrees, and the same patches of dy give dW: one im2col in all, and one product instead of K * K."""
        K, (C, CO) = self.kernel_size, self.W.shape[2:]
        turned = self.W[::-1, ::-1].transpose(0, 1, 3, 2).reshape(-1, C).astype(x.dtype, copy=False)  # (K * K * CO, C)
        dx, dW, pixels = memory.empty(x.shape, x.dtype), None, np.ascontiguousarray(x)
        for images in in_cache(len(x), x[0].size // C * len(turned) * x.itemsize):
            patches = im2col(dy[images], K, 1, [K - 1 - side for side in self.padding])  # a row for each pixel of x
            np.matmul(patches, turned, out=dx[images].reshape(-1, C))
            dW = added(dW, pixels[images].reshape(-1, C).T, patches)
        return dx, dW.reshape(C, K, K, CO)[:, ::-1, ::-1].transpose(1, 2, 0, 3)

    def forward_winograd(self, x):
        """y without the bias, by way of winograd.py."""
        y = memory.empty(self.output_shape(x.shape), x.dtype)
        N, OH, OW, CO = y.shape
        for images in in_cache(N, winograd.multiplications(OH, OW) * max(self.in_channels, CO) * x.itemsize):
            tiles = winograd.tiles(even(x[images], self.padding))
            products = memory.empty((16, tiles.shape[1], CO), x.dtype)
            np.matmul(tiles, self.kernels, out=products)
            y[images] = winograd.outputs(products, OH, OW)[:, :OH, :OW]
        return y

    def backward_winograd(self, dy, x):
        """dx, if wanted, and the gradient of `kernels`: each step of forward transposed, the last first."""
        (N, OH, OW, CO), (_, H, W, C), (top, _, left, _) = dy.shape, x.shape, self.padding
        dx = memory.empty(x.shape, x.dtype) if self.input_gradient else None
        transposed, dkernels = self.kernels.transpose(0, 2, 1), None
        for images in in_cache(N, winograd.multiplications(OH, OW) * max(C, CO) * x.itemsize):
            frame = even(x[images], self.padding)
            tiles, dproducts = winograd.tiles(frame), winograd.outputs_backward(even(dy[images]))
            dkernels = added(dkernels, tiles.transpose(0, 2, 1), dproducts)
            if self.input_gradient:
                np.matmul(dproducts, transposed, out=tiles)  # the tiles are spent; their memory takes their gradient
                dx[images] = winograd.tiles_backward(tiles, frame.shape)[:, top : top + H, left : left + W]
        return dx, dkernels

    def gradients(self, sums):
        dW, db = sums
        return (dW if self.kernels is None else winograd.kernels_backward(dW)), db

    def forget(self):
        self.kernels = None
        super().forget()

    # On a GPU the patch matrix has a column more that holds 1, and zeros up to a multiple of 4; the bias lies as one more row below W. So
    # the product adds it, and the one that gives dW gives db: a sum over the rows of so tall a matrix would cost more than either.

    @property
    def columns(self):
        """Columns of the patch matrix on a GPU: rows of 16 bytes are what its tensor cores ask for."""
        return (self.kernel_size**2 * self.in_channels // 4 + 1) * 4

    def chunks(self, x):
        """A batch in slices whose patches fit into the device's workspace, and for each the struct `Conv` of conv.cu."""
        (N, H, W, C), (_, OH, OW, _), (top, _, left, _) = x.shape, self.output_shape(x.shape), self.padding
        d = {"H": H, "W": W, "C": C, "K": self.kernel_size, "S": self.stride, "top": top, "left": left, "OH": OH, "OW": OW}
        step = max(1, self.device.workspace // (OH * OW * self.columns * x.itemsize))
        for n in range(0, N, step):
            images = slice(n, min(n + step, N))
            yield images, {"N": images.stop - n, **d, "columns": self.columns}

    def patches_cuda(self, x, d):
        """x (N, H, W, C) -> patches (N * OH * OW, columns)."""
        patches = self.device.empty((d["N"] * d["OH"] * d["OW"], self.columns), x.dtype)
        self.device.launch("conv", "im2col", d["N"] * d["OH"] * self.columns, x, patches, d, channels=d["C"])
        return patches

    def matrix_cuda(self, dtype):
        """W, b and zeros below one another: (columns, C_out)."""
        W, b, CO = self.matrix(dtype), self.b.astype(dtype, copy=False), self.out_channels
        Wb = self.device.empty((self.columns, CO), dtype)
        self.device.launch("conv", "weights_and_bias", Wb.size, W, b, Wb, len(W), self.columns, CO, channels=CO)
        return Wb

    def forward_cuda(self, x):
        y, Wb = self.device.empty(self.output_shape(x.shape), x.dtype), self.matrix_cuda(x.dtype)
        for images, d in self.chunks(x):
            self.device.xp.matmul(self.patches_cuda(x[images], d), Wb, out=y[images].reshape(-1, self.out_channels))
        return y, x

    def backward_cuda(self, dy, x):
        xp, dx, dWb = self.device.xp, None, None
        if self.input_gradient:
            dx, Wb = self.device.empty(x.shape, x.dtype), self.matrix_cuda(x.dtype)
        for images, d in self.chunks(x):
            patches, dp = self.patches_cuda(x[images], d), dy[images].reshape(-1, self.out_channels)
            part = xp.matmul(patches.T, dp)
            dWb = part if dWb is None else xp.add(dWb, part, out=dWb)
            if self.input_gradient:
                xp.matmul(dp, Wb.T, out=patches)  # the patches are spent; their memory takes their gradient
                self.device.launch("conv", "col2im", dx[images].size, patches, dx[images], d, channels=d["C"])
        filled = self.W.size // self.out_channels
        return dx, (dWb[:filled].reshape(self.W.shape), dWb[filled])
