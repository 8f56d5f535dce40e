"""Convolution in fewer multiplications: Winograd's way, after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015
(arXiv:1509.09308), section 4.1.

Three neighbouring outputs of a kernel of three weights take nine multiplications, or five (engine/toom_cook.py). Along rows and columns at
once, a tile of 5 x 5 pixels gives 3 x 3 outputs with 25 multiplications instead of 81:

    y = A' ((G W G') * (B' x B)) A     x: a tile, W: the kernel, *: number by number, ': the transpose

Over all tiles and channels each of the 25 is a matrix product. A kernel of five weights is taken as one of three beside one of two: 5 + 4
multiplications for three outputs, so 81 a tile instead of 225. A kernel with a stride is one without on fewer pixels with more
channels: cut into squares of S x S, an image of C channels is one of S S C, and the 11 x 11 kernel of conv1, whose stride is 4, is a 3 x 3
kernel on 48 channels (with a row and a column of zeros).

Every step is linear in x and in W, so backward goes through the transposed steps in reverse: B where there was B', and so on. The steps
along rows and columns are small matrix products too. Rows, columns, images, channels is the order of the pixels here, so that these
products have rows of N C numbers.

Larger tiles save more, but their matrices have larger numbers, and rounding errors grow. These stay below three times those of im2col.

N images, or frames of several of them (`Mosaic`); T x V tiles in each; OH x OW outputs; C input and CO output channels; S stride; m, r, n,
p outputs, weights, pixels and products of the short convolution."""

import math
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigrad.engine import memory, slabs
from minigrad.engine.patches import add_product, batches, output_size, pad
from minigrad.engine.toom_cook import in_parts, toom_cook

THREE = toom_cook(3, 3, ["2/5", "-2/5", "5/4", "-5/4"])
TWO = toom_cook(3, 2, [0, 1, -1])
ALGORITHMS = {3: THREE, 5: in_parts(THREE, TWO)}  # by the number of weights

TRANSFORMED = 11 << 20  # bytes of tiles and products at a time, at most: all weights are read for them, so they should be many
CACHED = 3 << 20  # so many are enough where the weights are few, and are less in each other's way in the processor's cache
TIMES = 8  # as many bytes of tiles and products as weights have
PARTS = 8  # in which the threads transform a layer's weights
WORTH_PARTS = 1 << 20  # bytes of transformed weights, below which that is one thread's work
SUMMED = 256  # numbers in one sum; longer ones are added up in parts, which keeps rounding errors small
FEW = range(16, 49)  # numbers in a sum that makes im2col's errors small, too: here they are added up in two halves


