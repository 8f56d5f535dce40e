"""Convolution by 3 x 3 kernels in fewer multiplications: F(2 x 2, 3 x 3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural
Networks", 2015 (arXiv:1509.09308), section 4.1, after Winograd.

Two neighbouring outputs of a kernel of three weights, y0 = x0 w0 + x1 w1 + x2 w2 and y1 = x1 w0 + x2 w1 + x3 w2, take six
multiplications. With

    m0 = (x0 - x2) w0    m1 = (x1 + x2) (w0 + w1 + w2) / 2    m2 = (x2 - x1) (w0 - w1 + w2) / 2    m3 = (x1 - x3) w2

they are y0 = m0 + m1 + m2 and y1 = m1 - m2 - m3: four. Along rows and columns at once, a tile of 4 x 4 pixels gives 2 x 2 outputs with
16 multiplications instead of 36; over all tiles and channels these are 16 matrix products. What is added before and after them takes
about as long as im2col.

Every step is linear in x and in W, so backward goes through the transposed steps in reverse. The names are Lavin and Gray's: G makes
the sums of weights, B' those of pixels (`sums` along an axis), A' the outputs (`pairs`); a ' is the transpose.

N images; T x U tiles in each, which make 2T x 2U outputs; C input and CO output channels."""

import numpy as np

from minigrad.engine import memory
from minigrad.engine.patches import add_product, batches, pad

G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
G_BOTH = np.kron(G, G)  # (16, 9): along rows and columns at once


