"""Model solutions of the variants, exercises for graded work. Those of the layers are public; these are not in the library.

Each needs the same thinking as one of the library's layers. Their exercises, mistakes and hidden cases stand with the others, in
exercises/, mistakes/ and hidden.py."""

import numpy as np

from minigrad import SGD
from minigrad.layers.base import Layer

# ---- convolution


class DilatedConv2d(Layer):
    """A convolution whose taps lie D pixels apart: y[n, r, q] = b + sum over i, j of x[n, r S + i D, q S + j D] @ W[i, j].

    x (N, H, W, C) -> y (N, OH, OW, CO), OH = (H - D (K - 1) - 1) // S + 1. W (K, K, C, CO), b (CO,). No padding."""

    names = ("W", "b")

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, dilation=1, *, std=0.01, bias=0.0, rng=None):
        self.K, self.S, self.D = kernel_size, stride, dilation
        rng = np.random.default_rng() if rng is None else rng
        self.W = rng.standard_normal((kernel_size, kernel_size, in_channels, out_channels), np.float32) * np.float32(std)
        self.b = np.full(out_channels, bias, np.float32)
        self.dW = self.db = None

    def seen(self, i, j, OH, OW):
        """The pixels that tap (i, j) reads, as an index of x: x[index] is (N, OH, OW, C)."""
        top, left = i * self.D, j * self.D
        return slice(None), slice(top, top + self.S * (OH - 1) + 1, self.S), slice(left, left + self.S * (OW - 1) + 1, self.S)

    def forward(self, x):
        """x (N, H, W, C) -> y (N, OH, OW, CO). Keeps self.x for backward."""
        N, H, W, _ = x.shape
        extent = self.D * (self.K - 1) + 1
        OH, OW = (H - extent) // self.S + 1, (W - extent) // self.S + 1
        y = np.zeros((N, OH, OW, self.W.shape[3]), x.dtype)
        for i in range(self.K):
            for j in range(self.K):
                y += x[self.seen(i, j, OH, OW)] @ self.W[i, j]
        self.x = x
        return y + self.b

    def backward(self, dy):
        """dy (N, OH, OW, CO) -> dx (N, H, W, C). Leaves self.dW (K, K, C, CO) and self.db (CO,)."""
        _, OH, OW, CO = dy.shape
        dx, dW = np.zeros(self.x.shape, dy.dtype), np.empty_like(self.W)
        for i in range(self.K):
            for j in range(self.K):
                taken = self.x[self.seen(i, j, OH, OW)]
                dW[i, j] = taken.reshape(-1, taken.shape[3]).T @ dy.reshape(-1, CO)
                dx[self.seen(i, j, OH, OW)] += dy @ self.W[i, j].T
        self.dW, self.db = dW, dy.sum(axis=(0, 1, 2))
        return dx


class CircularConv2d(Layer):
    """A convolution on a torus: what lies beyond an edge is what lies at the opposite one.

    y[n, r, q] = b + sum over i, j of x[n, (r S + i - P) mod H, (q S + j - P) mod W] @ W[i, j].
    x (N, H, W, C) -> y (N, OH, OW, CO), OH = (H + 2 P - K) // S + 1. W (K, K, C, CO), b (CO,). P = padding, at most H and W."""

    names = ("W", "b")

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, *, std=0.01, bias=0.0, rng=None):
        self.K, self.S, self.P = kernel_size, stride, padding
        rng = np.random.default_rng() if rng is None else rng
        self.W = rng.standard_normal((kernel_size, kernel_size, in_channels, out_channels), np.float32) * np.float32(std)
        self.b = np.full(out_channels, bias, np.float32)
        self.dW = self.db = None

    def forward(self, x):
        """x (N, H, W, C) -> y (N, OH, OW, CO). Keeps self.x for backward."""
        N, H, W, _ = x.shape
        OH, OW = (H + 2 * self.P - self.K) // self.S + 1, (W + 2 * self.P - self.K) // self.S + 1
        y = np.zeros((N, OH, OW, self.W.shape[3]), x.dtype)
        for i in range(self.K):
            for j in range(self.K):
                rows, columns = (np.arange(OH) * self.S + i - self.P) % H, (np.arange(OW) * self.S + j - self.P) % W
                y += x[:, rows[:, None], columns] @ self.W[i, j]
        self.x = x
        return y + self.b

    def backward(self, dy):
        """dy (N, OH, OW, CO) -> dx (N, H, W, C). Leaves self.dW (K, K, C, CO) and self.db (CO,)."""
        _, H, W, C = self.x.shape
        _, OH, OW, CO = dy.shape
        dx, dW = np.zeros(self.x.shape, dy.dtype), np.empty_like(self.W)
        for i in range(self.K):
            for j in range(self.K):
                r, q = (np.arange(OH) * self.S + i - self.P) % H, (np.arange(OW) * self.S + j - self.P) % W
                dW[i, j] = self.x[:, r[:, None], q].reshape(-1, C).T @ dy.reshape(-1, CO)
                np.add.at(dx, (slice(None), r[:, None], q), dy @ self.W[i, j].T)
        self.dW, self.db = dW, dy.sum(axis=(0, 1, 2))
        return dx


