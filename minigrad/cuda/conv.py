"""Convolution on a GPU: patches laid out by a kernel of layers/conv.cu, and products by cuBLAS.

The patch matrix has a column more that holds 1, and zeros up to a multiple of 4; the bias lies as one more row below W. So the product adds
it, and the one that gives dW gives db: a sum over the rows of so tall a matrix would cost more than either."""


class Im2colOnGpu:
    """One forward and its backward of a `Conv2d` (`layer`), a part of the batch at a time: as many images as have patches that fit into the
    device's workspace.

    forward(x) -> y, bias included; backward(dy, x) -> dx (None unless the layer needs it), dW, db."""

    def __init__(self, layer):
        self.layer, self.device = layer, layer.device

    @property
    def columns(self):
        """Columns of the patch matrix: rows of 16 bytes are what a GPU's tensor cores ask for."""
        return patch_columns(self.layer)

    def parts(self, x):
        """The batch in slices of images, and for each the struct `Conv` of conv.cu."""
        layer = self.layer
        (N, H, W, C), (_, OH, OW, _), (top, _, left, _) = x.shape, layer.output_shape(x.shape), layer.padding
        d = {"H": H, "W": W, "C": C, "K": layer.kernel_size, "S": layer.stride, "top": top, "left": left, "OH": OH, "OW": OW}
        step = max(1, self.device.workspace // (OH * OW * self.columns * x.itemsize))
        for n in range(0, N, step):
            images = slice(n, min(n + step, N))
            yield images, {"N": images.stop - n, **d, "columns": self.columns}

    def patches(self, x, d):
        """x (N, H, W, C) -> patches (N * OH * OW, columns)."""
        patches = self.device.empty((d["N"] * d["OH"] * d["OW"], self.columns), x.dtype)
        self.device.launch("conv", "im2col", d["N"] * d["OH"] * self.columns, x, patches, d, channels=d["C"])
        return patches

    def matrix(self, dtype):
        """W, b and zeros below one another: (columns, C_out)."""
        W, b, CO = self.layer.matrix(dtype), self.layer.b.astype(dtype, copy=False), self.layer.out_channels
        Wb = self.device.empty((self.columns, CO), dtype)
        self.device.launch("conv", "weights_and_bias", Wb.size, W, b, Wb, len(W), self.columns, CO, channels=CO)
        return Wb

    def forward(self, x):
        y, Wb = self.device.empty(self.layer.output_shape(x.shape), x.dtype), self.matrix(x.dtype)
        for images, d in self.parts(x):
            self.device.xp.matmul(self.patches(x[images], d), Wb, out=y[images].reshape(-1, self.layer.out_channels))
        return y

    def backward(self, dy, x):
        xp, dx, dWb, layer = self.device.xp, None, None, self.layer
        if layer.input_gradient:
            dx, Wb = self.device.empty(x.shape, x.dtype), self.matrix(x.dtype)
        for images, d in self.parts(x):
            patches, rows = self.patches(x[images], d), dy[images].reshape(-1, layer.out_channels)
            part = xp.matmul(patches.T, rows)
            dWb = part if dWb is None else xp.add(dWb, part, out=dWb)
            if layer.input_gradient:
                xp.matmul(rows, Wb.T, out=patches)  # the patches are no longer needed; their memory takes their gradient
                self.device.launch("conv", "col2im", dx[images].size, patches, dx[images], d, channels=d["C"])
        filled = layer.W.size // layer.out_channels
        return dx, dWb[:filled].reshape(layer.W.shape), dWb[filled]


def patch_columns(layer):
    """Columns of the patch matrix of a `Conv2d` on a GPU: its inputs, 1 for the bias, and zeros up to a multiple of 4."""
    return (layer.kernel_size**2 * layer.in_channels // 4 + 1) * 4