def multiplications(OH, OW):
    """16 a tile: for OH x OW outputs and each pair of channels. Tiles that stand over the edge make outputs that are thrown away."""
    return 16 * ((OH + 1) // 2) * ((OW + 1) // 2)


def pays(OH, OW):
    """Whether enough multiplications are saved for OH x OW outputs: else the tiles stand too far over the edge."""
    return multiplications(OH, OW) < 0.75 * 9 * OH * OW


class Winograd:
    """A convolution by W (3, 3, C, CO), float32 or float64, with stride 1 and that padding, on slabs of images.

    forward(x) -> y without the bias; backward(dy, x) -> dx (None unless `input_gradient`) and dU, the gradient of the transformed weights;
    gradients(dU, added up) -> dW. device: runs what belongs to the whole batch, with BLAS on one thread: BLAS's own threads would go on
    spinning beside the workers."""

    def __init__(self, W, padding, input_gradient, device):
        self.padding, self.input_gradient, self.device = padding, input_gradient, device
        self.C, self.CO = W.shape[2:]
        self.U = memory.empty((16, self.C, self.CO), W.dtype)  # the weights transformed: G W G'
        self.product(G_BOTH, W.reshape(9, -1), self.U.reshape(16, -1))

    def product(self, a, b, out):
        self.device.run(lambda _: np.matmul(a.astype(b.dtype), b, out=out), [0])

    def forward(self, x):
        (N, H, W, _), (top, bottom, left, right) = x.shape, self.padding
        OH, OW = H + top + bottom - 2, W + left + right - 2
        y = memory.empty((N, OH, OW, self.CO), x.dtype)
        for images in batches(N, multiplications(OH, OW) * max(self.C, self.CO) * x.itemsize):
            pixels = tiles(even(x[images], self.padding))
            products = memory.empty((16, pixels.shape[1], self.CO), x.dtype)
            np.matmul(pixels, self.U, out=products)
            y[images] = outputs(products, OH, OW)[:, :OH, :OW]
        return y

    def backward(self, dy, x):
        """Each step of forward transposed, the last first."""
        (N, OH, OW, _), (_, H, W, _), (top, _, left, _) = dy.shape, x.shape, self.padding
        dx = memory.empty(x.shape, x.dtype) if self.input_gradient else None
        transposed, dU = self.U.transpose(0, 2, 1), None
        for images in batches(N, multiplications(OH, OW) * max(self.C, self.CO) * x.itemsize):
            frame = even(x[images], self.padding)
            pixels, dproducts = tiles(frame), outputs_backward(even(dy[images]))
            dU = add_product(dU, pixels.transpose(0, 2, 1), dproducts)
            if self.input_gradient:
                np.matmul(dproducts, transposed, out=pixels)  # the tiles are no longer needed; their memory takes their gradient
                dx[images] = tiles_backward(pixels, frame.shape)[:, top : top + H, left : left + W]
        return dx, dU

    def gradients(self, dU):
        dW = memory.empty((3, 3, self.C, self.CO), dU.dtype)
        self.product(G_BOTH.T, dU.reshape(16, -1), dW.reshape(9, -1))
        return dW


def even(x, padding=(0, 0, 0, 0)):
    """x padded, with a row and a column of zeros more where their number would be odd."""
    top, bottom, left, right = padding
    return pad(x, (top, bottom + (x.shape[1] + top + bottom) % 2, left, right + (x.shape[2] + left + right) % 2))


def tiles(x):
    """x (N, 2T + 2, 2U + 2, C) -> (16, N * T * U, C), the sums of each tile: B' x B."""
    return sums(sums(x)).reshape(16, -1, x.shape[3])


def tiles_backward(d, shape):
    """(16, N * T * U, C) -> dx (N, 2T + 2, 2U + 2, C), which is `shape`; neighbouring tiles share two pixels."""
    N, H, W, C = shape
    return sums_backward(sums_backward(d.reshape(4, 4, N, H // 2 - 1, W // 2 - 1, C)))


def outputs(products, OH, OW):
    """(16, N * T * U, CO) -> y (N, 2T, 2U, CO), of which OH x OW outputs are wanted: A' products A."""
    return pairs(pairs(products.reshape(4, 4, -1, (OH + 1) // 2, (OW + 1) // 2, products.shape[2])))


def outputs_backward(dy):
    """dy (N, 2T, 2U, CO) -> (16, N * T * U, CO)."""
    return pairs_backward(pairs_backward(dy)).reshape(16, -1, dy.shape[3])


# The same along a single axis, which is always the third: columns while an array has four axes, then rows, or the other way round. The four
# numbers of a tile are a new first axis.


def sums(x):
    """B' x: 2T + 2 pixels -> (4, ..., T)."""
    T = x.shape[2] // 2 - 1
    x0, x1, x2, x3 = (x[:, :, i : i + 2 * T : 2] for i in range(4))
    s = memory.empty((4, *x0.shape), x.dtype)
    np.subtract(x0, x2, out=s[0])
    np.add(x1, x2, out=s[1])
    np.subtract(x2, x1, out=s[2])
    np.subtract(x1, x3, out=s[3])
    return s


def sums_backward(ds):
    """B ds: (4, ..., T) -> 2T + 2 pixels."""
    _, a, b, T, *rest = ds.shape
    dx = memory.empty((a, b, 2 * T + 2, *rest), ds.dtype)
    x0, x1, x2, x3 = (dx[:, :, i : i + 2 * T : 2] for i in range(4))
    dx[:, :, 2 * T :] = 0
    x0[...] = ds[0]
    np.subtract(ds[1], ds[2], out=x1)
    x1 += ds[3]
    x2 += ds[1]
    x2 += ds[2]
    x2 -= ds[0]
    x3 -= ds[3]
    return dx


def pairs(m):
    """A' m: (4, ..., T) -> 2T outputs."""
    _, a, b, T, *rest = m.shape
    y = memory.empty((a, b, 2 * T, *rest), m.dtype)
    y0, y1 = y[:, :, ::2], y[:, :, 1::2]
    np.add(m[0], m[1], out=y0)
    y0 += m[2]
    np.subtract(m[1], m[2], out=y1)
    y1 -= m[3]
    return y


def pairs_backward(dy):
    """A dy: 2T outputs -> (4, ..., T)."""
    y0, y1 = dy[:, :, ::2], dy[:, :, 1::2]
    dm = memory.empty((4, *y0.shape), dy.dtype)
    dm[0] = y0
    np.add(y0, y1, out=dm[1])
    np.subtract(y0, y1, out=dm[2])
    np.negative(y1, out=dm[3])
    return dm
