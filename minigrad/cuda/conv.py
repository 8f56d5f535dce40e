"""Convolution on a GPU: patches laid out by a kernel of layers/conv.cu, and products by cuBLAS.

The patch matrix has a column more that holds 1, and zeros up to a multiple of 4; the bias lies as one more row below W. So the product adds
it, and the one that gives dW gives db: a sum over the rows of so tall a matrix would cost more than either."""


class Im2colOnGpu:
    """One forward and its backward of a `Conv2d` (`layer`), a part of the batch at a time: as many images as have patches that fit into the
    device's workspace.

    forward(x) -> y, bias included; backward(dy, x) -> dx (None unless the layer needs it), dW, db."""

    def __init__(self, layer):
        self.layer, self.device, self.relu = layer, layer.device, False  # relu: whether it is max(x, 0) that is convolved
        self.columns, self.kept = patch_columns(layer), None  # kept: forward's patches, where they stay for backward

    def parts(self, x, *arrays):
        """The batch in parts: the struct `Conv` of conv.cu for each, and what it has of each array."""
        layer = self.layer
        (N, H, W, C), (_, OH, OW, _), (top, _, left, _) = x.shape, layer.output_shape(x.shape), layer.padding
        d = {"H": H, "W": W, "C": C, "K": layer.kernel_size, "S": layer.stride, "top": top, "left": left, "OH": OH, "OW": OW}
        d |= {"columns": self.columns, "relu": self.relu}
        step = max(1, self.device.workspace // (OH * OW * self.columns * x.itemsize))
        if step >= N:
            yield {"N": N, **d}, x, *arrays
        else:
            for n in range(0, N, step):
                images = slice(n, min(n + step, N))
                yield {"N": images.stop - n, **d}, *(array[images] for array in (x, *arrays))

    def patches(self, x, d, empty):
        """x (N, H, W, C) -> patches (N * OH * OW, columns), in memory that empty(shape, dtype) gives."""
        patches = empty((d["N"] * d["OH"] * d["OW"], self.columns), x.dtype)
        kernel, channels = ("im2col_of_few_channels", self.columns) if d["C"] % self.device.lanes else ("im2col", d["C"])
        self.device.launch("conv", kernel, d["N"] * d["OH"] * self.columns, x, patches, d, channels=channels)
        return patches

    def patches_to_stay(self, x, d):
        """The same for backward as well: nothing overwrites the patches of images whose gradient nobody wants. Another tower on this device
        that looks at the same images shares them."""
        shared = {} if self.device.shared is None else self.device.shared
        key = id(x), *d.items()
        if key not in shared:
            shared[key] = x, self.patches(x, d, self.device.empty)
        return shared[key][1]

    def matrix(self, dtype):
        """W, b and zeros below one another: (columns, C_out)."""
        layer = self.layer
        return layer.W.base if dtype == layer.W.dtype and are_joined(layer) else weights_and_bias(layer, dtype)

    def forward(self, x):
        if self.layer.remembers and not self.layer.input_gradient:
            d, images = next(self.parts(x))
            if images is x:  # before y, which else could be given a piece of the memory that the last pass's patches had
                self.kept = self.patches_to_stay(x, d)
        y, Wb = self.device.empty(self.layer.output_shape(x.shape), x.dtype), self.matrix(x.dtype)
        for d, images, results in self.parts(x, y):
            patches = self.patches(images, d, self.device.scratch) if self.kept is None else self.kept
            self.device.xp.matmul(patches, Wb, out=results.reshape(-1, self.layer.out_channels))
        return y

    def backward(self, dy, x):
        xp, layer, wanted, dWb = self.device.xp, self.layer, self.layer.input_gradient, None
        dx, Wb = (self.device.empty(x.shape, x.dtype), self.matrix(x.dtype)) if wanted else (None, None)
        for d, images, dresults, *dimages in self.parts(x, dy, dx) if wanted else self.parts(x, dy):
            patches = self.patches(images, d, self.device.scratch) if self.kept is None or wanted else self.kept
            rows = dresults.reshape(-1, layer.out_channels)
            part = xp.matmul(patches.T, rows)
            dWb = part if dWb is None else xp.add(dWb, part, out=dWb)
            if wanted:
                xp.matmul(rows, Wb.T, out=patches)  # the patches are no longer needed; their memory takes their gradient
                self.device.launch("conv", "col2im", images.size, patches, images, *dimages, d, channels=d["C"])
        filled = layer.W.size // layer.out_channels
        return dx, dWb[:filled].reshape(layer.W.shape), dWb[filled]


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


def patch_columns(layer):
    """Columns of the patch matrix of a `Conv2d` on a GPU: its inputs, 1 for the bias, and zeros up to a multiple of 4."""
    return (layer.kernel_size**2 * layer.in_channels // 4 + 1) * 4
