"""The whole framework as plainly as it can be written: layers, loss, towers and the rule of learning, in NumPy, on whole batches. No slabs,
no threads, no checks of what comes in. Names, shapes and numbers are those of `minigrad`, whose fast layers are compared with these.

`AlexNet(..., layers=minigrad.plain)` is made of them, and `python alexnet.py --plain` trains it. The coursework cuts its exercises from
here.

N H W C images, rows, columns, channels; OH OW output rows and columns; K kernel size; S stride; CO output channels; T towers."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigrad.layers.base import Layer


def four_sides(padding):
    """padding, an int or (top, bottom, left, right), as the latter."""
    return (padding,) * 4 if isinstance(padding, int) else tuple(padding)


def output_size(size, K, S=1, before=0, after=0):
    """How many windows of K pixels, S apart, fit into `size` pixels with `before` and `after` pixels of padding."""
    return (size + before + after - K) // S + 1


# ---- convolution


def conv2d_naive(x, W, b, S=1, padding=0):
    """x (N, H, W, C), W (K, K, C, CO), b (CO,) -> y (N, OH, OW, CO), one output after the other:

    y[n, r, q, o] = b[o] + sum over i, j, c of x[n, r S + i, q S + j, c] W[i, j, c, o],
    where x has zeros around it: padding, an int or (top, bottom, left, right).
    OH = (H + top + bottom - K) // S + 1. Nothing that is handed in is written to."""
    top, bottom, left, right = four_sides(padding)
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    K, CO = len(W), W.shape[3]
    y = np.empty((len(x), output_size(x.shape[1], K, S), output_size(x.shape[2], K, S), CO), x.dtype)
    for n, r, q, o in np.ndindex(y.shape):
        window = x[n, r * S : r * S + K, q * S : q * S + K]
        y[n, r, q, o] = (window * W[:, :, :, o]).sum() + b[o]
    return y


def im2col(x, K, S=1, padding=0):
    """x (N, H, W, C) -> patches (N * OH * OW, K * K * C): a row for each place of the window, its
    numbers in the order (row, column, channel).

    padding: an int or (top, bottom, left, right), zeros outside the image."""
    top, bottom, left, right = four_sides(padding)
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    windows = sliding_window_view(padded, (K, K), axis=(1, 2))[:, ::S, ::S]  # N OH OW C K K
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, K * K * x.shape[3])


def col2im(patches, shape, K, S=1, padding=0):
    """patches (N * OH * OW, K * K * C) -> dx of that shape (N, H, W, C): every number goes back to
    the pixel that im2col read it from. Windows overlap, so a pixel adds up what it gets from all
    of them. dx has the dtype of the patches."""
    N, H, W, C = shape
    top, bottom, left, right = four_sides(padding)
    OH, OW = output_size(H, K, S, top, bottom), output_size(W, K, S, left, right)
    patches = patches.reshape(N, OH, OW, K, K, C)
    padded = np.zeros((N, H + top + bottom, W + left + right, C), patches.dtype)
    for i in range(K):
        for j in range(K):
            padded[:, i : i + S * OH : S, j : j + S * OW : S] += patches[:, :, :, i, j]
    return padded[:, top : top + H, left : left + W].copy()


class Conv2d(Layer):
    """y = patches(x) @ W + b: the same weights look at every patch. The kernel is not flipped.

    x (N, H, W, C) -> y (N, OH, OW, CO) with OH = (H + top + bottom - K) // S + 1.
    W (K, K, C, CO), b (CO,). padding: an int, or (top, bottom, left, right): zeros.
    `im2col` and `col2im` make patches and take them back."""

    names = ("W", "b")

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, *, std=0.01, bias=0.0, rng=None):
        self.K, self.S, self.padding = kernel_size, stride, padding
        rng = np.random.default_rng() if rng is None else rng
        self.W = rng.standard_normal((kernel_size, kernel_size, in_channels, out_channels), np.float32) * np.float32(std)
        self.b = np.full(out_channels, bias, np.float32)
        self.dW = self.db = None

    def matrix(self):
        """W as (K * K * C, CO): a column for each output channel."""
        return self.W.reshape(-1, self.W.shape[3])

    def forward(self, x):
        """x (N, H, W, C) -> y (N, OH, OW, CO).

        Keeps self.patches (N * OH * OW, K * K * C) and self.x_shape for backward."""
        self.patches, self.x_shape = im2col(x, self.K, self.S, self.padding), x.shape
        N, H, W, _ = x.shape
        top, bottom, left, right = four_sides(self.padding)
        OH, OW = output_size(H, self.K, self.S, top, bottom), output_size(W, self.K, self.S, left, right)
        y = self.patches @ self.matrix() + self.b
        return y.reshape(N, OH, OW, -1)

    def backward(self, dy):
        """dy (N, OH, OW, CO) -> dx (N, H, W, C). Leaves self.dW (K, K, C, CO) and self.db (CO,)."""
        rows = dy.reshape(-1, dy.shape[3])
        dW = self.patches.T @ rows
        self.dW = dW.reshape(self.W.shape)
        self.db = rows.sum(axis=0)
        dpatches = rows @ self.matrix().T
        return col2im(dpatches, self.x_shape, self.K, self.S, self.padding)