# ---- pooling


class AvgPool2d(Layer):
    """y = the mean of each K x K window. x (N, H, W, C) -> y (N, OH, OW, C), OH = (H - K) // S + 1."""

    def __init__(self, kernel_size=3, stride=2):
        self.K, self.S = kernel_size, stride

    def forward(self, x):
        """x (N, H, W, C) -> y (N, OH, OW, C). Keeps self.x_shape for backward."""
        N, H, W, C = self.x_shape = x.shape
        OH, OW = (H - self.K) // self.S + 1, (W - self.K) // self.S + 1
        y = np.zeros((N, OH, OW, C), x.dtype)
        for i in range(self.K):
            for j in range(self.K):
                y += x[:, i : i + self.S * OH : self.S, j : j + self.S * OW : self.S]
        return y / self.K**2

    def backward(self, dy):
        """dy (N, OH, OW, C) -> dx (N, H, W, C)."""
        _, OH, OW, _ = dy.shape
        dx = np.zeros(self.x_shape, dy.dtype)
        for i in range(self.K):
            for j in range(self.K):
                dx[:, i : i + self.S * OH : self.S, j : j + self.S * OW : self.S] += dy / self.K**2
        return dx


class CeilPool2d(Layer):
    """Max-pooling that also counts the last, partial windows, as 2012's code did on CIFAR-10: y = the maximum of what the window covers.

    x (N, H, W, C) -> y (N, OH, OW, C), OH = ceil((H - K) / S) + 1; with S <= K every window begins inside the image."""

    def __init__(self, kernel_size=3, stride=2):
        self.K, self.S = kernel_size, stride

    def places(self, shape):
        """Every window as (r, q, rows, columns): its place in y, and the slices of x that it covers."""
        _, H, W, _ = shape
        OH, OW = -(-(H - self.K) // self.S) + 1, -(-(W - self.K) // self.S) + 1
        for r, q in np.ndindex(OH, OW):
            yield r, q, slice(r * self.S, min(r * self.S + self.K, H)), slice(q * self.S, min(q * self.S + self.K, W))

    def forward(self, x):
        """x (N, H, W, C) -> y (N, OH, OW, C). Keeps self.x for backward."""
        N, H, W, C = x.shape
        y = np.empty((N, -(-(H - self.K) // self.S) + 1, -(-(W - self.K) // self.S) + 1, C), x.dtype)
        for r, q, rows, columns in self.places(x.shape):
            y[:, r, q] = x[:, rows, columns].max(axis=(1, 2))
        self.x = x
        return y

    def backward(self, dy):
        """dy (N, OH, OW, C) -> dx (N, H, W, C). A tie has one winner."""
        N, _, _, C = dy.shape
        dx = np.zeros(self.x.shape, dy.dtype)
        for r, q, rows, columns in self.places(self.x.shape):
            covered = self.x[:, rows, columns]
            winner = covered.reshape(N, -1, C).argmax(axis=1)[:, None]
            share = winner == np.arange(covered[0, :, :, 0].size)[:, None]
            dx[:, rows, columns] += (share * dy[:, r, q][:, None]).reshape(covered.shape)
        return dx


# ---- normalisation and dropout


def _square_sum(a, size):
    """a (N, H, W, C) -> the sum over the size x size square of pixels around each one, as far as they exist, channel by channel."""
    half, (_, H, W, _) = size // 2, a.shape
    padded = np.pad(a, ((0, 0), (half, half), (half, half), (0, 0)))
    return sum(padded[:, i : i + H, j : j + W] for i in range(size) for j in range(size))


class SquareNorm(Layer):
    """Response normalisation over neighbouring pixels of the same channel, cuda-convnet's `rnorm` with alpha times the plain sum:

    s = k + alpha * (sum of x^2 over the size x size pixels around it that exist),   y = x * s^-beta. x (N, H, W, C), size odd."""

    def __init__(self, size=3, alpha=1e-4, beta=0.75, k=1.0):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        """x (N, H, W, C) -> y of the same shape. Keeps self.x and self.s for backward."""
        self.x, self.s = x, self.k + self.alpha * _square_sum(x * x, self.size)
        return x * self.s**-self.beta

    def backward(self, dy):
        """dy -> dx, both of the shape of x."""
        direct = dy * self.s**-self.beta
        cross = _square_sum(dy * self.x * self.s ** -(self.beta + 1), self.size)
        return direct - 2 * self.alpha * self.beta * self.x * cross


class ChannelDropout(Layer):
    """Dropout of whole channels: in training each channel of each image is silent with probability p, in all its pixels, and what is
    kept is divided by 1 - p; testing does nothing. x (N, H, W, C). self.training tells which; self.rng is the layer's own generator."""

    def __init__(self, p=0.5, *, rng=None):
        self.p = p
        self.rng = np.random.default_rng() if rng is None else rng

    def forward(self, x):
        """x (N, H, W, C) -> y. Keeps self.mask, what x was multiplied by, for backward: (N, 1, 1, C), or 1 at test time.

        In training a channel is kept where self.rng.random((N, 1, 1, C)) is at least p."""
        if self.training:
            kept = self.rng.random((len(x), 1, 1, x.shape[3])) >= self.p
            self.mask = kept.astype(x.dtype) / x.dtype.type(1 - self.p)
        else:
            self.mask = x.dtype.type(1)
        return x * self.mask

    def backward(self, dy):
        """dy -> dx, both of the shape of x."""
        return dy * self.mask


# ---- learning, loss, towers


class NesterovSGD(SGD):
    """The rule of 2012 with Nesterov's look ahead: v <- momentum v - lr (g + decay w), then w <- w + momentum v - lr (g + decay w).

    Arguments and attributes are those of SGD: biases have lr * bias_lr and bias_decay, velocities are kept in self.velocities."""

    def step(self):
        """One step for every parameter, in place: v from the g and w before it, then w. With lr = 0 nothing moves, not even v."""
        for p, v in zip(self.parameters, self.velocities, strict=True):
            bias = p.name.split(".")[-1] == "b"
            lr = self.lr * self.bias_lr if bias else self.lr
            decay = self.bias_decay if bias else self.weight_decay
            if lr == 0:
                continue
            downhill = lr * (p.grad + decay * p.value)
            v[...] = self.momentum * v - downhill
            p.value[...] += self.momentum * v - downhill


class SmoothedCrossEntropy(Layer):
    """Cross-entropy with smoothed labels: the label's class is wanted with 1 - eps + eps / C, every other one with eps / C (C classes).

    L = mean over the images of -(sum over classes of wanted * log softmax(logits)). Logits of 10000 must not overflow."""

    def __init__(self, eps=0.1):
        self.eps = eps

    def forward(self, logits, labels):
        """logits (N, C), labels (N,) integers -> L, a float. Keeps self.log_p and self.wanted, both (N, C), for backward."""
        N, C = logits.shape
        z = logits - logits.max(axis=1, keepdims=True)
        self.log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        self.wanted = np.full((N, C), self.eps / C, logits.dtype)
        self.wanted[np.arange(N), labels] += 1 - self.eps
        return float(-(self.wanted * self.log_p).sum() / N)

    def backward(self):
        """-> dlogits (N, C)."""
        return (np.exp(self.log_p) - self.wanted) / len(self.log_p)


class RingExchange(Layer):
    """Towers in a ring: each hears itself and the tower before it. x (T, N, ..., C) -> y (T, N, ..., 2 C): y[t] holds the channels of
    tower t, then those of tower t - 1 (of tower 0: of the last). T is at least 3."""

    def forward(self, x):
        """x (T, ..., C) -> y (T, ..., 2 C)."""
        return np.concatenate([x, np.roll(x, 1, axis=0)], axis=-1)

    def backward(self, dy):
        """dy (T, ..., 2 C) -> dx (T, ..., C)."""
        own, before = np.split(dy, 2, axis=-1)
        return own + np.roll(before, -1, axis=0)
