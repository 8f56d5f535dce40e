"""Variants for graded work. The layers' own solutions are public; these are not in the library, and each needs the same thinking.

Model solutions, their mistakes and their cases in one place."""

from functools import partial

import numpy as np

from minigrad import SGD
from minigrad.coursework import mistakes as m
from minigrad.coursework.cases import Case
from minigrad.coursework.exercises import EXERCISES, Exercise, any_loss, choice, whole, window
from minigrad.coursework.source import Mistake
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
            bias = p.name.endswith("b")
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


# ---- their mistakes

_DX = "dx[self.seen(i, j, OH, OW)] += dy @ self.W[i, j].T"

DILATED_FORWARD = (
    Mistake("not dilated", "top, left = i * self.D, j * self.D", "top, left = i, j", "Tap (i, j) reads D·i rows and D·j columns further."),
    Mistake("bias forgotten", "return y + self.b", "return y", "Every output gets b of its channel."),
)
DILATED_BACKWARD = (
    Mistake("= for +=", _DX, _DX.replace("+=", "="), "A pixel is read by several taps: add."),
    Mistake("kernel flipped in backward", _DX, _DX.replace("W[i, j]", "W[-1 - i, -1 - j]"),
            "dx gets back W[i, j]·dy where tap (i, j) read."),
    Mistake("dW averaged", "self.dW, self.db = dW,", "self.dW, self.db = dW / len(dy),", "Layers sum; only the loss divides by N."),
)  # fmt: skip
_BACK = "np.add.at(dx, (slice(None), r[:, None], q), dy @ self.W[i, j].T)"
CIRCULAR_FORWARD = (
    Mistake("shifted", "(np.arange(OH) * self.S + i - self.P) % H, (np.arange(OW) * self.S + j - self.P) % W\n                y",
            "(np.arange(OH) * self.S + i) % H, (np.arange(OW) * self.S + j) % W\n                y",
            "The first window begins P rows before the image, that is, at its end."),
    Mistake("bias forgotten", "return y + self.b", "return y", "Every output gets b of its channel."),
)  # fmt: skip
CIRCULAR_BACKWARD = (
    Mistake("= for +=", _BACK, "dx[:, r[:, None], q] = dy @ self.W[i, j].T", "A pixel is read by several taps: add."),
    Mistake("what went round is lost", _BACK, f"dy = dy * ((np.arange(OH) * self.S + i >= self.P)[:, None, None])\n                {_BACK}",
            "What was read round the edge goes back round the edge."),
    Mistake("dW averaged", "self.dW, self.db = dW,", "self.dW, self.db = dW / len(dy),", "Layers sum; only the loss divides by N."),
)  # fmt: skip
AVGPOOL_FORWARD = (
    Mistake("sum", "return y / self.K**2", "return y", "The mean: divide by K²."),
    Mistake("divided by K", "return y / self.K**2", "return y / self.K", "A window has K² numbers."),
)
AVGPOOL_BACKWARD = (
    Mistake("whole dy to everybody", "+= dy / self.K**2", "+= dy", "Each of the K² numbers has a share of 1 / K²."),
    Mistake("= for +=", "+= dy / self.K**2", "= dy / self.K**2", "Windows overlap: add."),
)
CEILPOOL_FORWARD = (
    Mistake("zeros outside", "y[:, r, q] = x[:, rows, columns].max(axis=(1, 2))",
            "whole = rows.start + self.K <= H and columns.start + self.K <= W\n"
            "            y[:, r, q] = np.maximum(x[:, rows, columns].max(axis=(1, 2)), -np.inf if whole else 0)",
            "What lies outside the image does not count, not even as 0: all the others may be negative."),
)  # fmt: skip
CEILPOOL_BACKWARD = (
    Mistake("= for +=", "dx[:, rows, columns] +=", "dx[:, rows, columns] =", "One pixel can win several windows: add."),
    Mistake("shared evenly", "(share * dy[:, r, q][:, None])", "(np.ones_like(share) / len(share) * dy[:, r, q][:, None]).astype(dy.dtype)",
            "That is average pooling: only the winner receives."),
)  # fmt: skip
CHANNEL_FORWARD = (
    Mistake("every pixel for itself", "self.rng.random((len(x), 1, 1, x.shape[3])) >=", "self.rng.random(x.shape) >=",
            "A channel is dropped as a whole: one draw for all its pixels."),
    Mistake("one mask for all images", "self.rng.random((len(x), 1, 1, x.shape[3])) >=", "self.rng.random((1, 1, 1, x.shape[3])) >=",
            "Every image has a mask of its own."),
    Mistake("not scaled", "/ x.dtype.type(1 - self.p)", "/ x.dtype.type(1)", "What is kept is divided by 1 − p."),
)  # fmt: skip
CHANNEL_BACKWARD = (
    Mistake("not scaled in backward", "return dy * self.mask", "return dy * (self.mask > 0)",
            "forward divided by 1 − p; so must backward."),
    Mistake("passes everything", "return dy * self.mask", "return dy.copy()",
            "What was silent in forward gets no gradient: dx = dy · mask."),
)  # fmt: skip
_AHEAD = "p.value[...] += self.momentum * v - downhill"
NESTEROV_STEP = (
    Mistake("no look ahead", _AHEAD, "p.value[...] += v", "That is the plain rule: w moves by momentum · v − lr · g, with the new v."),
    Mistake("momentum twice", _AHEAD, "p.value[...] += self.momentum**2 * v - downhill", "One factor of momentum: v is the new velocity."),
    Mistake("decay on the biases", "self.bias_decay if bias else self.weight_decay", "self.weight_decay", "Only weights decay."),
)
SMOOTHED_FORWARD = (
    Mistake("not smoothed", "self.eps / C, logits.dtype", "0, logits.dtype", "Every class is wanted with eps / C."),
    Mistake("label gets all", "+= 1 - self.eps", "+= 1", "The label has 1 − eps + eps / C: all together are 1."),
    Mistake("exp without the maximum", "z = logits - logits.max(axis=1, keepdims=True)", "z = logits", "exp(1000) overflows."),
)
SMOOTHED_BACKWARD = (
    Mistake("1/N forgotten", ") / len(self.log_p)", ")", "The loss is a mean over N images."),
    Mistake("one-hot", "np.exp(self.log_p) - self.wanted", "np.exp(self.log_p) - np.round(self.wanted)", "p − what is wanted, smoothed."),
)
RING_FORWARD = (
    Mistake("the other way round", "np.roll(x, 1, axis=0)]", "np.roll(x, -1, axis=0)]", "Tower t hears tower t − 1, not t + 1."),
    Mistake("the other one first", "[x, np.roll(x, 1, axis=0)]", "[np.roll(x, 1, axis=0), x]", "A tower's own channels come first."),
)
RING_BACKWARD = (
    Mistake("own alone", "own + np.roll(before, -1, axis=0)", "own.copy()", "Tower t's channels are used by tower t + 1, too."),
    Mistake("back the wrong way", "np.roll(before, -1, axis=0)", "np.roll(before, 1, axis=0)", "What tower t + 1 says is about tower t."),
    Mistake("averaged", "own + np.roll(before, -1, axis=0)", "(own + np.roll(before, -1, axis=0)) / 2", "The parts are added."),
)

