"""Activations: the same curve applied to every number. And Flatten, which changes only the shape."""

import numpy as np

from minigrad.engine import memory
from minigrad.engine.masks import masked, zeros
from minigrad.layers.base import ImageLayer, Layer


class ReLU(ImageLayer):
    """y = max(x, 0).    dx = dy where x > 0, else 0. The slope at 0 is taken as 0, as in all frameworks. x (N, ...) (paper section 3.1)."""

    is_relu = True

    def forward_slab(self, x, first):
        y = np.maximum(x, zeros(x.shape[1:], x.dtype), out=memory.empty(x.shape, x.dtype))
        return y, y

    def backward_slab(self, dy, y):
        return masked(dy, y > 0), ()

    def forward_cuda(self, x):
        return elementwise(self.device, "relu_forward", x)

    def backward_cuda(self, dy, y):
        return elementwise(self.device, "relu_backward", y, dy)[0], ()

    def keeps(self):
        return "y"


class Tanh(ImageLayer):
    """y = tanh(x).   dx = dy * (1 - y^2). x of any shape: what networks used before ReLU (paper §3.1, Figure 1)."""

    def forward_slab(self, x, first):
        y = memory.empty(x.shape, x.dtype)
        np.tanh(x, out=y)
        return y, y

    def backward_slab(self, dy, y):
        dx = memory.empty(dy.shape, dy.dtype)
        np.multiply(y, y, out=dx)
        np.subtract(1, dx, out=dx)
        dx *= dy
        return dx, ()

    def forward_cuda(self, x):
        return elementwise(self.device, "tanh_forward", x)

    def backward_cuda(self, dy, y):
        return elementwise(self.device, "tanh_backward", y, dy)[0], ()

    def keeps(self):
        return "y"


def elementwise(device, kernel, *arrays):
    """The result of a kernel of activation.cu, twice: for the next layer, and for backward."""
    result = device.empty(arrays[0].shape, arrays[0].dtype)
    device.launch("activation", kernel, result.size, *arrays, result, result.size, channels=result.size)
    return result, result


class Flatten(Layer):
    """y = x as one row an image: (N, ...) -> (N, product of the rest), in C order: row (h * W + w) * C + c. y may be a view of x."""

    shape = None

    def output_shape(self, shape):
        """(N, ...) -> (N, product of the rest). Raises ValueError for fewer than two axes."""
        if len(shape) < 2:
            raise ValueError(f"Flatten: expects (N, ...), but x has shape {tuple(shape)}")
        return shape[0], int(np.prod(shape[1:]))

    def forward(self, x):
        x = self.check(x)
        with self.device:
            y = x.reshape(self.output_shape(x.shape))
        self.shape, self.dtype = x.shape, x.dtype
        return y

    def backward(self, dy):
        self.check_forward(self.shape is not None)
        with self.device:
            return self.check_dy(dy, self.output_shape(self.shape), self.dtype).reshape(self.shape)