def algorithm(K, S):
    """The short convolution for a K x K kernel with stride S, or None."""
    return ALGORITHMS.get(-(-K // S))


def pays(K, S, OH, OW):
    """Whether enough multiplications are saved for OH x OW outputs: else the tiles stand too far over the edge."""
    short = algorithm(K, S)
    return short is not None and tiles_along(short, OH) * tiles_along(short, OW) * (short.products * S) ** 2 < 0.75 * K * K * OH * OW


def tiles_along(short, outputs):
    return -(-outputs // short.outputs)


class Mosaic:
    """N images of H x W pixels, four or two of them or one in each *frame*, whose OH x OW outputs are computed together.

    Where tiles stand over the edge of an image, its neighbour makes use of them: 13 outputs take five tiles, but 13 + 1 + 13 only nine. The
    one between belongs to nobody; there the zeros lie that both images are padded with. gaps: how many outputs must be between neighbours
    along rows and columns, None for a frame for each image."""

    def __init__(self, short, N, OH, OW, gaps):
        ways = [way for way in ((1, 1), (1, 2), (2, 1), (2, 2)) if N % math.prod(way) == 0] if gaps else [(1, 1)]
        self.steps = [size + gap for size, gap in zip((OH, OW), gaps or (0, 0), strict=True)]

        def along(way):
            return [tiles_along(short, step * (many - 1) + size) for step, many, size in zip(self.steps, way, (OH, OW), strict=True)]

        self.rows, self.columns = min(ways, key=lambda way: math.prod(along(way)) / math.prod(way))
        self.frames, (self.T, self.V) = N // (self.rows * self.columns), along((self.rows, self.columns))

    def places(self, whole, images, start=(0, 0)):
        """Yields a place in whole (rows, columns, frames, C) and those of the images (N, H, W, C) that lie there, both (frames, H, W, C).
        start: where in a frame the first image begins."""
        H, W = images.shape[1:3]
        for i in range(self.rows * self.columns):
            h, w = (first + step * number for first, step, number in zip(start, self.steps, divmod(i, self.columns), strict=True))
            yield whole[h : h + H, w : w + W].transpose(2, 0, 1, 3), images[i * self.frames : (i + 1) * self.frames]

    def laid_out(self, size, images, start=(0, 0)):
        """The frames, (*size, frames, C), with the images (N, H, W, C) in their places and zeros around them."""
        whole = memory.empty((*size, self.frames, images.shape[3]), images.dtype)
        for axis, many in enumerate((self.rows, self.columns)):
            view, edge = whole.swapaxes(0, axis), 0
            for i in range(many):
                first = start[axis] + i * self.steps[axis]
                view[edge:first] = 0
                edge = first + images.shape[1 + axis]
            view[edge:] = 0
        for place, some in self.places(whole, images, start):
            place[...] = some
        return whole


mosaic_of = lru_cache(maxsize=64)(Mosaic)  # every step asks for the same ones


@lru_cache(maxsize=64)
def along_both(short, dtype):
    """G along rows and columns at once: (p p, r r)."""
    return np.kron(short.G, short.G).astype(dtype)


class Winograd:
    """A convolution by W (K, K, C, CO), float32 or float64, with that stride and padding, on slabs of images.

    forward(x, b) -> y; after `begin_backward`, backward(dy, x) -> dx (None unless `input_gradient`) and dU, and gradient(dU) -> dW, from
    the sum of all slabs' dU. W must not change between them. device: its threads transform the weights. Raises KeyError for a kernel
    without an `algorithm`."""

    def __init__(self, W, stride, padding, input_gradient, device):
        self.W, self.stride, self.padding, self.input_gradient = W, stride, padding, input_gradient
        self.short, self.device = ALGORITHMS[-(-len(W) // stride)], device
        self.G = along_both(self.short, W.dtype)  # (p p, r r)
        self.U, self.U_transposed = self.transformed(self.kernel()), None  # (p p, S S C, CO)

    def begin_backward(self):
        """Put U with its last axes exchanged, which backward wants, in the place of U, for which it has no use. (BLAS could read U
        transposed, but takes up to twice as long.)"""
        if self.input_gradient and self.U_transposed is None:
            self.U = None
            self.U_transposed = self.transformed(self.kernel().swapaxes(2, 3))

    def kernel(self):
        """W (K, K, C, CO) -> (r, r, S S C, CO): squares of S x S weights as channels, the columns first as in `tiles`."""
        (K, _, C, CO), S, r = self.W.shape, self.stride, self.short.weights
        whole = self.W
        if r * S > K:
            whole = np.zeros((r * S, r * S, C, CO), self.W.dtype)
            whole[:K, :K] = self.W
        return whole.reshape(r, S, r, S, C, CO).transpose(2, 0, 1, 3, 4, 5).reshape(r, r, S * S * C, CO)

    def transformed(self, kernel):
        """kernel (r, r, A, B) -> (p p, A, B): G kernel G', the threads some of A at a time."""
        _, _, A, B = kernel.shape
        U = memory.empty((len(self.G), A, B), kernel.dtype)

        def work(a):
            np.matmul(self.G, kernel[:, :, a].reshape(len(self.G.T), -1), out=U[:, a].reshape(len(U), -1))

        self.device.run(work, slabs.split(0, A, min(A, PARTS) if U.nbytes >= WORTH_PARTS else 1))
        return U

    def gradient(self, dU):
        """dU (p p, S S C, CO) -> dW (K, K, C, CO): `transformed` and `kernel` transposed."""
        (K, _, C, CO), S, r = self.W.shape, self.stride, self.short.weights
        whole = product(self.G.T, dU).reshape(r, r, S, S, C, CO).transpose(1, 2, 0, 3, 4, 5).reshape(r * S, r * S, C, CO)
        return np.ascontiguousarray(whole[:K, :K])

    def forward(self, x, b):
        y = memory.empty((len(x), *self.output_size(x), self.W.shape[3]), x.dtype)
        for images in self.batches(x):
            mosaic = self.mosaic(x, images.stop - images.start)
            products = sums(tiles(self.short, self.frame(x[images], mosaic)), self.U)
            for place, some in mosaic.places(outputs(self.short, products, mosaic), y[images]):
                np.add(place, b, out=some)
        return y

    def backward(self, dy, x):
        """Each step of forward transposed, the last first."""
        dx, dU, m = memory.empty(x.shape, x.dtype) if self.input_gradient else None, None, self.short.outputs
        for images in self.batches(x):
            mosaic = self.mosaic(x, images.stop - images.start)
            frame = self.frame(x[images], mosaic)
            shape, pixels = frame.shape, tiles(self.short, frame)
            dproducts = outputs_backward(self.short, mosaic.laid_out((m * mosaic.T, m * mosaic.V), dy[images]))
            dU = add_product(dU, pixels.transpose(0, 2, 1), dproducts)
            del frame, pixels  # their memory serves their gradients
            if self.input_gradient:
                dpixels = sums(dproducts, self.U_transposed)
                self.frame_backward(tiles_backward(self.short, dpixels, shape), dx[images], mosaic)
        return dx, dU

    def output_size(self, x):
        (K, *_), (_, H, W, _), (top, bottom, left, right) = self.W.shape, x.shape, self.padding
        return output_size(H, K, self.stride, top, bottom), output_size(W, K, self.stride, left, right)

    def mosaic(self, x, N):
        """How N images like these are laid out. A stride cuts them into squares from the upper left corner on, so each lies alone."""
        (OH, OW), (top, bottom, left, right), gaps = self.output_size(x), self.padding, None
        if self.stride == 1:  # so far apart that the zeros between suffice for either
            gaps = max(0, x.shape[1] + max(top, bottom) - OH), max(0, x.shape[2] + max(left, right) - OW)
        return mosaic_of(self.short, N, OH, OW, gaps)

    def batches(self, x):
        """The images as slices whose tiles and products take `TIMES` the weights' bytes, from `CACHED` to `TRANSFORMED`; mosaics stay
        whole."""
        mosaic, C, CO, bytes_of_one = self.mosaic(x, 4), self.stride**2 * x.shape[3], self.W.shape[3], self.short.products**2 * x.itemsize
        together, limit = mosaic.rows * mosaic.columns, min(TRANSFORMED, max(CACHED, TIMES * bytes_of_one * C * CO))
        parts = batches(-(-len(x) // together), bytes_of_one * mosaic.T * mosaic.V * (C + CO), limit)
        return [slice(together * part.start, min(together * part.stop, len(x))) for part in parts]

    def frame(self, x, mosaic):
        """x (N, H, W, C) -> (m T + n - m, m V + n - m, frames, S S C): the pixels of all tiles, zeros where they stand over the edge."""
        S, m, n, (N, H, W, C), (top, _, left, _) = self.stride, self.short.outputs, self.short.pixels, x.shape, self.padding
        FH, FW = (m * tiles + n - m for tiles in (mosaic.T, mosaic.V))
        if S == 1:
            return mosaic.laid_out((FH, FW), x, (top, left))
        x = pad(x, (top, max(0, S * FH - H - top), left, max(0, S * FW - W - left)))[:, : S * FH, : S * FW]
        frame = memory.empty((FH, FW, N, S * S * C), x.dtype)
        np.copyto(frame.reshape(FH, FW, N, S, S, C), x.reshape(N, FH, S, FW, S, C).transpose(1, 3, 0, 2, 4, 5))
        return frame

    def frame_backward(self, d, dx, mosaic):
        """Writes dx (N, H, W, C) from d, shaped as the frame; zeros for pixels beyond the frame, which no window reads."""
        S, (FH, FW, N, _), (_, H, W, C), (top, _, left, _) = self.stride, d.shape, dx.shape, self.padding
        if S == 1:
            for place, some in mosaic.places(d, dx, (top, left)):
                some[...] = place
            return
        d = d.reshape(FH, FW, N, S, S, C).transpose(2, 0, 3, 1, 4, 5).reshape(N, S * FH, S * FW, C)[:, top : top + H, left : left + W]
        dx[:, d.shape[1] :] = 0
        dx[:, :, d.shape[2] :] = 0
        dx[:, : d.shape[1], : d.shape[2]] = d


def product(a, b):
    """a @ b over the first of the three axes of b."""
    out = memory.empty((len(a), *b.shape[1:]), b.dtype)
    np.matmul(a, b.reshape(len(b), -1), out=out.reshape(len(a), -1))
    return out


def sums(a, b):
    """a @ b, each number a sum of sums of at most `SUMMED` products, or of two halves where there are `FEW`."""
    total, many = None, a.shape[2]
    step = -(-many // 2) if many in FEW else SUMMED
    for k in range(0, many, step):
        total = add_product(total, a[:, :, k : k + step], b[:, k : k + step])
    return total


# The steps of the short convolution along rows and then columns, or the other way round. In front of two products come two axes for the
# columns' and rows' p, which the matrix products over 25 or 81 pairs want there.


def tiles(short, frame):
    """frame (m T + n - m, m V + n - m, N, C) -> (p p, T V N, C): B' x B of each tile x."""
    m, n, p, B, (FH, FW, N, C) = short.outputs, short.pixels, short.products, short.B.astype(frame.dtype), frame.shape
    T, V = (FH - n) // m + 1, (FW - n) // m + 1
    rows = memory.empty((p, T, FW, N * C), frame.dtype)
    np.matmul(B.T, windows(frame.reshape(FH, -1), n, m), out=rows.reshape(p, T, -1).transpose(1, 0, 2))
    both = memory.empty((p, p, T, V, N * C), frame.dtype)
    np.matmul(B.T, windows(rows, n, m), out=both.transpose(1, 2, 3, 0, 4))
    return both.reshape(p * p, T * V * N, C)


def tiles_backward(short, d, shape):
    """(p p, T V N, C) -> (m T + n - m, m V + n - m, N, C), which is `shape`: neighbouring tiles share pixels."""
    m, n, p, B, (FH, FW, N, C) = short.outputs, short.pixels, short.products, short.B.astype(d.dtype), shape
    T, V = (FH - n) // m + 1, (FW - n) // m + 1
    rows = add_windows(B, d.reshape(p, p, T, V, N * C).transpose(1, 2, 3, 0, 4), m)
    return add_windows(B, rows.reshape(p, T, -1).transpose(1, 0, 2), m).reshape(shape)


def outputs(short, products, mosaic):
    """(p p, T V N, CO) -> y (m T, m V, N, CO): A' products A."""
    m, p, A, CO, T, V = short.outputs, short.products, short.A.astype(products.dtype), products.shape[2], mosaic.T, mosaic.V
    products = products.reshape(p, p, T, V, -1)
    columns = memory.empty((p, T, V, m, products.shape[4]), products.dtype)
    np.matmul(A.T, products.transpose(1, 2, 3, 0, 4), out=columns)
    y = memory.empty((m * T, m * V, products.shape[4] // CO, CO), products.dtype)
    np.matmul(A.T, columns.reshape(p, T, -1).transpose(1, 0, 2), out=y.reshape(T, m, -1))
    return y


def outputs_backward(short, dy):
    """dy (m T, m V, N, CO) -> (p p, T V N, CO)."""
    m, p, A, (MT, MV, N, CO) = short.outputs, short.products, short.A.astype(dy.dtype), dy.shape
    T, V = MT // m, MV // m
    rows = memory.empty((p, T, V, m, N * CO), dy.dtype)
    np.matmul(A, dy.reshape(T, m, -1), out=rows.reshape(p, T, -1).transpose(1, 0, 2))
    both = memory.empty((p, p, T, V, N * CO), dy.dtype)
    np.matmul(A, rows, out=both.transpose(1, 2, 3, 0, 4))
    return both.reshape(p * p, T * V * N, CO)


def windows(x, n, step):
    """x (..., step * (count - 1) + n, L) -> (..., count, n, L), a view: count windows of n, which may overlap."""
    *outer, stride, inner = x.strides
    return as_strided(x, (*x.shape[:-2], (x.shape[-2] - n) // step + 1, n, x.shape[-1]), (*outer, step * stride, stride, inner))


def add_windows(B, d, step):
    """d (..., count, p, L) -> (..., step * (count - 1) + n, L): B d of each window; where windows overlap, they add up."""
    *outer, count, _, L = d.shape
    parts = memory.empty((len(B), *outer, count, L), d.dtype)
    np.matmul(B, d, out=parts.transpose(*range(1, parts.ndim - 1), 0, -1))
    x = memory.empty((*outer, step * (count - 1) + len(B), L), d.dtype)
    x[..., step * count :, :] = 0
    for i, part in enumerate(parts):
        place = x[..., i : i + step * count : step, :]
        if i < step:
            place[...] = part
        else:
            place += part
    return x