# ---- the exercises


def pair(group, title, source, forward_cases, backward_cases, vary, mistakes, points, minutes, reading, random=False):
    """An exercise for forward and one for backward. vary: (rng, kind) -> Case."""
    before, after = mistakes
    kind = forward_cases[0].kind
    first = Exercise(
        f"{group}.forward", f"{title}, forward", source, ("forward",), (), forward_cases, partial(vary, kind=kind), before, points[0],
        minutes, reading, after, random=random,
    )  # fmt: skip
    second = Exercise(
        f"{group}.backward", f"{title}, backward", source, ("backward",), (first.id,), backward_cases, partial(vary, kind="gradients"),
        after, points[1], minutes, reading, before, random=random,
    )  # fmt: skip
    return first, second


def both(*rows):
    """The same cases for forward and for backward; rows: (name, x, args, kwargs)."""
    return tuple(tuple(Case(name, x, args, kwargs, kind) for name, x, args, kwargs in rows) for kind in ("forward", "gradients"))


def any_dilated(rng, kind):
    K, S, D, C = whole(rng, 2, 3), whole(rng, 1, 2), whole(rng, 2, 3), whole(rng, 2, 3)
    x = (whole(rng, 1, 3), window(rng, D * (K - 1) + 1, S), window(rng, D * (K - 1) + 1, S) + 1, C)
    return Case("", x, (C, whole(rng, 4, 5), K), {"stride": S, "dilation": D}, kind)