# ---- what has no neighbours


class Linear(Layer):
    """y = x @ W + b.   x (N, in) -> y (N, out). W (in, out), b (out,)."""

    names = ("W", "b")

    def __init__(self, in_features, out_features, *, std=0.01, bias=0.0, rng=None):
        rng = np.random.default_rng() if rng is None else rng
        self.W = rng.standard_normal((in_features, out_features), np.float32) * np.float32(std)
        self.b = np.full(out_features, bias, np.float32)
        self.dW = self.db = None

    def forward(self, x):
        """x (N, in) -> y (N, out). Keeps self.x for backward."""
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        """dy (N, out) -> dx (N, in). Leaves self.dW (in, out) and self.db (out,)."""
        self.dW = self.x.T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W.T


class ReLU(Layer):
    """y = max(x, 0).   dx = dy where x > 0, else 0. x of any shape."""

    def forward(self, x):
        """x -> y of the same shape. Keeps self.positive, where x > 0, for backward."""
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy):
        """dy -> dx, both of the shape of x."""
        return dy * self.positive


class Tanh(Layer):
    """y = tanh(x).   dx = dy * (1 - y^2). x of any shape."""

    def forward(self, x):
        """x -> y of the same shape. Keeps self.y for backward."""
        self.y = np.tanh(x)
        return self.y.copy()

    def backward(self, dy):
        """dy -> dx, both of the shape of x."""
        return dy * (1 - self.y**2)


class Flatten(Layer):
    """y = x as one row an image: (N, H, W, C) -> (N, H * W * C).

    Number (h * W + w) * C + c of a row is x[n, h, w, c]."""

    def forward(self, x):
        """x (N, ...) -> y (N, product of the rest). Keeps self.x_shape for backward."""
        self.x_shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy):
        """dy (N, product) -> dx, of the shape of x."""
        return dy.reshape(self.x_shape)


# ---- normalisation, pooling, dropout


