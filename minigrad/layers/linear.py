"""Fully connected: every output looks at every input."""

import numpy as np

from minigrad.engine import slabs
from minigrad.layers.base import Layer
from minigrad.layers.parameter import starting_weights

PARTS = 8  # tasks of a single image, each with some of the inputs


class Linear(Layer):
    """y = x @ W + b.    dW = x' @ dy,   db = the sum of dy over the images,   dx = dy @ W'.

    x (N, in_features) -> y (N, out_features). W (in_features, out_features), b (out_features,), float32. std: W is drawn from N(0, std^2).
    bias: the number that b starts with (torch's bias=False has no counterpart: b is always there). rng: a `numpy.random.Generator`, a new
    one if None (paper section 5). Raises ValueError for sizes below 1 and for an x of another shape, TypeError for a bias that is no
    number.

    The work is split over neurons, not images: the weights are far larger than the batch, and so each is read once in all instead of once
    for each thread."""

    names = ("W", "b")
    x = None

    def __init__(self, in_features, out_features, *, std=0.01, bias=0.0, rng=None):
        if min(in_features, out_features) < 1:
            raise ValueError(f"Linear: in_features and out_features must be at least 1, not {in_features}, {out_features}")
        self.in_features, self.out_features = in_features, out_features
        self.W, self.b = starting_weights("Linear", (in_features, out_features), std, bias, rng)
        self.dW = self.db = None

    def arguments(self):
        return f"{self.in_features}, {self.out_features}"

    def output_shape(self, shape):
        """(N, in_features) -> (N, out_features). Raises ValueError for another shape."""
        if len(shape) != 2 or shape[1] != self.in_features:
            raise ValueError(f"Linear: expects (N, {self.in_features}), but x has shape {tuple(shape)}")
        return shape[0], self.out_features

    def forward(self, x):
        x, device = self.check(x), self.device
        shape = self.output_shape(x.shape)
        with device:
            W, y = self.W.astype(x.dtype, copy=False), device.empty(shape, x.dtype)
            if device.is_gpu:
                device.matmul(x, W, y)
            elif len(x) == 1:
                self.forward_vector(x, W, y)
            else:
                device.run(lambda o: np.matmul(x, W[:, o], out=y[:, o]), device.blocks(self.out_features))
            y += self.b.astype(x.dtype, copy=False)
        if self.remembers:
            self.x = x
        return y

    def forward_vector(self, x, W, y):
        """y = x @ W of a single image, which takes as long as it takes to read W. In whole rows, as it lies in memory, that is twice as
        fast as in columns; so tasks are sums over some of the inputs, which are added up in their order."""
        inputs = slabs.split(0, self.in_features, min(PARTS, self.in_features))
        sums = np.empty((len(inputs), *y.shape), y.dtype)
        self.device.run(lambda t: np.matmul(x[:, inputs[t]], W[inputs[t]], out=sums[t]), range(len(inputs)))
        np.sum(sums, axis=0, out=y)

    def backward(self, dy):
        self.check_forward(self.x is not None)
        x, device = self.x, self.device
        with device:
            dy = self.check_dy(dy, (len(x), self.out_features), x.dtype)
            self.dW = None  # free the last gradient's memory before this one asks for some
            W, dW = self.W.astype(x.dtype, copy=False), device.empty(self.W.shape, x.dtype)
            dx = device.empty(x.shape, x.dtype)

            def work(i):
                np.matmul(x[:, i].T, dy, out=dW[i])
                np.matmul(dy, W[i].T, out=dx[:, i])

            if device.is_gpu:
                device.matmul(x.T, dy, dW)
                device.matmul(dy, W.T, dx)
            else:
                device.run(work, device.blocks(self.in_features))
            self.dW = dW.astype(self.W.dtype, copy=False)
            db = device.sum_of_rows(dy) if device.is_gpu else dy.sum(axis=0)
            self.db = db.astype(self.b.dtype, copy=False)
        return dx

    def release(self):
        self.x = None

    def multiply_adds(self, x_shape):
        return x_shape[0] * self.W.size

    def keeps(self):
        return "x"