def any_circular(rng, kind):
    K, C = whole(rng, 2, 3), whole(rng, 2, 3)
    x = (whole(rng, 1, 3), whole(rng, 4, 5), whole(rng, 5, 7), C)
    return Case("", x, (C, whole(rng, 4, 5), K), {"stride": whole(rng, 1, 2), "padding": whole(rng, 1, 2)}, kind)


def any_window(rng, kind):
    K = whole(rng, 2, 3)
    S = whole(rng, 1, K)
    return Case("", (whole(rng, 2, 3), window(rng, K, S), window(rng, K, S) + 1, whole(rng, 1, 3)), (K, S), kind=kind)


def any_square(rng, kind):
    settings = {"size": choice(rng, 3, 5), "alpha": choice(rng, 0.2, 0.4), "beta": choice(rng, 0.5, 0.75), "k": choice(rng, 1.0, 2.0)}
    return Case("", (whole(rng, 1, 3), whole(rng, 3, 4), whole(rng, 4, 6), 2), kwargs=settings, kind=kind)


def any_channels(rng, kind):
    settings = {"p": choice(rng, 0.2, 0.35, 0.6)}
    if kind == "property":
        return Case("", (whole(rng, 20, 30), 3, 2, 40), kwargs=settings, kind=kind, property="drops_channels")
    return Case("", (whole(rng, 2, 3), 3, 4, 7), kwargs=settings, kind=kind, mode=choice(rng, "train", "eval"))


def any_nesterov(rng):
    settings = {"momentum": choice(rng, 0.8, 0.9), "weight_decay": choice(rng, 1e-3, 5e-2)}
    lrs = tuple(choice(rng, 0.1, 0.03, 0.0) for _ in range(4))
    return Case("", (), ((0.1, *lrs),), settings, "property", property="trajectory")


def any_smoothed(rng, kind):
    case = any_loss(rng, kind)
    return Case("", case.x, (choice(rng, 0.05, 0.2),), kind=kind, labels=case.labels)


def any_ring(rng, kind):
    return Case("", (whole(rng, 3, 5), whole(rng, 1, 3), 2, 3, whole(rng, 1, 4)), kind=kind)


