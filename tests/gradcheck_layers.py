"""Layers for the tests of the gradient checker, each by its shortest definition, some several times; and inputs that are awkward."""

from types import SimpleNamespace

import naive
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigrad.gradcheck import kink_free


def rng(seed=0):
    return np.random.default_rng(seed)


class Plain:
    """A layer by its shortest definition. names: its parameters."""

    names = ()

    def parameters(self):
        return [SimpleNamespace(name=n, value=getattr(self, n), grad=getattr(self, "d" + n, None)) for n in self.names]

    def astype(self, dtype):
        for n in self.names:
            setattr(self, n, getattr(self, n).astype(dtype))
        return self


class TensordotConv(Plain):
    names = ("W", "b")

    def __init__(self, c_in=2, c_out=5, k=3, stride=2, padding=(1, 0, 2, 1)):
        self.k, self.stride, self.padding = k, stride, padding
        self.W, self.b = np.zeros((k, k, c_in, c_out)), np.zeros(c_out)

    def forward(self, x):
        (top, bottom, left, right), k, s = self.padding, self.k, self.stride
        padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
        windows = sliding_window_view(padded, (k, k), axis=(1, 2))[:, ::s, ::s]
        self.patches, self.shape, self.padded = windows.transpose(0, 1, 2, 4, 5, 3), x.shape, padded.shape  # N OH OW k k C
        return np.tensordot(self.patches, self.W, 3) + self.b

    def backward(self, dy):
        (_, H, W, _), (_, OH, OW, _), (top, _, left, _) = self.shape, dy.shape, self.padding
        k, s, dxp = self.k, self.stride, np.zeros(self.padded, dy.dtype)
        self.dW = np.tensordot(self.patches, dy, ((0, 1, 2), (0, 1, 2)))
        self.db = dy.sum((0, 1, 2))
        dpatches = np.tensordot(dy, self.W, (3, 3))  # N OH OW k k C
        for i, j in np.ndindex(k, k):
            dxp[:, i : i + s * OH : s, j : j + s * OW : s] += dpatches[:, :, :, i, j]
        return dxp[:, top : top + H, left : left + W].copy()


class LoopConv(TensordotConv):
    def forward(self, x):
        self.x = x
        return naive.conv(x, self.W, self.b, self.stride, self.padding)

    def backward(self, dy):
        dx, self.dW, self.db = naive.conv_backward(self.x, self.W, dy, self.stride, self.padding)
        return dx


class ImageByImageConv(TensordotConv):
    def forward(self, x):
        self.x = x
        return np.concatenate([super(ImageByImageConv, self).forward(x[n : n + 1]) for n in range(len(x))])

    def backward(self, dy):
        dx, dW, db = [], 0, 0
        for n in range(len(dy)):
            super().forward(self.x[n : n + 1])
            dx.append(super().backward(dy[n : n + 1]))
            dW, db = dW + self.dW, db + self.db
        self.dW, self.db = dW, db
        return np.concatenate(dx)


class PlainLinear(Plain):
    names = ("W", "b")

    def __init__(self, n_in=5, n_out=4):
        self.W, self.b = np.zeros((n_in, n_out)), np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW, self.db = self.x.T @ dy, dy.sum(0)
        return dy @ self.W.T


class PlainReLU(Plain):
    def forward(self, x):
        self.mask = x > 0
        return np.maximum(x, 0)

    def backward(self, dy):
        return dy * self.mask


class InclusiveReLU(PlainReLU):
    def forward(self, x):
        self.mask = x >= 0
        return x * self.mask


class ReusingReLU(PlainReLU):
    """Writes its results where those of the last batch were."""

    y = np.empty((0, 0))

    def forward(self, x):
        self.mask = x > 0
        if self.y.shape != x.shape or self.y.dtype != x.dtype:
            self.y = np.empty_like(x)
        return np.maximum(x, 0, out=self.y)