def _window_sum(a, size):
    """a (..., C) -> at channel i the sum over i - size // 2 .. i + size // 2, cut at the ends."""
    padded = np.pad(a, [(0, 0)] * (a.ndim - 1) + [(size // 2, size // 2)])
    return sliding_window_view(padded, size, axis=-1).sum(axis=-1)


class LocalResponseNorm(Layer):
    """s_i = k + alpha * (sum of x_j^2 over the `size` channels around i that exist),
    y_i = x_i * s_i^-beta.

    dx_i = dy_i s_i^-beta - 2 alpha beta x_i * (sum over the same j of dy_j x_j s_j^-(beta + 1)).
    x (N, ..., C), size odd. alpha multiplies the plain sum, as in the paper."""

    def __init__(self, size=5, alpha=1e-4, beta=0.75, k=2.0):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        """x (N, ..., C) -> y of the same shape. Keeps self.x and self.s for backward."""
        self.x, self.s = x, self.k + self.alpha * _window_sum(x * x, self.size)
        return x * self.s**-self.beta

    def backward(self, dy):
        """dy -> dx, both of the shape of x."""
        direct = dy * self.s**-self.beta
        cross = _window_sum(dy * self.x * self.s ** -(self.beta + 1), self.size)
        return direct - 2 * self.alpha * self.beta * self.x * cross


class MaxPool2d(Layer):
    """y = the maximum of each K x K window; dx = the sum of the dy of the windows that a pixel won.

    x (N, H, W, C) -> y (N, OH, OW, C), OH = (H - K) // S + 1: windows that do not fit are left out.
    A tie has one winner."""

    def __init__(self, kernel_size=3, stride=2):
        self.K, self.S = kernel_size, stride

    def forward(self, x):
        """x (N, H, W, C) -> y (N, OH, OW, C).

        Keeps self.x_shape, and self.won (N, OH, OW, C, K * K): whether number m of a window, at its
        row m // K and column m % K, is its winner."""
        windows = sliding_window_view(x, (self.K, self.K), axis=(1, 2))[:, :: self.S, :: self.S]  # N OH OW C K K
        windows = windows.reshape(*windows.shape[:4], -1)
        self.won = windows.argmax(axis=-1)[..., None] == np.arange(self.K**2)
        self.x_shape = x.shape
        return windows.max(axis=-1)

    def backward(self, dy):
        """dy (N, OH, OW, C) -> dx (N, H, W, C)."""
        K, S, (_, OH, OW, _) = self.K, self.S, dy.shape
        dx = np.zeros(self.x_shape, dy.dtype)
        for m in range(K * K):
            i, j = divmod(m, K)
            dx[:, i : i + S * OH : S, j : j + S * OW : S] += dy * self.won[..., m]
        return dx


class Dropout(Layer):
    """In training y = x * mask, where each number of the mask is 0 with probability p.
    dx = dy * mask. x (N, ...).

    scale_at "test" (the paper's): the mask holds 0 and 1, and outputs are multiplied by 1 - p at
    test time. "train" (torch's): the mask holds 0 and 1 / (1 - p), and testing does nothing.
    self.training tells which it is; self.rng is the layer's own generator."""

    def __init__(self, p=0.5, *, scale_at="test", rng=None):
        self.p, self.scale_at = p, scale_at
        self.rng = np.random.default_rng() if rng is None else rng

    def forward(self, x):
        """x -> y of the same shape. Keeps self.mask, what x was multiplied by, for backward: an
        array, or a number at test time. Both have the dtype of x.

        In training a number is kept with probability 1 - p: where self.rng.random(x.shape) is at
        least p, say."""
        if self.training:
            self.mask = (self.rng.random(x.shape) >= self.p).astype(x.dtype)
            if self.scale_at == "train":
                self.mask /= 1 - self.p
        else:
            self.mask = x.dtype.type(1 - self.p if self.scale_at == "test" else 1)
        return x * self.mask

    def backward(self, dy):
        """dy -> dx, both of the shape of x."""
        return dy * self.mask


# ---- the loss


class SoftmaxCrossEntropy(Layer):
    """L = mean over the images of -log softmax(logits)[label].

    dlogits = (softmax(logits) - one-hot(label)) / N."""

    def forward(self, logits, labels):
        """logits (N, classes), labels (N,) integers -> L, a float.

        Keeps self.log_p (N, classes), the logarithms of the probabilities, and self.labels for
        backward. Logits of 10000 must not overflow, nor may a probability of 0 give log 0."""
        z = logits - logits.max(axis=1, keepdims=True)
        self.log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        self.labels = labels
        return float(-self.log_p[np.arange(len(labels)), labels].mean())

    def backward(self):
        """-> dlogits (N, classes)."""
        dlogits = np.exp(self.log_p)
        N = len(dlogits)
        dlogits[np.arange(N), self.labels] -= 1
        return dlogits / N


# ---- networks


class Sequential(Layer):
    """Layers in a row, each with a name: the output of one is the input of the next."""

    def __init__(self, **layers):
        self.layers = layers

    def __getitem__(self, name):
        return self.layers[name]

    def children(self):
        yield from self.layers.items()

    def forward(self, x):
        """x -> y of the last layer."""
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def backward(self, dy):
        """dy -> dx of the first layer, the last layer first."""
        for layer in reversed(self.layers.values()):
            dy = layer.backward(dy)
        return dy


class Towers(Layer):
    """stages: a list, each stage a list of one `Sequential` for each tower. At the end of a stage the towers exchange channels: every tower
    of the next one sees those of all. Here all towers live on one CPU; `devices` is there for the sake of `minigrad.Towers`."""

    def __init__(self, stages, devices="cpu"):
        if devices not in ("cpu", ("cpu",), ["cpu"], [self.device]):
            raise ValueError(f"plain layers compute on one CPU, 'cpu', not on {devices!r}")
        self.stages, self.devices = stages, [self.device]

    def children(self):
        for stage in self.stages:
            for name in stage[0].layers:
                yield from ((f"tower{t}.{name}", tower[name]) for t, tower in enumerate(stage))

    def forward(self, x):
        """x (N, ..., C) -> y (N, ..., channels of all towers of the last stage). Keeps self.edges, where a tower's channels begin."""
        self.edges = []
        for stage in self.stages:
            parts = [tower.forward(x) for tower in stage]
            self.edges.append(np.cumsum([part.shape[-1] for part in parts])[:-1])
            x = np.concatenate(parts, axis=-1)
        return x

    def backward(self, dy):
        """dy -> dx: each tower gets the gradient of its own channels, and all add up what they find for the channels that all saw."""
        for stage, edges in zip(reversed(self.stages), reversed(self.edges), strict=True):
            parts = np.split(dy, edges, axis=-1)
            dy = sum(tower.backward(part) for tower, part in zip(stage, parts, strict=True))
        return dy


# ---- learning


class SGD:
    """Stochastic gradient descent with momentum and weight decay, the rule of 2012 (paper §5).

    parameters: a list of `Parameter`s; those called "b" or "....b" are biases, with the learning
    rate lr * bias_lr and the decay bias_decay. self.velocities holds an array v for each parameter,
    zeros at first."""

    def __init__(self, parameters, lr=0.01, momentum=0.9, weight_decay=5e-4, bias_lr=2.0, bias_decay=0.0):
        self.parameters = list(parameters)
        self.lr, self.momentum, self.weight_decay, self.bias_lr, self.bias_decay = lr, momentum, weight_decay, bias_lr, bias_decay
        self.velocities = [np.zeros_like(p.value) for p in self.parameters]

    def step(self):
        """v <- momentum v - lr (g + decay w),   w <- w + v,   for every parameter, with w = p.value
        and g = p.grad.

        p.value changes in place, self.velocities hold the new v; g stays. lr may have changed since
        the last step. With lr = 0 nothing moves, not even v."""
        for p, v in zip(self.parameters, self.velocities, strict=True):
            bias = p.name.split(".")[-1] == "b"
            lr = self.lr * self.bias_lr if bias else self.lr
            decay = self.bias_decay if bias else self.weight_decay
            if lr == 0:
                continue
            v[...] = self.momentum * v - lr * (p.grad + decay * p.value)
            p.value[...] += v