VARIANTS = (
    *pair(
        "dilated", "Convolution with holes", DilatedConv2d,
        *both(
            ("dilation-2", (3, 6, 7, 2), (2, 5, 3), {"dilation": 2}),
            ("stride-2", (2, 8, 7, 2), (2, 4, 2), {"stride": 2, "dilation": 3}),
            ("no-holes", (1, 4, 5, 3), (3, 2, 3), {}),
        ),
        any_dilated, (DILATED_FORWARD, DILATED_BACKWARD), (3, 5), 40, "notebooks 03 and 04",
    ),
    *pair(
        "circular", "Convolution on a torus", CircularConv2d,
        *both(
            ("padding-1", (3, 4, 5, 2), (2, 5, 3), {"padding": 1}),
            ("stride-2", (2, 5, 6, 2), (2, 4, 3), {"stride": 2, "padding": 2}),
            ("no-padding", (1, 4, 5, 3), (3, 2, 2), {}),
        ),
        any_circular, (CIRCULAR_FORWARD, CIRCULAR_BACKWARD), (3, 5), 40, "notebooks 03 and 04",
    ),
    *pair(
        "avgpool", "Average pooling", AvgPool2d,
        *both(
            ("overlapping", (3, 7, 6, 2), (3, 2), {}), ("two-by-two", (2, 5, 4, 3), (2, 2), {}), ("every-pixel", (2, 4, 5, 3), (3, 1), {}),
        ),
        any_window, (AVGPOOL_FORWARD, AVGPOOL_BACKWARD), (2, 3), 25, "notebook 05",
    ),
    *pair(
        "ceilpool", "Max-pooling with partial windows", CeilPool2d,
        *both(
            ("remainder", (3, 6, 8, 2), (3, 2), {}), ("two-by-two", (2, 5, 6, 3), (2, 2), {}), ("exact", (2, 5, 7, 2), (3, 2), {}),
        ),
        any_window, (CEILPOOL_FORWARD, CEILPOOL_BACKWARD), (3, 4), 35, "notebook 05",
    ),
    *pair(
        "squarenorm", "Normalisation over neighbouring pixels", SquareNorm,
        *both(
            ("size-3", (3, 4, 5, 2), (), {"size": 3, "alpha": 0.3, "k": 1.0}),
            ("size-5", (2, 3, 6, 2), (), {"size": 5, "alpha": 0.2, "beta": 0.5, "k": 2.0}),
        ),
        any_square,
        (
            (
                Mistake("not squared", "_square_sum(x * x, self.size)", "_square_sum(x, self.size)", "The window sums squares."),
                Mistake("k forgotten", "self.k + self.alpha *", "1 + self.alpha *", "s begins with k, which is not always 1."),
            ),
            tuple(mistake for mistake in m.LRN_BACKWARD if "_window_sum" not in mistake.old and "roll" not in mistake.new),
        ),
        (3, 5), 40, "notebook 05",
    ),
    *pair(
        "channeldrop", "Dropout of whole channels", ChannelDropout,
        (
            Case("channels", (24, 3, 2, 50), kwargs={"p": 0.3}, kind="property", property="drops_channels"),
            Case("testing", (3, 2, 4, 5), kwargs={"p": 0.4}, kind="forward", mode="eval"),
        ),
        (
            Case("training", (3, 2, 4, 6), kwargs={"p": 0.3}),
            Case("testing", (3, 2, 4, 5), kwargs={"p": 0.4}, mode="eval"),
        ),
        any_channels, (CHANNEL_FORWARD, CHANNEL_BACKWARD), (3, 2), 25, "notebook 06", random=True,
    ),
    Exercise(
        "nesterov.step", "Momentum that looks ahead", NesterovSGD, ("step",), (),
        (
            Case("steps", (), ((0.1, 0.1, 0.01, 0.0, 0.1),), {"weight_decay": 0.05}, "property", property="trajectory"),
            Case("biases-decay", (), ((0.1, 0.03),), {"bias_decay": 0.1, "bias_lr": 3.0}, "property", property="trajectory"),
        ),
        any_nesterov, NESTEROV_STEP, 3, 20, "notebook 06",
    ),
    *pair(
        "smoothing", "Cross-entropy with smoothed labels", SmoothedCrossEntropy,
        (
            Case("three-images", (3, 7), (0.1,), kind="forward", labels=(4, 0, 6)),
            Case("extreme", (3, 5), (0.2,), kind="forward", inputs="extreme", labels=(1, 0, 4)),
        ),
        (Case("three-images", (3, 7), (0.1,), labels=(4, 0, 6)), Case("one-image", (1, 5), (0.3,), labels=(2,))),
        any_smoothed, (SMOOTHED_FORWARD, SMOOTHED_BACKWARD), (3, 3), 25, "notebook 02",
    ),
    *pair(
        "ring", "Three towers in a ring", RingExchange,
        *both(("three", (3, 2, 1, 4, 5), (), {}), ("four", (4, 3, 2, 1, 2), (), {})),
        any_ring, (RING_FORWARD, RING_BACKWARD), (2, 4), 25, "notebook 08",
    ),
)  # fmt: skip

ALL = EXERCISES + VARIANTS
