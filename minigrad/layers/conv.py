"""Convolution: a fully connected layer applied to every patch of an image.

N H W C images, rows, columns, channels; OH OW output rows and columns; K kernel size; S stride; CO output channels."""

import numpy as np

from minigrad.cuda import conv as gpu
from minigrad.engine import memory, slabs, winograd
from minigrad.engine.patches import (
    add_bias,
    add_gradient,
    batches,
    col2im_of_product,
    gradients_from_output_patches,
    im2col,
    multiply,
    output_size,
    side_by_side,
    side_by_side_backward,
    strip,
    windows_together,
)
from minigrad.layers.base import ImageLayer
from minigrad.layers.parameter import starting_weights

STRIPS = 2  # of a single image; the product of each reads all weights, so more of them cost more


def four_sides(padding):
    """padding as (top, bottom, left, right). Raises ValueError unless it is an int >= 0 or four of them."""
    sides = padding if isinstance(padding, (tuple, list)) else (padding,) * 4
    if len(sides) != 4 or not all(isinstance(side, (int, np.integer)) and side >= 0 for side in sides):
        raise ValueError(f"Conv2d: padding must be an int >= 0 or (top, bottom, left, right), not {padding!r}")
    return tuple(sides)


class Conv2d(ImageLayer):
    """y = patches(x) @ W + b: the same weights look at every patch (paper section 3.5; cross-correlation, as in all frameworks: the kernel
    is not flipped).    dW = patches(x)' @ dy,   db = the sum of dy,   dx = dy @ W', each number added to the pixel it came from.

    x (N, H, W, C_in) -> y (N, OH, OW, C_out) with OH = (H + top + bottom - K) // S + 1. W (K, K, C_in, C_out), b (C_out,), float32.
    padding: an int, or (top, bottom, left, right): pixels of zeros. std: W is drawn from N(0, std^2). bias: the number that b starts with
    (torch's bias=False has no counterpart: b is always there). rng: a `numpy.random.Generator`, a new one if None.
    Raises ValueError for sizes that make no sense and for an x that does not fit, TypeError for a bias that is no number.
    A CPU keeps only x for backward: building the patches again costs less than keeping them. A GPU keeps them while there is room.

    Some convolutions have a faster way than the two methods below, an object with the methods `forward` and `backward`: on a CPU
    `engine.winograd.Winograd`, which is told before a backward (`begin_backward`), on a GPU `cuda.conv.Im2colOnGpu`. The numbers are the
    same but for rounding, whose errors Winograd's way at most triples."""

    names = ("W", "b")
    takes_relu = True
    way = None
    winograd_channels = 12  # from so many input (with a stride: S S times as many) and output channels on, Winograd's way is faster

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, *, std=0.01, bias=0.0, rng=None):
        if not all(isinstance(n, (int, np.integer)) and n >= 1 for n in (in_channels, out_channels, kernel_size, stride)):
            raise ValueError(
                f"Conv2d: in_channels, out_channels, kernel_size and stride must be whole numbers of at least 1, "
                f"not {in_channels}, {out_channels}, {kernel_size}, {stride}"
            )
        self.in_channels, self.out_channels, self.kernel_size, self.stride = in_channels, out_channels, kernel_size, stride
        self.padding = four_sides(padding)
        self.W, self.b = starting_weights("Conv2d", (kernel_size, kernel_size, in_channels, out_channels), std, bias, rng)
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

    def begin(self, x_shape, y_shape, dtype):
        self.way, self.single = self.faster_way(y_shape, dtype), x_shape[0] == 1

    def begin_backward(self):
        if self.way:
            self.way.begin_backward()

    def faster_way(self, y_shape, dtype):
        """The object that computes this forward and its backward, or None: the methods below do."""
        if self.device.is_gpu:
            return gpu.way(self, dtype)
        many = min(self.stride**2 * self.in_channels, self.out_channels) >= self.winograd_channels
        several = y_shape[0] > 1  # to transform the kernels costs more than a single image gains
        if several and many and winograd.pays(self.kernel_size, self.stride, *y_shape[1:3]):
            return winograd.Winograd(self.W.astype(dtype, copy=False), self.stride, self.padding, self.input_gradient, self.device)
        return None

    def forward_slab(self, x, first):
        if self.way:
            return self.way.forward(x, self.b.astype(x.dtype, copy=False)), x
        y = memory.empty(self.output_shape(x.shape), x.dtype)
        if self.single:
            self.forward_rows(x, self.matrix(x.dtype), y)
            return add_bias(y, self.b), x
        together = self.together(y)
        W = side_by_side(self.W.astype(x.dtype, copy=False), together)
        for images in batches(len(x), y[0].size // W.shape[1] * len(W) * x.itemsize):
            patches = im2col(x[images], self.kernel_size, self.stride, self.padding, together)
            multiply(patches, W, y[images].reshape(len(patches), -1), images.stop - images.start)
        return add_bias(y, self.b), x

    def forward_rows(self, x, W, y):
        """y of a single image, cut into strips of rows: threads that find no other image to work on take one each."""

        def work(rows):
            pixels, padding = strip(x, rows, self.kernel_size, self.stride, self.padding)
            np.matmul(im2col(pixels, self.kernel_size, self.stride, padding), W, out=y[:, rows].reshape(-1, self.out_channels))

        self.device.run(work, slabs.split(0, y.shape[1], min(STRIPS, y.shape[1])))

    def backward_slab(self, dy, x):
        dy, W = np.ascontiguousarray(dy), self.W.astype(dy.dtype, copy=False)
        rows = dy.reshape(-1, self.out_channels)
        db = np.ones(len(rows), dy.dtype) @ rows  # a sum, and faster than NumPy's
        if self.way:
            dx, dW = self.way.backward(dy, x)  # dW transformed, see `gradients`
        elif self.has_smaller_output_patches() and self.input_gradient:
            dx, dW = gradients_from_output_patches(dy, x, W, self.padding)
        else:
            dx, dW, together = None, None, self.together(dy)
            for images in batches(len(x), len(rows) // len(x) * (W.size // self.out_channels) * x.itemsize):
                patches = im2col(x[images], self.kernel_size, self.stride, self.padding, together)
                dW = add_gradient(dW, patches, dy[images].reshape(len(patches), -1), images.stop - images.start)
            dW = side_by_side_backward(dW, W.shape, together)
            if self.input_gradient:
                dx = col2im_of_product(dy, W, x.shape, self.stride, self.padding)
        return dx, (dW, db)

    def gradients(self, sums):
        dW, db = sums
        return self.way.gradient(dW) if self.way else dW, db

    def has_smaller_output_patches(self):
        return self.out_channels <= self.in_channels and self.stride == 1 and max(self.padding) < self.kernel_size

    def matrix(self, dtype):
        """W as a matrix (K * K * C_in, C_out)."""
        return self.W.reshape(-1, self.out_channels).astype(dtype, copy=False)

    def together(self, y):
        """How many windows `im2col` takes together for an output like y: one where backward may take patches of the output instead."""
        if self.has_smaller_output_patches():
            return 1
        return windows_together(self.kernel_size, self.stride, self.in_channels, y.shape[2])

    def to(self, device):
        super().to(device)
        return self.join_on_gpu()

    def astype(self, dtype):
        super().astype(dtype)
        return self.join_on_gpu()

    def join_on_gpu(self):
        """On a GPU b lies below W in memory, as it does in the product."""
        if self.device.is_gpu:
            with self.device:
                self.W, self.b = gpu.joined(self)
        return self

    def release(self):
        self.way = None
        super().release()

    def forward_cuda(self, x):
        self.way.relu = self.relu
        return self.way.forward(x), x

    def backward_cuda(self, dy, x):
        dx, dW, db = self.way.backward(dy, x)
        return dx, (dW, db)

    def multiply_adds(self, x_shape):
        N, OH, OW, _ = self.output_shape(x_shape)
        return N * OH * OW * self.W.size

    def keeps(self):
        return "x"

    def unfolded(self, x_shape):
        N, OH, OW, _ = self.output_shape(x_shape)
        return N * OH * OW * gpu.bytes_of_a_patch(self)
