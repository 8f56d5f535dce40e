"""Other right ways to write the exercises: all of them must pass."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import minigrad
from minigrad import plain
from minigrad.layers.base import Layer


class LoopConv(plain.Conv2d):
    """Window by window."""

    def windows(self, shape):
        N, OH, OW, _ = shape
        for n, r, q in np.ndindex(N, OH, OW):
            yield (n, r, q), (n, slice(r * self.S, r * self.S + self.K), slice(q * self.S, q * self.S + self.K))

    def forward(self, x):
        top, bottom, left, right = plain.four_sides(self.padding)
        self.x_shape, self.padded = x.shape, np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
        sizes = [(size - self.K) // self.S + 1 for size in self.padded.shape[1:3]]
        y = np.empty((len(x), *sizes, self.W.shape[3]), x.dtype)
        for place, window in self.windows(y.shape):
            y[place] = np.einsum("ijc,ijco->o", self.padded[window], self.W) + self.b
        return y

    def backward(self, dy):
        (top, _, left, _), (_, H, W, _) = plain.four_sides(self.padding), self.x_shape
        dx, self.dW, self.db = np.zeros_like(self.padded), np.zeros_like(self.W), np.zeros_like(self.b)
        for place, window in self.windows(dy.shape):
            self.db += dy[place]
            self.dW += self.padded[window][..., None] * dy[place]
            dx[window] += self.W @ dy[place]
        return dx[:, top : top + H, left : left + W]


class TensordotConv(plain.Conv2d):
    """No patch matrix: products over windows and channels."""

    def forward(self, x):
        top, bottom, left, right = plain.four_sides(self.padding)
        padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
        windows = sliding_window_view(padded, (self.K, self.K), axis=(1, 2))[:, :: self.S, :: self.S]
        self.seen, self.x_shape, self.padded_shape = windows.transpose(0, 1, 2, 4, 5, 3), x.shape, padded.shape
        return np.tensordot(self.seen, self.W, 3) + self.b

    def backward(self, dy):
        (_, OH, OW, _), (top, _, left, _), (_, H, W, _) = dy.shape, plain.four_sides(self.padding), self.x_shape
        self.dW, self.db = np.tensordot(self.seen, dy, ((0, 1, 2), (0, 1, 2))), dy.sum((0, 1, 2))
        dx = np.zeros(self.padded_shape, dy.dtype)
        for i, j in np.ndindex(self.K, self.K):
            dx[:, i : i + self.S * OH : self.S, j : j + self.S * OW : self.S] += dy @ self.W[i, j].T
        return dx[:, top : top + H, left : left + W].copy()


class ImageByImageConv(plain.Conv2d):
    """One image at a time."""

    def forward(self, x):
        self.x = x
        return np.concatenate([super(ImageByImageConv, self).forward(image[None]) for image in x])

    def backward(self, dy):
        dx, dW, db = [], 0, 0
        for image, d in zip(self.x, dy, strict=True):
            super().forward(image[None])
            dx.append(super().backward(d[None]))
            dW, db = dW + self.dW, db + self.db
        self.dW, self.db = dW, db
        return np.concatenate(dx)


class InclusiveReLU(Layer):
    def forward(self, x):
        self.mask = (x >= 0).astype(x.dtype)
        return x * self.mask

    def backward(self, dy):
        return np.where(self.mask > 0, dy, 0)


class ReusingReLU(Layer):
    """Its results lie where those of the last batch were."""

    y = np.empty((0, 0))

    def forward(self, x):
        self.positive = x > 0
        if self.y.shape != x.shape or self.y.dtype != x.dtype:
            self.y = np.empty_like(x)
        return np.maximum(x, 0, out=self.y)

    def backward(self, dy):
        return dy * self.positive


class ExponentialTanh(Layer):
    def forward(self, x):
        e = np.exp(-2 * abs(x))
        self.slope = 4 * e / (1 + e) ** 2
        return np.sign(x) * (1 - e) / (1 + e)

    def backward(self, dy):
        return dy * self.slope


class LastPool(plain.MaxPool2d):
    def forward(self, x):
        windows = sliding_window_view(x, (self.K, self.K), axis=(1, 2))[:, :: self.S, :: self.S]
        windows = windows.reshape(*windows.shape[:4], -1)
        self.won = self.K**2 - 1 - windows[..., ::-1].argmax(-1)[..., None] == np.arange(self.K**2)
        self.x_shape = x.shape
        return windows.max(axis=-1)


class SharingPool(plain.MaxPool2d):
    """Tied numbers share dy."""

    def forward(self, x):
        windows = sliding_window_view(x, (self.K, self.K), axis=(1, 2))[:, :: self.S, :: self.S]
        windows = windows.reshape(*windows.shape[:4], -1)
        best = windows == windows.max(axis=-1, keepdims=True)
        self.won, self.x_shape = (best / best.sum(axis=-1, keepdims=True)).astype(x.dtype), x.shape
        return windows.max(axis=-1)


class BandLRN(plain.LocalResponseNorm):
    """Sums over the window as products with a band matrix."""

    def near(self, a):
        C = np.arange(a.shape[-1])
        return a @ (abs(C[:, None] - C) <= self.size // 2).astype(a.dtype)

    def forward(self, x):
        self.x, self.s = x, self.k + self.alpha * self.near(x * x)
        return x / self.s**self.beta

    def backward(self, dy):
        t = dy * self.x / self.s ** (1 + self.beta)
        return dy / self.s**self.beta - 2 * self.alpha * self.beta * self.x * self.near(t)


class CumulativeLRN(BandLRN):
    """Sums over the window as differences of running sums."""

    def near(self, a):
        half, C = self.size // 2, a.shape[-1]
        running = np.concatenate([np.zeros_like(a[..., :1]), np.cumsum(a, axis=-1)], axis=-1)
        i = np.arange(C)
        return running[..., np.minimum(i + half, C - 1) + 1] - running[..., np.maximum(i - half, 0)]


class ProbabilityLoss(Layer):
    def forward(self, logits, labels):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.p, self.wanted = e / e.sum(axis=1, keepdims=True), np.eye(logits.shape[1], dtype=logits.dtype)[labels]
        largest = logits.max(axis=1)
        return float((np.log(e.sum(axis=1)) + largest - (self.wanted * logits).sum(axis=1)).mean())

    def backward(self):
        return (self.p - self.wanted) / len(self.p)


class WhereDropout(plain.Dropout):
    def forward(self, x):
        if not self.training:
            self.mask = x.dtype.type(1 if self.scale_at == "train" else 1 - self.p)
            return x * self.mask
        dropped = self.rng.random(x.shape) < self.p
        self.mask = np.where(dropped, 0, 1 if self.scale_at == "test" else 1 / (1 - self.p)).astype(x.dtype)
        return self.mask * x

    def backward(self, dy):
        return self.mask * dy


class LoopExchange(Layer):
    def forward(self, x):
        T, C = len(x), x.shape[-1]
        y = np.empty((*x.shape[:-1], T * C), x.dtype)
        for listener in range(T):
            for t in range(T):
                y[listener, ..., t * C : (t + 1) * C] = x[t]
        return y

    def backward(self, dy):
        T = len(dy)
        C = dy.shape[-1] // T
        return np.array([sum(dy[u, ..., t * C : (t + 1) * C] for u in range(T)) for t in range(T)])


class ClumsySGD(plain.SGD):
    def step(self):
        for i, p in enumerate(self.parameters):
            bias = p.name[-1] == "b"
            rate = self.lr * (self.bias_lr if bias else 1)
            if rate:
                np.multiply(self.velocities[i], self.momentum, out=self.velocities[i])
                self.velocities[i] -= rate * p.grad
                self.velocities[i] -= rate * (self.bias_decay if bias else self.weight_decay) * p.value
                np.add(p.value, self.velocities[i], out=p.value)


def conv2d_by_patches(x, W, b, S=1, padding=0):
    K, CO, sides = len(W), W.shape[3], plain.four_sides(padding)
    OH, OW = plain.output_size(x.shape[1], K, S, *sides[:2]), plain.output_size(x.shape[2], K, S, *sides[2:])
    return (plain.im2col(x, K, S, padding) @ W.reshape(-1, CO) + b).reshape(len(x), OH, OW, CO)


def im2col_by_taps(x, K, S=1, padding=0):
    top, bottom, left, right = plain.four_sides(padding)
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    OH, OW = plain.output_size(x.shape[1], K, S), plain.output_size(x.shape[2], K, S)
    taps = [x[:, i : i + S * OH : S, j : j + S * OW : S] for i in range(K) for j in range(K)]
    return np.concatenate(taps, axis=-1).reshape(-1, K * K * x.shape[3])


def col2im_by_add_at(patches, shape, K, S=1, padding=0):
    N, H, W, C = shape
    top, bottom, left, right = plain.four_sides(padding)
    where = np.pad(np.arange(N * H * W * C).reshape(shape), ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=-1)
    index = plain.im2col(where, K, S)
    dx = np.zeros(N * H * W * C, patches.dtype)
    np.add.at(dx, index[index >= 0], patches[index >= 0])
    return dx.reshape(shape)


def block_weights_by_concatenation(parts):
    rows = [np.concatenate([part if t == u else 0 * part for u in range(len(parts))], axis=3) for t, part in enumerate(parts)]
    return np.concatenate(rows, axis=2)


def copied_windows(x, K, S=1):
    """Another way to the same view."""
    N, H, W, C = x.shape
    n, h, w, c = x.strides
    shape = (N, (H - K) // S + 1, (W - K) // S + 1, K, K, C)
    return np.lib.stride_tricks.as_strided(x, shape, (n, S * h, S * w, h, w, c))


def top_k_by_rank(logits, labels, k):
    own = logits[np.arange(len(labels)), labels]
    return np.mean((logits > own[:, None]).sum(axis=1) >= k)


def noise_image_by_image(images, sigma, V, rng):
    out = images.copy()
    for image in out:
        image += (V @ (0.1 * sigma * rng.standard_normal(3))).astype(image.dtype)
    return out


def crops_by_index(images, size, rng):
    N, H, W, _ = images.shape
    tops, lefts = rng.integers(0, H - size, N, endpoint=True), rng.integers(0, W - size, N, endpoint=True)
    views = sliding_window_view(images, (size, size), axis=(1, 2))[np.arange(N), tops, lefts].transpose(0, 2, 3, 1)
    mirrored = rng.random(N) < 0.5
    return np.where(mirrored[:, None, None, None], views[:, :, ::-1], views)


ALTERNATIVES = {
    "conv2d": (LoopConv, TensordotConv, ImageByImageConv, minigrad.Conv2d),
    "linear": (minigrad.Linear,),
    "relu": (InclusiveReLU, ReusingReLU, minigrad.ReLU),
    "tanh": (ExponentialTanh, minigrad.Tanh),
    "flatten": (minigrad.Flatten,),
    "maxpool": (LastPool, SharingPool, minigrad.MaxPool2d),
    "lrn": (BandLRN, CumulativeLRN, minigrad.LocalResponseNorm),
    "loss": (ProbabilityLoss, minigrad.SoftmaxCrossEntropy),
    "dropout": (WhereDropout, minigrad.Dropout),
    "exchange": (LoopExchange,),
    "sgd": (ClumsySGD, minigrad.SGD),
}
FUNCTIONS = {
    "conv2d.naive": (conv2d_by_patches,),
    "patches.extract": (im2col_by_taps,),
    "patches.add_back": (col2im_by_add_at,),
    "towers.block_weights": (block_weights_by_concatenation,),
    "arrays.windows": (copied_windows,),
    "metrics.top_k": (top_k_by_rank,),
    "augment.colour_noise": (noise_image_by_image,),
    "augment.crop_flip": (crops_by_index,),
}
