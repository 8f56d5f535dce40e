"""Convolution on a GPU: patches laid out by a kernel of layers/conv.cu, and products by cuBLAS.

The patch matrix has a column more that holds 1, and zeros up to a multiple of 4; the bias lies as one more row below W. So the product adds
it, and the one that gives dW gives db: a sum over the rows of so tall a matrix would cost more than either."""

from functools import lru_cache

from minigrad.cuda.blas import BFLOAT16, FLOAT32
from minigrad.cuda.kernels import LANES, Fields


def way(layer, dtype):
    """How a `Conv2d` on a GPU goes through its next forward, for an x of that dtype, and the backward that belongs to it."""
    return (InBfloat16 if layer.device.bf16 and dtype == FLOAT32 else Im2colOnGpu)(layer, dtype)


class Im2colOnGpu:
    """One forward and its backward of a `Conv2d` (`layer`), a part of the batch at a time: as many images as have patches that fit into the
    device's workspace.

    forward(x) -> y, bias included; backward(dy, x) -> dx (None unless the layer needs it), dW, db."""

    im2col, im2col_of_few_channels, col2im, ones = "im2col", "im2col_of_few_channels", "col2im", 1

    def __init__(self, layer, dtype):
        self.layer, self.device, self.relu = layer, layer.device, False  # relu: whether it is max(x, 0) that is convolved
        self.columns, self.dtype = patch_columns(layer, self.ones), dtype  # of the patches
        self.kept = None  # forward's patches, where there is room for them until backward

    def parts(self, x, *arrays):
        """The batch in parts: the struct `Conv` of conv.cu for each, and what it has of each array."""
        (N, *size), layer = x.shape, self.layer
        geometry = *size, layer.kernel_size, layer.stride, layer.padding, self.columns, self.ones, self.relu
        d = fields(N, *geometry)
        step = max(1, self.device.workspace // (d["OH"] * d["OW"] * self.columns * self.dtype.itemsize))
        if step >= N:
            return [(d, x, *arrays)]
        parts = [slice(n, min(n + step, N)) for n in range(0, N, step)]
        return [(fields(n.stop - n.start, *geometry), *(array[n] for array in (x, *arrays))) for n in parts]

    def patches(self, x, d, empty):
        """x (N, H, W, C) -> patches (N * OH * OW, columns), in memory that empty(shape, dtype) gives."""
        patches = empty((d["N"] * d["OH"] * d["OW"], self.columns), self.dtype)
        kernel, channels = (self.im2col_of_few_channels, self.columns) if d["C"] % LANES else (self.im2col, d["C"])
        self.device.launch("conv", kernel, d["N"] * d["OH"] * self.columns, x, patches, d, channels=channels)
        return patches

    def patches_to_stay(self, x, d):
        """The same for backward as well, None if they may not stay. Another tower on this device that looks at the same x shares them."""
        device = self.device
        shared, key = {} if device.shared is None else device.shared, (id(x), tuple(d.values()))
        if key not in shared:
            nbytes = d["N"] * d["OH"] * d["OW"] * self.columns * self.dtype.itemsize
            if self.layer.input_gradient and (device.shared is None or nbytes > device.room):
                return None
            device.room -= nbytes
            shared[key] = x, self.patches(x, d, device.empty)  # with x, so that no other array takes its id
        return shared[key][1]

    def matrix(self, dtype):
        """W, b and zeros below one another: (columns, C_out)."""
        layer = self.layer
        return layer.W.base if dtype == layer.W.dtype and are_joined(layer) else weights_and_bias(layer, dtype)

    def operand(self, rows):
        """A matrix as it goes into a product."""
        return rows

    def forward(self, x):
        device, CO, parts, self.Wb = self.device, self.layer.out_channels, self.parts(x), self.matrix(x.dtype)
        d, images = parts[0]
        if self.layer.remembers and len(parts) == 1:
            self.kept = self.patches_to_stay(images, d)  # before y, which else might be given the memory of the last pass's
        y = device.empty((len(x), d["OH"], d["OW"], CO), x.dtype)
        if self.kept is not None:
            device.matmul(self.kept, self.Wb, y.reshape(-1, CO))
        else:
            for d, images, results in self.parts(x, y):
                device.matmul(self.patches(images, d, device.scratch), self.Wb, results.reshape(-1, CO))
        return y

    def backward(self, dy, x):
        device, layer, wanted = self.device, self.layer, self.layer.input_gradient
        dx = device.empty(x.shape, x.dtype) if wanted else None
        dWb, first = device.empty((self.columns, layer.out_channels), x.dtype), True
        for d, images, dresults, *dimages in self.parts(x, dy, dx) if wanted else self.parts(x, dy):
            patches = self.patches(images, d, device.scratch) if self.kept is None else self.kept
            rows = self.operand(dresults.reshape(-1, layer.out_channels))
            device.matmul(patches.T, rows, dWb, add=not first)
            if wanted:
                dpatches = device.scratch(patches.shape, self.dtype)  # where the patches were, unless they stay: they are no longer needed
                device.matmul(rows, self.Wb.T, dpatches)
                device.launch("conv", self.col2im, images.size, dpatches, images, *dimages, d, channels=d["C"], dtype=x.dtype)
            first = False
        filled = layer.W.size // layer.out_channels
        return dx, dWb[:filled].reshape(layer.W.shape), dWb[filled]


class InBfloat16(Im2colOnGpu):
    """The same with patches, W, dy and dpatches in bfloat16: sign, exponent and 7 of the 23 bits of a float32, rounded to nearest. So half
    of the bytes come and go, and tensor cores multiply twice as fast. Sums, y, dx, dW and db are float32, and the bias is not rounded. W
    stays what it is, and is rounded anew in each forward."""

    im2col, im2col_of_few_channels, col2im = "im2col_bf16", "im2col_of_few_channels_bf16", "col2im_bf16"
    ones = 3  # the bias lies in three rows, each of which holds what is missing from those before it

    def __init__(self, layer, dtype):
        super().__init__(layer, BFLOAT16)

    def matrix(self, dtype):
        layer, CO = self.layer, self.layer.out_channels
        W, b = layer.matrix(dtype), layer.b.astype(dtype, copy=False)
        Wb = self.device.empty((self.columns, CO), BFLOAT16)
        self.device.launch("conv", "weights_and_bias_bf16", Wb.size, W, b, Wb, len(W), self.columns, CO, channels=CO)
        return Wb

    def operand(self, rows):
        stored = self.device.empty(rows.shape, BFLOAT16)
        self.device.launch("conv", "to_bfloat16", rows.size, rows, stored, rows.size, channels=rows.shape[1])
        return stored


@lru_cache(1024)
def fields(N, H, W, C, K, S, padding, columns, ones, relu):
    """The struct `Conv` of conv.cu."""
    top, bottom, left, right = padding
    OH, OW = (H + top + bottom - K) // S + 1, (W + left + right - K) // S + 1
    return Fields(N=N, H=H, W=W, C=C, K=K, S=S, top=top, left=left, OH=OH, OW=OW, columns=columns, ones=ones, relu=relu)


def weights_and_bias(layer, dtype):
    """W of a `Conv2d` on a GPU, b, and zeros below one another, as rows of a new array (columns, C_out)."""
    W, b, CO, columns = layer.matrix(dtype), layer.b.astype(dtype, copy=False), layer.out_channels, patch_columns(layer)
    Wb = layer.device.empty((columns, CO), dtype)
    layer.device.launch("conv", "weights_and_bias", Wb.size, W, b, Wb, len(W), columns, CO, channels=CO)
    return Wb


def joined(layer):
    """W and b of a `Conv2d` on a GPU as views of one such array: then nothing need be copied before a product."""
    if are_joined(layer):
        return layer.W, layer.b
    Wb = weights_and_bias(layer, layer.W.dtype)
    filled = layer.W.size // layer.out_channels
    return Wb[:filled].reshape(layer.W.shape), Wb[filled]


def are_joined(layer):
    """Not after an assignment to one of them, and not in a copy of the layer."""
    Wb, W, b = layer.W.base, layer.W, layer.b
    if Wb is None or Wb is not b.base or Wb.shape != (patch_columns(layer), layer.out_channels):
        return False
    return W.data.ptr == Wb.data.ptr and b.data.ptr == W.data.ptr + W.nbytes


def patch_columns(layer, ones=1):
    """Columns of the patch matrix of a `Conv2d` on a GPU: its inputs, 1 for each row of the bias, and zeros up to a multiple of 4; in
    bfloat16, where the bias has three, of 8. So each row begins at a multiple of 16 bytes."""
    inputs, step = layer.kernel_size**2 * layer.in_channels, 4 if ones == 1 else 8
    return -(-(inputs + ones) // step) * step


def bytes_of_a_patch(layer):
    """Of a float32 image, in the patch matrix."""
    return 2 * patch_columns(layer, InBfloat16.ones) if layer.device.bf16 else 4 * patch_columns(layer)