class PlainPool(Plain):
    tie = "first"

    def __init__(self, k=3, stride=2):
        self.k, self.stride = k, stride

    def forward(self, x):
        k, s, (N, H, W, C) = self.k, self.stride, x.shape
        w = sliding_window_view(x, (k, k), axis=(1, 2))[:, ::s, ::s].reshape(N, (H - k) // s + 1, (W - k) // s + 1, C, k * k)
        best, self.shape = w == w.max(-1, keepdims=True), x.shape
        if self.tie == "first":
            self.share = best & (best.cumsum(-1) == 1)
        elif self.tie == "last":
            self.share = best & (best[..., ::-1].cumsum(-1)[..., ::-1] == 1)
        else:
            self.share = best / best.sum(-1, keepdims=True).astype(x.dtype)
        return w.max(-1)

    def backward(self, dy):
        k, s, dx = self.k, self.stride, np.zeros(self.shape, dy.dtype)
        for r, c, i, j in np.ndindex(*dy.shape[1:3], k, k):
            dx[:, r * s + i, c * s + j] += self.share[:, r, c, :, i * k + j] * dy[:, r, c]
        return dx


class LastPool(PlainPool):
    tie = "last"


class SharedPool(PlainPool):
    tie = "shared"


class PlainLRN(Plain):
    def __init__(self, size=5, alpha=0.5, beta=0.75, k=1.0):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def window_sum(self, a):
        half = self.size // 2
        a = np.pad(a, [(0, 0)] * (a.ndim - 1) + [(half, half)])
        return sliding_window_view(a, self.size, axis=-1).sum(-1)

    def forward(self, x):
        self.x, self.scale = x, self.k + self.alpha * self.window_sum(x * x)
        return x * self.scale**-self.beta

    def backward(self, dy):
        cross = self.window_sum(dy * self.x * self.scale ** -(self.beta + 1))
        return dy * self.scale**-self.beta - 2 * self.alpha * self.beta * self.x * cross


class BandLRN(PlainLRN):
    def window_sum(self, a):
        C = np.arange(a.shape[-1])
        return a @ (abs(C[:, None] - C) <= self.size // 2).astype(a.dtype)


class CumulativeLRN(PlainLRN):
    def window_sum(self, a):
        half, C = self.size // 2, a.shape[-1]
        sums = np.concatenate([np.zeros_like(a[..., :1]), a.cumsum(-1)], -1)
        return sums[..., np.minimum(np.arange(C) + half + 1, C)] - sums[..., np.maximum(np.arange(C) - half, 0)]


class LogSumExpLoss(Plain):
    def forward(self, logits, labels):
        z = logits - logits.max(1, keepdims=True)
        self.log_p, self.labels = z - np.log(np.exp(z).sum(1, keepdims=True)), labels
        return float(-self.log_p[np.arange(len(z)), labels].mean())

    def backward(self):
        dlogits = np.exp(self.log_p)
        dlogits[np.arange(len(dlogits)), self.labels] -= 1
        return dlogits / len(dlogits)


class PlainDropout(Plain):
    def __init__(self, p=0.3):
        self.p, self.rng = p, np.random.default_rng(7)

    def draw(self, x):
        return (self.rng.random(x.shape) >= self.p).astype(x.dtype) / (1 - self.p)

    def forward(self, x):
        self.mask = self.draw(x)
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class PlainFlatten(Plain):
    def forward(self, x):
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy):
        return dy.reshape(self.shape)


class Exchange(Plain):
    """(T towers, N, C) -> (T, N, T C): each tower gets the channels of all, and backward the sum of what all say of its own."""

    def forward(self, x):
        return np.stack([np.concatenate(list(x), -1)] * len(x))

    def backward(self, dy):
        said = np.stack(np.split(dy, len(dy), -1))  # about tower, by tower
        return said.sum(1)


class BlankReLU(PlainReLU):
    def backward(self, dy):
        raise NotImplementedError("relu.backward is not written yet")


class GreedyReLU(PlainReLU):
    def backward(self, dy):
        dy *= self.mask
        return dy.copy()


class LostLinear(PlainLinear):
    def backward(self, dy):
        return [super().backward(dy)][1]


class OneWeightOff(PlainLinear):
    """One of many weights has a gradient that is one percent too large."""

    def __init__(self):
        super().__init__(500, 500)

    def backward(self, dy):
        dx = super().backward(dy)
        self.dW[123, 456] *= 1.01
        return dx


def kinked(shape, rng):
    """Numbers at the kink of ReLU, and closer to it than any step."""
    x = kink_free(shape, rng).ravel()
    x[:6] = 0.0, 1e-8, -3e-6, 3e-7, -0.0, 5e-6
    return rng.permutation(x).reshape(shape)


def tied(shape, rng):
    """Maxima that tie in two, three and more places."""
    return np.round(2 * kink_free(shape, rng)) / 2


def nearly_tied(shape, rng):
    return tied(shape, rng) + 1e-9 * rng.permutation(int(np.prod(shape))).reshape(shape)


def equal(shape, rng):
    return np.full(shape, 0.5)


def large(shape, rng):
    """Half of the numbers a thousand times as large, and one pixel all zeros."""
    x = kink_free(shape, rng) * np.where(rng.random(shape) < 0.5, 1.0, 500.0)
    x[(0,) * (x.ndim - 1)] = 0.0
    return x


def extreme(shape, rng):
    """Logits up to 10,000, some of them close together."""
    x = kink_free(shape, rng, -1e4, 1e4)
    x[0, :3] = 1e4, 1e4 - 0.5, 1e4 - 1.0
    x[-1] = 0.1 * np.arange(shape[1])
    return x


LABELS = (np.array([4, 0, 6]),)


FLAT = (3, 5)


IMAGES = (3, 5, 4, 2)
