"""The gradient checker: right layers pass, at whatever input; wrong ones do not, and the report says what is wrong."""

import dataclasses
import functools
import inspect
import json
import pickle
import random
import re
import textwrap
import warnings
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from minigrad import (
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
    Towers,
)
from minigrad.device import CPU
from minigrad.gradcheck import CHECKS, GradientError, assert_gradients, check_layer, kink_free, numerical_gradient

ALL = CHECKS + ("alias", "errors")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Handing three tiny images to threads takes longer than computing them."""
    monkeypatch.setattr(CPU, "threads", 1)


def rng(seed=0):
    return np.random.default_rng(seed)


# ------------------------------------------------------------------------------------------------------------------ layers once more


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


# ---------------------------------------------------------------------------------------------------------- differences, by themselves


def test_the_gradient_of_a_known_function():
    t, dy = kink_free((3, 4), rng()), rng(1).standard_normal((3, 4))
    np.testing.assert_allclose(numerical_gradient(np.sin, t, dy), dy * np.cos(t), rtol=1e-9)
    np.testing.assert_allclose(numerical_gradient(lambda t: (t**3).sum(), t), 3 * t**2, rtol=1e-7)
    assert numerical_gradient(lambda t: t * t, np.array(3.0), 1.0) == pytest.approx(6)


def test_the_error_grows_with_h_as_taylor_says():
    t = np.array([1.0])
    errors = [abs(numerical_gradient(lambda t: np.exp(t).sum(), t, h=h)[0] - np.e) for h in (1e-2, 1e-3, 1e-13)]
    assert errors[0] == pytest.approx(np.e / 6 * 1e-4, rel=1e-3) and errors[1] == pytest.approx(np.e / 6 * 1e-6, rel=1e-2)
    assert errors[2] > 1e-4


def test_t_itself_is_handed_in_and_restored_bit_for_bit():
    t = np.array([[0.1, -0.0, 1e300, 5e-324], [1 / 3, np.pi, -1e-17, 7.0]])[:, ::-1]
    before, seen = t.tobytes(), []
    numerical_gradient(lambda v: seen.append(v is t) or 0.0, t)
    assert all(seen) and len(seen) == 2 * t.size and t.tobytes() == before
    with pytest.raises(ZeroDivisionError):
        numerical_gradient(lambda v: 1 // 0, t)
    assert t.tobytes() == before


def test_a_function_may_use_its_buffer_again():
    buffer = np.empty(3)
    t = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(numerical_gradient(lambda t: np.multiply(t, t, out=buffer), t, np.ones(3)), 2 * t, rtol=1e-9)


def test_differences_want_float64_and_a_dy_that_fits():
    with pytest.raises(TypeError, match="float64.*float32"):
        numerical_gradient(np.sin, np.ones(3, np.float32), np.ones(3))
    with pytest.raises(TypeError, match="float64.*list"):
        numerical_gradient(np.sin, [1.0], np.ones(1))
    for dy in (None, np.ones(4)):
        with pytest.raises(ValueError, match=r"\(3,\).*(\(\)|\(4,\))"):
            numerical_gradient(np.sin, np.ones(3), dy)


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (3, 7, 6, 2), (600,)])
@pytest.mark.parametrize("low, high", [(-2.0, 2.0), (0.0, 1.0), (-1.0, 3.0), (-3.0, 0.5), (5.0, 6.0)])
def test_kink_free_numbers_keep_apart_and_away_from_0(shape, low, high):
    x = kink_free(shape, rng(3), low, high)
    gap = (high - low) / x.size
    assert x.shape == shape and low <= x.min() and x.max() <= high
    assert (np.diff(np.sort(x, axis=None)) >= gap).all() and abs(x).min() >= gap / 4


def test_kink_free_needs_a_range():
    with pytest.raises(ValueError, match="low.*high.*1, 1"):
        kink_free((3,), rng(), 1, 1)


# ------------------------------------------------------------------------------------------------------------- the library's own layers


def conv(*arguments, **options):
    return lambda: Conv2d(*arguments, **options, rng=rng(1))


def dropout(*arguments, training=True, **options):
    return lambda: Dropout(*arguments, **options, rng=rng(1)).train(training)


def sequential():
    return Sequential(
        conv1=Conv2d(2, 3, 3, stride=2, padding=(1, 0, 2, 1)),
        relu1=ReLU(),
        norm1=LocalResponseNorm(3, 0.5, 0.75, 1.0),
        pool1=MaxPool2d(2, 1),
        drop1=Dropout(0.4, rng=rng(1)),
        flatten=Flatten(),
        fc2=Linear(12, 4),
        tanh2=Tanh(),
    )


def exchanging(T, C):
    """T towers with C channels each; the second stage sees the channels of all."""
    first = [Sequential(conv1=Conv2d(2, C, 3, padding=1), tanh1=Tanh(), pool1=MaxPool2d(3, 2)) for _ in range(T)]
    second = [Sequential(conv2=Conv2d(T * C, C, 2), relu2=ReLU()) for _ in range(T)]
    return Towers([first, second], [CPU])


def tiny_net():
    """The stages of the network of 2012, two towers, with channels to be counted on one hand."""

    def apart(t):
        conv1 = Conv2d(2, 2, 3, stride=2, padding=(0, 1, 0, 1))
        return Sequential(conv1=conv1, relu1=ReLU(), norm1=LocalResponseNorm(5, 0.5, 0.75, 1.0), pool1=MaxPool2d(3, 1))

    def together(t):
        return Sequential(conv3=Conv2d(4, 2, 2, padding=(1, 0, 0, 1)), relu3=ReLU(), flatten=Flatten())

    def fully(t):
        return Sequential(fc6=Linear(8, 3), relu6=ReLU(), drop6=Dropout(0.5, rng=rng(t)))

    def last(t):
        return Sequential(fc8=Linear(6, 2))

    return Towers([[part(t) for t in (0, 1)] for part in (apart, together, fully, last)], [CPU])


LIBRARY = {
    "conv": (conv(3, 4, 3), (3, 5, 6, 3)),
    "conv, stride 2": (conv(2, 5, 3, stride=2, padding=1), (3, 7, 6, 2)),
    "conv, stride 3": (conv(2, 4, 2, stride=3), (3, 8, 6, 2)),
    "conv, four paddings": (conv(2, 5, 3, stride=2, padding=(1, 0, 2, 1)), (3, 7, 6, 2)),
    "conv, overhang": (conv(2, 4, 5, stride=2, padding=(0, 3, 0, 3)), (1, 8, 6, 2)),
    "conv, as large as the image": (conv(2, 5, 4), (3, 4, 4, 2)),
    "conv, 1 x 1": (conv(4, 5, 1), (3, 3, 2, 4)),
    "linear": (lambda: Linear(5, 4), (3, 5)),
    "linear, one image": (lambda: Linear(5, 4), (1, 5)),
    "relu": (ReLU, (3, 5)),
    "relu of images": (ReLU, (3, 4, 5, 2)),
    "tanh": (Tanh, (3, 4, 2)),
    "lrn": (lambda: LocalResponseNorm(5, 0.5, 0.75, 1.0), (3, 2, 1, 7)),
    "lrn, another beta": (lambda: LocalResponseNorm(3, 0.5, 0.6, 1.0), (3, 7)),
    "lrn, fewer channels than the window": (lambda: LocalResponseNorm(9, 0.5, 0.75, 1.0), (3, 2, 4)),
    "lrn, the paper's constants": (LocalResponseNorm, (3, 2, 1, 7)),
    "pool 3/2": (MaxPool2d, (3, 8, 6, 2)),
    "pool 2/2": (lambda: MaxPool2d(2, 2), (3, 5, 6, 2)),
    "pool 3/1": (lambda: MaxPool2d(3, 1), (1, 5, 6, 2)),
    "pool 2/3": (lambda: MaxPool2d(2, 3), (3, 8, 6, 2)),
    "dropout": (dropout(0.3), (3, 5)),
    "dropout, testing": (dropout(0.3, training=False), (3, 5)),
    "dropout, scaled in training": (dropout(0.3, scale_at="train"), (3, 2, 4)),
    "dropout, scaled in training, testing": (dropout(0.3, scale_at="train", training=False), (3, 5)),
    "flatten": (Flatten, (3, 2, 5, 4)),
    "sequential": (sequential, (3, 7, 5, 2)),
    "sequential, testing": (lambda: sequential().eval(), (3, 7, 5, 2)),
    "two towers of two channels": (lambda: exchanging(2, 2), (3, 5, 5, 2)),
    "three towers of one": (lambda: exchanging(3, 1), (1, 6, 5, 2)),
}


@pytest.mark.parametrize("make, shape", LIBRARY.values(), ids=LIBRARY)
def test_library_layers_pass_all_six_checks(make, shape):
    report = check_layer(make, shape, checks=ALL)
    assert report.ok, str(report)
    assert report.kinks == 0 and report.notes == () and report.findings == () and report.cause == ""
    assert {entry.method for entry in report.entries} == {"elements"}
    assert {entry.tensor for entry in report.entries} == {"x"} | {p.name for p in make().parameters()}
    assert {entry.draw for entry in report.entries} == {0, 1}
    assert all(entry.worst_error < 1e-8 and entry.wrong == 0 for entry in report.entries)


@pytest.mark.parametrize("training", [True, False])
def test_every_parameter_of_a_tiny_network_passes_all_six_checks(training):
    report = check_layer(lambda: tiny_net().train(training), (3, 8, 6, 2), wrt_x=False, checks=ALL)
    assert report.ok and report.kinks == 0 and report.notes == (), str(report)
    assert {entry.tensor for entry in report.entries} == {p.name for p in tiny_net().parameters()}
    assert {entry.method for entry in report.entries} == {"elements"}


def test_the_loss_passes_all_six_checks():
    report = check_layer(SoftmaxCrossEntropy, (3, 7), np.array([4, 0, 6]), checks=ALL)
    assert report.ok and report.kinks == 0 and report.notes == (), str(report)
    assert [entry.shape for entry in report.entries] == [(3, 7), (2, 7)]


def test_a_layer_is_copied_and_stays_as_it_is():
    layer, x = Sequential(conv1=Conv2d(2, 3, 2), drop1=Dropout(0.4), flatten=Flatten(), fc2=Linear(6, 2)), kink_free((3, 2, 3, 2), rng())
    layer.forward(x.astype(np.float32))
    before, kept = pickle.dumps(layer.__dict__), x.copy()
    assert check_layer(layer, x, checks=ALL).ok
    assert pickle.dumps(layer.__dict__) == before
    np.testing.assert_array_equal(x, kept)


# ---------------------------------------------------------------------------------------------- right layers, at inputs that are awkward


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
RIGHT = {
    "conv by loops": (lambda: LoopConv(1, 2, 2, 2, (1, 0, 0, 1)), (2, 3, 4, 1), kink_free, ()),
    "conv by tensordot": (TensordotConv, IMAGES, kink_free, ()),
    "conv by images": (ImageByImageConv, (3, 5, 4, 2), kink_free, ()),
    "conv of a tied image": (TensordotConv, (3, 5, 4, 2), equal, ()),
    "linear": (PlainLinear, (3, 5), kink_free, ()),
    "linear of one number": (lambda: PlainLinear(1, 1), (1, 1), kink_free, ()),
    **{
        f"{make.__name__}, {kind.__name__}": (make, (3, 5), kind, ())
        for make, kind in [(m, k) for m in (ReLU, PlainReLU, InclusiveReLU, ReusingReLU) for k in (kink_free, kinked)]
    },
    **{
        f"{make.__name__}, {kind.__name__}": (make, shape, kind, ())
        for make in (MaxPool2d, PlainPool, LastPool, SharedPool)
        for kind, shape in ((tied, (3, 5, 4, 1)), (nearly_tied, (2, 5, 6, 1)), (equal, (2, 5, 3, 1)))
    },
    "pool with gaps, tied": (lambda: MaxPool2d(2, 3), (2, 8, 5, 1), tied, ()),
    "pool 3/1, tied": (lambda: MaxPool2d(3, 1), (2, 5, 4, 1), tied, ()),
    **{
        f"{make.__name__}, {kind.__name__}": (make, (3, 2, 1, 7), kind, ())
        for make in (PlainLRN, BandLRN, CumulativeLRN)
        for kind in (kink_free, tied)
    },
    "lrn of large numbers": (lambda: LocalResponseNorm(5, 1e-4, 0.75, 2.0), (3, 2, 1, 7), large, ()),
    "lrn of zeros": (lambda: LocalResponseNorm(5, 0.5, 0.75, 1.0), (2, 7), lambda shape, rng: np.zeros(shape), ()),
    "loss": (LogSumExpLoss, (3, 7), kink_free, LABELS),
    "loss of extreme logits": (LogSumExpLoss, (3, 7), extreme, LABELS),
    "the library's loss of extreme logits": (SoftmaxCrossEntropy, (3, 7), extreme, LABELS),
    "loss of one class": (SoftmaxCrossEntropy, (3, 1), kink_free, (np.zeros(3, int),)),
    "loss of one image and one class": (SoftmaxCrossEntropy, (1, 1), kink_free, (np.zeros(1, int),)),
    "dropout of one number": (lambda: Dropout(0.5, rng=rng(1)), (1, 1), kink_free, ()),
    "another dropout of one number": (lambda: Dropout(0.5, rng=rng(2)), (1, 1), kink_free, ()),
    "a relu network at kinks": (lambda: Sequential(relu1=ReLU(), pool1=MaxPool2d(2, 1), norm1=LocalResponseNorm()), IMAGES, kinked, ()),
    "plain dropout, never before forward": (PlainDropout, (3, 5), kink_free, ()),
    "exchange": (Exchange, (2, 3, 4), kink_free, ()),
    "one axis": (PlainReLU, (7,), kink_free, ()),
}


def false_alarms(name, seeds):
    make, shape, kind, args = RIGHT[name]
    reports = [check_layer(make, kind(shape, rng(seed)), *args, seed=seed) for seed in seeds]
    return [str(report) for report in reports if not report.ok]


@pytest.mark.parametrize("name", RIGHT)
def test_right_layers_pass_at_kinks_ties_and_extremes(name):
    assert not false_alarms(name, range(2 if "loops" in name or "images" in name else 5))


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_right_layers_pass_for_fifty_seeds(name):
    assert not false_alarms(name, range(50))


def test_ties_that_float32_makes_are_no_finding_and_no_note():
    report = check_layer(PlainPool, nearly_tied(IMAGES, rng()))
    assert report.ok and not any("rounding" in note for note in report.notes)


@pytest.mark.parametrize("make", [ReLU, InclusiveReLU])
def test_kinks_are_counted_and_noted(make):
    report = check_layer(make, kinked((3, 5), rng()))
    assert report.kinks == sum(entry.kinks for entry in report.entries) >= 8
    assert "6 of 15 elements stand at kinks" in report.notes[0]
    assert "5 kinks" in str(report)


# ------------------------------------------------------------------------------------------------------------------- wrong layers


source_of = functools.cache(inspect.getsource)


@functools.cache
def plant(cls, old, new):
    """The class with this text in place of that, which occurs once: a bug cannot quietly cease to be one."""
    source = source_of(cls)
    assert source.count(old) == 1, f"{cls.__name__}: {old!r} occurs {source.count(old)} times"
    names = dict(globals())
    exec(source.replace(old, new), names)
    return names[cls.__name__]


# name -> class, text in it, what stands there instead, shape of x, the rule broken, what the cause says, how x is drawn, other arguments
# fmt: off
WRONG = {
    "dW divided by N": (TensordotConv, "((0, 1, 2), (0, 1, 2)))", "((0, 1, 2), (0, 1, 2))) / len(dy)",
        IMAGES, "wrong", r"W: yours = expected × 0\.3333333 = 1/N \(N = 3\)"),
    "db doubled": (TensordotConv, "dy.sum((0, 1, 2))", "2 * dy.sum((0, 1, 2))", IMAGES, "wrong", "b: yours = expected × 2 = 2"),
    "db averaged over places": (TensordotConv, "dy.sum((0, 1, 2))", "dy.mean((1, 2)).sum(0)",
        IMAGES, "wrong", r"=\ 1/\(y\.shape\[1\]\ \*\ y\.shape\[2\]\)\ \(y\.shape\[1\]\ \*\ y\.shape\[2\]\ =\ 6\)"),
    "db keeps an axis": (TensordotConv, "dy.sum((0, 1, 2))", "dy.sum((0, 1))", IMAGES, "shape", r"db has shape \(3, 5\).*b has \(5,\)"),
    "dW accumulates": (TensordotConv, "self.dW = ", "self.dW = getattr(self, 'dW', 0) + ",
        IMAGES, "not-repeatable", "dW: a second backward adds to it"),
    "one weight one percent off": (TensordotConv, "self.db = ", "self.dW[1, 2, 0, 1] *= 1.01; self.db = ",
        IMAGES, "wrong", r"W: only \(1, 2, 0, 1\) is wrong"),
    "one channel of dW": (TensordotConv, "self.db = ", "self.dW[:, :, 1] *= 0.9; self.db = ",
        IMAGES, "wrong", r"W: only index 1 of axis 2 \(the last\) is wrong"),
    "dW as (C, k, k)": (TensordotConv, "self.db = ", "self.dW = self.dW.transpose(2, 0, 1, 3).reshape(self.W.shape); self.db = ",
        IMAGES, "wrong", r"W: .*axes in the order \(2, 0, 1, 3\), filled into the shape"),
    "dW flipped": (TensordotConv, "self.db = ", "self.dW = self.dW[::-1, ::-1]; self.db = ",
        IMAGES, "wrong", "W: yours is the expected array, axis 0 reversed, axis 1 reversed"),
    "stride forgotten": (TensordotConv, "i : i + s * OH : s", "i : i + OH", IMAGES, "wrong", ""),
    "top and left swapped": (TensordotConv, "top : top + H, left : left + W", "left : left + H, top : top + W",
        IMAGES, "shape", r"dx has shape \(3, 4, 4, 2\), but x has \(3, 5, 4, 2\)"),
    "patches of an old batch": (TensordotConv, "padded = np.pad(x,", "padded = np.pad(self.__dict__.setdefault('old', x)[:len(x)],",
        IMAGES, "stale", "y depends on the batch before"),
    "dy ignored": (PlainLinear, "self.x.T @ dy", "self.x.T @ np.ones_like(dy)", FLAT, "ignores-dy", "dW is the same for every dy"),
    "db not summed": (PlainLinear, "dy.sum(0)", "dy", FLAT, "shape", r"db has shape \(3, 4\)"),
    "dW transposed": (PlainLinear, "self.x.T @ dy", "(dy.T @ self.x).reshape(5, 4)",
        FLAT, "wrong", r"W: .*axes in the order \(1, 0\), filled"),
    "sign of dx": (PlainLinear, "return dy @", "return -dy @", FLAT, "wrong", "x: yours = expected × -1: the sign is wrong"),
    "no db": (PlainLinear, "self.dW, self.db = self.x.T @ dy, dy.sum(0)", "self.dW = self.x.T @ dy", FLAT, "missing", "db is None"),
    "db a list": (PlainLinear, "dy.sum(0)", "list(dy.sum(0))", FLAT, "shape", "db is no array of numbers"),
    "dW nan": (PlainLinear, "self.x.T @ dy, dy.sum(0)", "np.sqrt(self.x.T @ dy), dy.sum(0)",
        FLAT, "not-finite", r"dW holds nan, first at \(\d, \d\)"),
    "weights normalised on the way": (PlainLinear, "        self.x = x\n", "        self.x = x\n        self.W /= 2\n",
        FLAT, "writes-parameter", "writes into W; only the optimiser changes parameters"),
    "another array of weights": (PlainLinear, "        self.x = x\n", "        self.x = x\n        self.W = self.W + 0\n",
        FLAT, "parameters", "W is another array after forward"),
    "mask from dy": (PlainReLU, "dy * self.mask", "dy * (dy > 0)", FLAT, "not-linear", "dx is not linear in dy"),
    "mask of an old batch": (PlainReLU, "self.mask = x > 0", "self.mask = self.__dict__.get('mask', x > 0)[:len(x)]",
        FLAT, "stale", "dx depends on the batch before"),
    "mask kept once": (PlainReLU, "self.mask = x > 0", "self.mask = self.__dict__.get('mask', x > 0)",
        FLAT, "stale", "After a batch of another size, backward raises ValueError: operands could not be broadcast"),
    "writes into x": (PlainReLU, "np.maximum(x, 0)", "np.maximum(x, 0, out=x).copy()", FLAT, "writes-x", "forward writes into x"),
    "writes into dy": (PlainReLU, "return dy * self.mask", "dy *= self.mask; return dy.copy()",
        FLAT, "writes-dy", "backward writes into dy"),
    "mask thrown away": (PlainReLU, "dy * self.mask", "dy * self.__dict__.pop('mask')",
        FLAT, "not-repeatable", "After a second backward: backward raises KeyError"),
    "a mask from the start": (PlainReLU, "    def forward", "    mask = 1.0\n\n    def forward",
        FLAT, "order", "backward before forward should raise"),
    "a mask of all instances": (PlainReLU, "self.mask = x > 0", "type(self).mask = x > 0",
        FLAT, "shared-state", "dx changes when another instance is used in between"),
    "a slope of 1.5 at the kink": (PlainReLU, "self.mask = x > 0", "self.mask = np.where(x == 0, 1.5, x > 0).astype(x.dtype)",
        FLAT, "wrong", "x: only", kinked),
    "leak of 0.001": (PlainReLU, "dy * self.mask", "np.where(self.mask, dy, 0.001 * dy)", FLAT, "wrong", "exactly where x is negative"),
    "float64 scalar": (PlainReLU, "dy * self.mask", "dy * self.mask * np.float64(1)", FLAT, "precision", "dx came out as float64"),
    "float32 inside": (PlainReLU, "dy * self.mask", "dy.astype(np.float32) * self.mask",
        FLAT, "precision", "float64 went in, but dx is float32"),
    "half precision inside": (PlainLinear, "return x @ self.W",
        "return x @ self.W.astype(np.float16).astype(x.dtype) if x.dtype == 'f4' else x @ self.W",
        FLAT, "rounding", "y differs in float32"),
    "no cross term": (PlainLRN, "* self.x * cross", "* self.x * cross * 0", (3, 2, 1, 7), "wrong", ""),
    "= for +=": (PlainPool, "j] += self", "j] = self", (3, 7, 6, 2), "wrong", ""),
    "every maximum gets dy": (PlainPool, "best & (best.cumsum(-1) == 1)", "best",
        IMAGES, "tie", "x: where values tie, the shares do not add up", tied),
    "the first of a tie gets two": (PlainPool, "best & (best.cumsum(-1) == 1)",
        "(best & (best.cumsum(-1) == 1)) * best.sum(-1, keepdims=True)", (3, 7, 6, 2), "wrong", "", tied),
    "winners of the last image": (PlainPool, "w == w.max", "np.repeat(w[-1:], N, 0) == w[-1:].max",
        IMAGES, "wrong", r"x: only index 2 of axis 0 \(images\) \(the last\) is right"),
    "1/N forgotten": (LogSumExpLoss, "/ len(dlogits)", "", (3, 7), "wrong", r"x: yours = expected × 3 = N \(N = 3\)", kink_free, *LABELS),
    "divided by N C": (LogSumExpLoss, "/ len(dlogits)", "/ dlogits.size",
        (3, 7), "wrong", r"= 1/x\.shape\[1\] \(x\.shape\[1\] = 7\)", kink_free, *LABELS),
    "no one-hot": (LogSumExpLoss, "-= 1", "-= 0", (3, 7), "wrong", "", kink_free, *LABELS),
    "writes into the logits": (LogSumExpLoss, "z = logits - ", "logits -= logits.mean(); z = logits - ",
        (3, 7), "writes-x", "forward writes into x", kink_free, *LABELS),
    "not scaled in backward": (PlainDropout, "dy * self.mask", "dy * (self.mask > 0)", FLAT, "wrong", r"x: yours = expected × 0\.7\."),
    "a new mask in backward": (PlainDropout, "dy * self.mask", "dy * self.draw(dy)", FLAT, "not-repeatable", "another one after a second"),
    "draws from np.random": (PlainDropout, "self.rng.random(", "np.random.random(",
        FLAT, "foreign-randomness", "draws from something that is not its own generator"),
    "the first mask for ever": (PlainDropout, "self.mask = self.draw(x)\n        return x * self.mask",
        "mask = self.draw(x); self.mask = self.__dict__.get('mask', mask)[:len(x)]; return x * mask",
        FLAT, "wrong", ""),
    "memory order": (PlainFlatten, "len(x), -1", "len(x), -1, order='A'", (3, 2, 5, 4), "strides", "y differs for arrays in Fo"),
    "halves swapped": (Exchange, "said.sum(1)", "said.sum(1)[::-1].copy()", (2, 3, 4), "wrong", "expected array, axis 0 reversed"),
    "own half only": (Exchange, "said.sum(1)", "said[np.arange(len(dy)), np.arange(len(dy))].copy()", (2, 3, 4), "wrong", ""),
    "averaged": (Exchange, "said.sum(1)", "said.mean(1)", (2, 3, 4), "wrong", "x: yours = expected × 0.5 = 1/2"),
    "index beyond": (PlainPool, "dx[:, r * s + i,", "dx[:, r * s + 2 * i,",
        IMAGES, "raises", r"backward raises IndexError: index \d+ is out of bounds .* \(line \d+ of <string>, in backward\)"),
}
# fmt: on


def planted(name):
    cls, old, new, *_ = WRONG[name]
    return plant(cls, old, new)


def check_wrong(name, seed=0, **options):
    shape, kind, *args = WRONG[name][3], *(WRONG[name][6:] or [kink_free])
    return check_layer(planted(name), kind(shape, rng(seed)), *args, seed=seed, **options)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_layers_are_caught_with_their_cause(name):
    rule, cause = WRONG[name][4:6]
    for seed in (0, 1):
        report = check_wrong(name, seed)
        assert report.status == ("error" if rule == "raises" else "failed"), name
        assert report.findings[0].rule == rule, str(report)
        assert re.search(cause, report.cause) and bool(cause) == bool(report.cause), report.cause


@pytest.mark.parametrize("name", WRONG)
def test_suspects_name_every_mistake(name):
    """Among all mistakes of its layer, the one that was made; a right layer is no suspect of anything."""
    others = [other for other in WRONG if WRONG[other][0] is WRONG[name][0]]
    suspects = [("none", WRONG[name][0])] + [(other, planted(other)) for other in others]
    assert check_wrong(name, suspects=suspects).cause == name


def test_right_layers_have_no_suspects():
    report = check_layer(PlainReLU, (3, 5), suspects=[("right", PlainReLU)])
    assert report.ok and report.cause == ""


def test_a_suspected_factor():
    suspects = [("twice", 2), ("not divided by 1 - p", 0.7)]
    assert check_wrong("not scaled in backward", suspects=suspects).cause == "not divided by 1 - p"
    assert check_wrong("sign of dx", suspects=suspects).cause.startswith("x: yours")


# The mistakes that are not seen if a check is left out.
ONLY = {
    "values": {
        "1/N forgotten", "= for +=", "a slope of 1.5 at the kink", "averaged", "dW as (C, k, k)", "dW divided by N", "dW flipped",
        "dW transposed", "db averaged over places", "db doubled", "divided by N C", "every maximum gets dy", "halves swapped",
        "leak of 0.001", "no cross term", "no one-hot", "not scaled in backward", "one channel of dW", "one weight one percent off",
        "own half only", "sign of dx", "stride forgotten", "the first mask for ever", "the first of a tie gets two",
        "winners of the last image",
    },
    "contract": {
        "a mask from the start", "a mask of all instances", "dW accumulates", "mask kept once", "mask of an old batch", "mask thrown away",
        "the first mask for ever",
    },
    "dtype": {"float64 scalar", "half precision inside"},
    "layout": {"memory order"},
}  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_is_needed(check):
    left = tuple(other for other in CHECKS if other != check)
    assert {name for name in WRONG if check_wrong(name, checks=left).ok} == ONLY[check]


def test_the_first_mask_for_ever_is_seen_since_the_second_batch_follows_the_first():
    report = check_wrong("the first mask for ever")
    assert all(entry.wrong == 0 for entry in report.entries if entry.draw == 0)
    assert "ran on the layer that had done the first" in report.notes[-1]


class RudeReLU(PlainReLU):
    """Correct but for what a library asks beyond that."""

    def forward(self, x):
        self.mask = x > 0
        return x if x.min() > 0 else np.maximum(x, 0)

    def backward(self, dy):
        return dy if self.mask.all() else dy * self.mask


def test_views_of_the_input_are_a_note_for_students_and_a_finding_for_a_library():
    x = abs(kink_free((3, 5), rng()))
    assert check_layer(RudeReLU, x).notes == ("y shares memory with x: whoever changes one changes the other.",)
    report = check_layer(RudeReLU, x, checks=("alias",))
    assert [(f.check, f.rule, f.tensor) for f in report.findings] == [("alias", "alias", "y")]
    assert check_layer(PlainFlatten, (3, 2, 4), checks=CHECKS + ("alias",)).ok  # nothing but the shape is another


def test_buffers_used_again_are_a_note_for_students_and_a_finding_for_a_library():
    assert check_layer(ReusingReLU, (3, 5)).notes == ("y is overwritten by a later call.",)
    assert check_layer(ReusingReLU, (3, 5), checks=("alias",)).cause == "y is overwritten by a later call."


def test_errors_name_the_layer_and_both_numbers():
    integers, channels = check_layer(PlainLinear, (3, 5), checks=("errors",)).findings
    assert "An x of integers is accepted" in integers.sentence
    assert "25 channels in place of 5" in channels.sentence and "both numbers" in channels.sentence


# ------------------------------------------------------------------------------------------------------------------------- messages


def settled(report):
    """The report with what differs from machine to machine made equal: time, rounding errors, line numbers."""
    entries = [
        e if e.wrong else dataclasses.replace(e, worst_error=1e-11, index=(0,) * len(e.shape), yours=0.5, expected=0.5)
        for e in report.entries
    ]
    return re.sub(r"line \d+", "line 7", str(dataclasses.replace(report, seconds=0.12, entries=tuple(entries))))


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


def averaging(**options):
    hint = "dW is averaged over the images. Layers sum; only the loss divides by N."
    return check_wrong("dW divided by N", suspects=[(hint, planted("dW divided by N"))], **options)


MESSAGES = {
    "passed": (
        lambda: check_layer(PlainLinear, (3, 5)),
        """
        ✓ PlainLinear · x (3,5) · seed 0 · 175 evaluations, 0.12 s
          gradient of  shape  worst error  at     yours      expected   verdict
          x            (3,5)  1.0e-11      (0,0)  0.5000000  0.5000000  ok
          W            (5,4)  1.0e-11      (0,0)  0.5000000  0.5000000  ok
          b            (4,)   1.0e-11      (0,)   0.5000000  0.5000000  ok
        """,
    ),
    "a factor, and a hint": (
        lambda: averaging(title="conv2d.backward · stride2-pad"),
        """
        ✗ conv2d.backward · stride2-pad · seed 0 · 807 evaluations, 0.12 s
          gradient of  shape      worst error  at         yours      expected   verdict
          x            (3,5,4,2)  1.0e-11      (0,0,0,0)  0.5000000  0.5000000  ok
          W            (3,3,2,5)  6.7e-01      (1,2,0,1)  3.457260   10.37178   90 of 90 wrong
          b            (5,)       1.0e-11      (0,)       0.5000000  0.5000000  ok
          W: yours = expected × 0.3333333 = 1/N (N = 3).
             dW is averaged over the images. Layers sum; only the loss divides by N.
          again:  check_layer(..., seed=0)
        """,
    ),
    "a rule of the contract": (
        lambda: check_layer(GreedyReLU, (3, 5)),
        """
        ✗ GreedyReLU · x (3,5) · seed 0 · 36 evaluations, 0.12 s
          gradient of  shape  worst error  at     yours      expected   verdict
          x            (3,5)  1.0e-11      (0,0)  0.5000000  0.5000000  ok
          contract, writes-dy: backward writes into dy, which belongs to the caller: others still need it (line 7 of test_gradcheck.py:
            `dy *= self.mask`).
          again:  check_layer(..., seed=0)
        """,
    ),
    "not started": (
        lambda: check_layer(BlankReLU, (3, 5)),
        """
        ○ BlankReLU · x (3,5) · seed 0 · not started
          relu.backward is not written yet
        """,
    ),
    "an error": (
        lambda: check_layer(LostLinear, (3, 5), title="linear.backward"),
        """
        ✗ linear.backward · seed 0 · 1 evaluation, 0.12 s
          backward raises IndexError: list index out of range (line 7 of test_gradcheck.py: `return [super().backward(dy)][1]`).
          again:  check_layer(..., seed=0)
        """,
    ),
    "one weight of many": (
        lambda: check_layer(OneWeightOff, (3, 500), seed=1, budget=2000),
        """
        ✗ OneWeightOff · x (3,500) · seed 1 · 358 evaluations, 0.12 s
          gradient of  shape      worst error  at         yours      expected   verdict
          x            (3,500)    1.0e-11      (0,0)      0.5000000  0.5000000  ok, by directions
          W            (500,500)  5.2e-03      (123,456)  -5.799993  -5.742567  7 of 40 wrong, by directions
          b            (500,)     1.0e-11      (0,)       0.5000000  0.5000000  ok, by directions
          W: 7 of 40 random directions and elements are wrong; one is (123, 456): yours -5.799993, expected -5.742567.
          again:  check_layer(..., seed=1)
        """,
    ),
    "a tie": (
        lambda: check_wrong("every maximum gets dy"),
        """
        ✗ PlainPool · x (3,5,4,2) · seed 0 · 322 evaluations, 0.12 s
          gradient of  shape      worst error  at         yours      expected   verdict
          x            (3,5,4,2)  1.0e-11      (0,0,0,0)  0.5000000  0.5000000  wrong, 15 kinks
          x: where values tie, the shares do not add up: along a direction that keeps equal elements equal the slope is 6.411179, yours
            13.61099.
          note: x: 15 of 120 elements stand at kinks, where any one-sided slope is right.
          again:  check_layer(..., seed=0)
        """,
    ),
    "no cause": (
        lambda: check_wrong("= for +="),
        """
        ✗ PlainPool · x (3,7,6,2) · seed 0 · 561 evaluations, 0.12 s
          gradient of  shape      worst error  at         yours      expected   verdict
          x            (3,7,6,2)  4.0e-01      (0,3,2,0)  -2.344254  -3.908374  10 of 252 wrong
          x: 10 of 252 elements are wrong, the worst at (0, 3, 2, 0): yours -2.344254, expected -3.908374.
          No simple cause: neither a factor nor a permutation, and no pattern in where it is wrong.
          again:  check_layer(..., seed=0)
        """,
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name):
    make, text = MESSAGES[name]
    assert settled(make()) == textwrap.dedent(text).strip()


class GreedierReLU(GreedyReLU):
    def forward(self, x):
        return super().forward(np.maximum(x, 0, out=x))


def test_each_writer_is_quoted_with_its_own_line():
    found = {finding.rule: finding.sentence for finding in check_layer(GreedierReLU, (3, 5)).findings}
    assert "`return super().forward(np.maximum(x, 0, out=x))`" in found["writes-x"] and "`dy *= self.mask`" in found["writes-dy"]


def test_the_command_of_the_course_and_marks_for_any_console():
    report = averaging()
    text = report.text(again="python -m minigrad.coursework check conv2d.backward --case stride2-pad --seed 0 --pdb", plain=True)
    assert text.endswith("\n  again:  python -m minigrad.coursework check conv2d.backward --case stride2-pad --seed 0 --pdb")
    assert text.startswith("WRONG: TensordotConv - x (3,5,4,2) - seed 0") and "expected x 0.3333333" in text
    assert text.isascii() and check_layer(PlainReLU, (3, 5)).text(plain=True).startswith("ok: PlainReLU")


def test_a_report_has_plain_fields_for_machines():
    report = averaging()
    assert report.status == "failed" and not report.ok and report.seed == 0 and report.rtol == 1e-6
    fields = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert (
        fields["ok"] is False and fields["entries"][1]["tensor"] == "W" and fields["entries"][1]["index"] == list(report.entries[1].index)
    )
    assert [f.name for f in dataclasses.fields(report)] == [
        "status", "title", "seed", "rtol", "entries", "findings", "notes", "cause", "kinks", "evaluations", "seconds",
    ]  # fmt: skip
    entry = report.entries[1]
    assert (entry.tensor, entry.shape, entry.draw, entry.method, entry.checked, entry.wrong) == ("W", (3, 3, 2, 5), 0, "elements", 90, 90)
    assert entry.worst_error == pytest.approx(2 / 3) and entry.yours == pytest.approx(entry.expected / 3) and 0 < entry.uncertainty < 1e-4
    assert dataclasses.asdict(report.findings[0]) == {
        "check": "values", "rule": "wrong", "tensor": "W", "sentence": "W: yours = expected × 0.3333333 = 1/N (N = 3).",
    }  # fmt: skip
    for frozen in (report, *report.entries, *report.findings):
        with pytest.raises(dataclasses.FrozenInstanceError):
            frozen.tensor = "x"
    assert json.dumps(dataclasses.replace(report, seconds=float("nan")).to_dict(), allow_nan=False)


def test_the_table_for_notebooks():
    page = check_wrong("writes into x", title="a < b")._repr_html_()
    assert "a &lt; b" in page and page.count("<tr>") == 2 and "contract, writes-x" in page
    assert page.count("<") == page.count(">")


def test_messages_are_short_even_for_large_networks():
    net = Sequential(**{f"fc{i}": Linear(2, 2) for i in range(15)})
    lines = str(check_layer(net, (3, 2), checks=("values",))).splitlines()
    assert len(lines) <= 25 and "more tensors" in lines[-1]

    class Wrong(Sequential):
        def backward(self, dy):
            dx = super().backward(dy)
            for layer in self.layers.values():
                layer.dW = layer.dW + 1
            return dx

    report = check_layer(lambda: Wrong(**{f"fc{i}": Linear(2, 2) for i in range(15)}), (3, 2))
    text = str(report)
    assert len(text.splitlines()) <= 25 and len(report.findings) >= 15 and "again:" in text and "array" not in text


def test_assert_gradients_raises_with_the_report_and_nothing_else(capsys):
    assert assert_gradients(PlainReLU, (3, 5)) is None
    with pytest.raises(GradientError) as caught:
        assert_gradients(GreedyReLU, (3, 5), title="relu")
    report = caught.value.report
    assert isinstance(caught.value, AssertionError) and str(caught.value) == str(report) and report.title == "relu"
    assert pickle.loads(pickle.dumps(caught.value)).report == report
    with pytest.raises(GradientError, match="not started"):
        assert_gradients(BlankReLU, (3, 5))
    assert capsys.readouterr() == ("", "")


# ---------------------------------------------------------------------------------------------------- blanks, errors, wrong questions


BLANKS = ["raise NotImplementedError", "raise NotImplementedError('later')", "return None", "return ...", "pass", "..."]


@pytest.mark.parametrize(
    "method, value",
    [(method, value) for method in ("forward(self, x)", "backward(self, dy)") for value in BLANKS]
    + [(method, BLANKS[0]) for method in ("__init__(self)", "parameters(self)", "astype(self, dtype)")],
)
def test_blanks_are_not_started(method, value):
    names = {"PlainReLU": PlainReLU}
    exec(f"class Blank(PlainReLU):\n    def {method}:\n        {value}", names)
    report = check_layer(names["Blank"], (3, 5))
    assert report.status == "not started" and not report.ok and report.findings == () and report.entries == ()
    assert report.notes[0] == "later" if "later" in value else "is not written yet" in report.notes[0]
    assert str(report).startswith("○")


def test_a_network_may_compute_no_gradient_of_its_images():
    net = Sequential(conv1=Conv2d(2, 3, 3), relu1=ReLU())
    net["conv1"].input_gradient = False
    report = check_layer(net, (3, 4, 5, 2), wrt_x=False)
    assert report.ok and {entry.tensor for entry in report.entries} == {"conv1.W", "conv1.b"}
    assert check_layer(net, (3, 4, 5, 2)).status == "not started"


def test_what_the_layer_raises_is_a_finding_with_its_last_line():
    report = check_layer(LostLinear, (3, 5))
    assert report.status == "error" and report.findings[0].rule == "raises"
    assert re.search(r"IndexError.*\(line \d+ of test_gradcheck.py: `return \[super\(\).backward\(dy\)\]\[1\]`\)", report.cause)
    assert "/" not in report.cause
    for error in (ValueError, KeyError, AttributeError, MemoryError, RecursionError, AssertionError):

        def make(error=error):
            raise error("in the constructor")

        report = check_layer(make, (3, 5))
        assert report.status == "error" and f"the constructor raises {error.__name__}" in report.cause


def test_what_cannot_be_copied_is_a_finding():
    class Locked(PlainReLU):
        def __init__(self):
            self.lines = (line for line in [])

    report = check_layer(Locked, (3, 5))
    assert report.status == "error" and "a deep copy of the layer raises TypeError" in report.cause


@pytest.mark.parametrize(
    "y, sentence",
    [
        ("[1.0]", "forward returns list, where an array of floats is expected"),
        ("(x > 0)", "forward returns bool"),
        ("x.astype(np.float32)", "float64 went in, but y is float32"),
        ("np.where(x > 1.5, np.nan, x)", r"y holds nan, first at \(\d, \d\)"),
    ],
)
def test_outputs_that_mean_nothing(y, sentence):
    cls = plant(PlainReLU, "return np.maximum(x, 0)", f"return {y}")
    report = check_layer(cls, (3, 5))
    assert report.status == "failed" and re.search(sentence, report.cause) and report.entries == ()


def test_a_nan_a_small_step_away_is_a_finding():
    x = kink_free((3, 5), rng(), 0.5, 2.0)
    x[1, 2] = 0.0
    cls = plant(PlainReLU, "np.maximum(x, 0)", "x**1.5")
    assert "a small step away, at (1, 2)" in check_layer(cls, x).cause
    assert "a small step away" in check_layer(cls, np.resize(x, (3, 400)), budget=500).cause


def test_a_point_that_proves_nothing_is_a_finding():
    report = check_layer(PlainReLU, -abs(kink_free((3, 5), rng())))
    assert [f.rule for f in report.findings] == ["uninformative"] and "choose another x" in report.cause


def test_an_output_that_does_not_depend_on_a_tensor_is_a_note():
    report = check_layer(SoftmaxCrossEntropy, (3, 1), np.zeros(3, int))
    assert report.ok and report.notes == ("y does not depend on x.",)


def test_parameters_are_drawn_again_while_all_units_are_silent():
    """One of two units alone is silent for every second bias, and then its weights' gradient vanishes."""
    for seed in range(10):
        net = Sequential(fc1=Linear(2, 1), relu1=ReLU(), fc2=Linear(1, 3))
        assert check_layer(net, np.full((3, 2), 0.1), seed=seed, checks=("values",)).ok


def test_parameters_have_names_and_live_arrays():
    class Twice(PlainLinear):
        names = ("W", "W", "b")

    class Copies(PlainLinear):
        def parameters(self):
            return [SimpleNamespace(name=p.name, value=p.value.copy(), grad=p.grad) for p in super().parameters()]

    class Numbers(PlainLinear):
        def parameters(self):
            return [SimpleNamespace(name="W", value=3.0, grad=None)]

    class Bare(PlainLinear):
        def parameters(self):
            return [self.W, self.b]

    class Whole(PlainLinear):
        def astype(self, dtype):
            return self

        def __init__(self):
            self.W, self.b = np.zeros((5, 4), np.float32), np.zeros(4, np.float32)

    expected = {
        Twice: "the name 'W' twice",
        Copies: "W is another array after forward",
        Numbers: "W must be an array of floats, but is float",
        Bare: "parameters() must yield objects with name, value and grad",
        Whole: "W is float32 after astype(float64)",
    }
    for cls, sentence in expected.items():
        report = check_layer(cls, (3, 5))
        assert report.status == "failed" and sentence in report.cause, str(report)


def test_backward_before_forward_may_not_be_silent():
    class Silent(PlainReLU):
        def backward(self, dy):
            if not hasattr(self, "mask"):
                raise RuntimeError
            return dy * self.mask

    assert "it should say what is wrong" in check_layer(Silent, (3, 5)).cause
    assert check_layer(Silent(), (3, 5)).ok  # whoever hands in a layer may have used it


@pytest.mark.parametrize(
    "arguments, options, error, words",
    [
        ((PlainReLU, np.ones((3, 5), int)), {}, TypeError, "floats.*int64"),
        ((PlainReLU, [3, 5]), {}, TypeError, "shape as a tuple"),
        ((PlainReLU, np.ones((0, 5))), {}, ValueError, r"at least one image.*\(0, 5\)"),
        ((PlainReLU, (0, 5)), {}, ValueError, r"at least one image.*\(0, 5\)"),
        ((PlainReLU, ()), {}, ValueError, "at least one image"),
        ((PlainReLU, np.array(1.0)), {}, ValueError, "at least one image"),
        ((PlainReLU, np.array([[np.nan]])), {}, ValueError, "nan"),
        ((PlainReLU, (3, 5)), {"checks": ("values", "speed")}, ValueError, "'speed'.*values, contract"),
        ((PlainReLU, (3, 5)), {"checks": "values"}, TypeError, r"tuple.*\('values',\)"),
        ((PlainReLU, (3, 5)), {"budget": 30}, ValueError, r"at least \d+ for 1 tensor"),
        ((3.0, (3, 5)), {}, TypeError, "a layer or a function.*float"),
        ((dict, (3, 5)), {}, TypeError, "dict has no forward"),
        ((lambda: SimpleNamespace(forward=abs), (3, 5)), {}, TypeError, "has no backward"),
    ],
)
def test_questions_without_an_answer(arguments, options, error, words):
    with pytest.raises(error, match=words) as caught:
        check_layer(*arguments, **options)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------------ budget, and large tensors


class Counting:
    """Counts every call of forward, also those of its copies."""

    calls = 0

    def __init__(self, layer):
        self.layer = layer

    def forward(self, x, *args):
        Counting.calls += 1
        return self.layer.forward(x, *args)

    def backward(self, *dy):
        return self.layer.backward(*dy)

    def parameters(self):
        return self.layer.parameters()

    def astype(self, dtype):
        self.layer.astype(dtype)
        return self


@pytest.mark.parametrize("budget", [200, 700, 3000])
@pytest.mark.parametrize(
    "make, kind", [(lambda: PlainLinear(40, 30), kink_free), (PlainReLU, kinked), (OneWeightOff, kink_free), (PlainDropout, tied)]
)
def test_the_budget_is_kept(make, kind, budget):
    Counting.calls = 0
    x = kind((4, 500 if make is OneWeightOff else 40), rng())
    report = check_layer(lambda: Counting(make()), x, budget=budget, checks=ALL[:-1])
    assert report.evaluations == Counting.calls <= budget
    assert report.ok == (make is not OneWeightOff), str(report)


def test_the_budget_is_kept_where_everything_is_wrong():
    wrong = plant(PlainReLU, "dy * self.mask", "2 * dy")
    for budget, kind in ((200, kinked), (1000, kink_free), (1000, tied)):
        Counting.calls = 0
        report = check_layer(lambda: Counting(wrong()), kind((4, 50), rng()), budget=budget)
        assert report.status == "failed" and report.evaluations == Counting.calls <= budget


def test_small_tensors_by_elements_large_ones_by_directions():
    report = check_layer(lambda: PlainLinear(100, 90), (3, 100))
    assert {entry.tensor: entry.method for entry in report.entries} == {"x": "elements", "W": "directions", "b": "elements"}
    W = next(entry for entry in report.entries if entry.tensor == "W")
    assert report.ok and W.checked == 40 and W.worst_error < 1e-8
    assert "ok, by directions" in str(report)


def test_steps_along_directions_are_short_enough_for_curved_functions():
    net = Sequential(fc1=Linear(1000, 60), tanh1=Tanh())
    errors = [entry.worst_error for entry in check_layer(net, (3, 1000), budget=1000, checks=("values",)).entries]
    assert max(errors) < 5e-9


def test_a_wrong_weight_among_a_quarter_of_a_million_is_found_and_named():
    for seed in (0, 1):
        report = check_layer(OneWeightOff, (3, 500), seed=seed, budget=1000)
        entry = next(entry for entry in report.entries if entry.wrong)
        assert (entry.tensor, entry.method, entry.index) == ("W", "directions", (123, 456))
        assert entry.yours == pytest.approx(1.01 * entry.expected, rel=1e-6)
        assert "one is (123, 456)" in report.cause and report.evaluations < 700


def test_a_large_tensor_at_kinks_and_ties():
    for make in (PlainReLU, InclusiveReLU, ReLU):
        report = check_layer(make, kinked((3, 4000), rng()), budget=2000)
        assert report.ok and report.entries[0].method == "directions", str(report)
    for make in (PlainPool, LastPool, SharedPool, MaxPool2d):
        report = check_layer(make, tied((3, 21, 20, 2), rng()), budget=2000)
        assert report.ok and report.kinks, str(report)
    wrong = plant(PlainPool, "best & (best.cumsum(-1) == 1)", "best")
    assert check_layer(wrong, tied((3, 21, 20, 2), rng()), budget=2000).findings[0].rule == "tie"


def test_large_tensors_that_are_wrong_altogether():
    assert check_layer(lambda: plant(PlainLinear, "self.x.T @ dy", "2 * self.x.T @ dy")(100, 90), (3, 100)).findings[0].tensor == "W"
    assert check_layer(lambda: plant(PlainLinear, "self.x.T @ dy", "0 * self.x.T @ dy")(100, 90), (3, 100)).findings[0].tensor == "W"
    report = check_layer(PlainReLU, -abs(kink_free((3, 4000), rng())), budget=2000)
    assert report.findings[0].rule == "uninformative"


def test_a_whole_network():
    from alexnet import AlexNet

    net = AlexNet("small", num_classes=3)
    x = kink_free((1, 28, 28, 3), rng(), 0.0, 1.0)
    report = check_layer(net, x, wrt_x=False, checks=("values",), budget=450)
    assert report.ok, str(report)
    assert {entry.tensor for entry in report.entries} == {p.name for p in net.parameters()}


# -------------------------------------------------------------------------------------------------------------------- nothing is left


def test_the_state_of_the_process_is_left_as_it_was(capsys):
    class Careless(PlainReLU):
        def forward(self, x):
            np.random.seed(3)
            random.seed(4)
            np.seterr(all="raise")
            warnings.simplefilter("error")
            return super().forward(x)

    np.random.seed(1)
    random.seed(2)
    filters, handling = list(warnings.filters), np.geterr()
    states = [np.random.get_state()[1].tolist(), random.getstate()]
    for make in (Careless, planted("draws from np.random"), LostLinear, BlankReLU):
        check_layer(make, (3, 5))
        assert [np.random.get_state()[1].tolist(), random.getstate()] == states
        assert warnings.filters == filters and np.geterr() == handling
    assert capsys.readouterr() == ("", "")


def test_warnings_of_the_layer_become_notes():
    cls = plant(PlainReLU, "self.mask = x > 0", "self.mask = x > 0; np.exp(1e5 * x); np.log(-x)")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = check_layer(cls, (3, 5))
    assert report.ok and len(report.notes) >= 2 and "warning: overflow encountered in exp (line" in report.notes[0]


def test_the_same_seed_gives_the_same_report():
    one, two = (dataclasses.replace(check_wrong("= for +="), seconds=0.0) for _ in range(2))
    assert one == two
    other = check_layer(PlainLinear, (3, 5), seed=1)
    assert other.entries[1].expected != check_layer(PlainLinear, (3, 5), seed=0).entries[1].expected


def test_labels_are_cut_along_with_the_images():
    seen = []

    class Loss(LogSumExpLoss):
        def forward(self, logits, labels, scale):
            seen.append((len(logits), labels.tolist(), scale))
            return super().forward(logits, labels)

    labels = np.array([4, 0, 6])
    assert check_layer(Loss, (3, 7), labels, 2.5).ok
    assert (3, [4, 0, 6], 2.5) in seen and (2, [4, 0], 2.5) in seen and {len(labels) == n for n, labels, _ in seen} == {True}

    class Relabelling(LogSumExpLoss):
        def forward(self, logits, labels):
            loss = super().forward(logits, labels.copy())
            labels[:] = 1
            return loss

    assert check_layer(Relabelling, (3, 7), labels).ok
    assert labels.tolist() == [4, 0, 6]


def test_the_checker_knows_numpy_and_nothing_of_the_package():
    from minigrad import gradcheck

    imported = re.findall(r"^(?:import|from) (\w+)", inspect.getsource(gradcheck), re.MULTILINE)
    assert "numpy" in imported and "minigrad" not in imported


# ------------------------------------------------------------------------------------------------------------------ another authority


def test_torch_computes_the_same_gradients():
    torch = pytest.importorskip("torch")
    x, dy = kink_free((3, 7, 6, 2), rng()), rng(1).standard_normal((3, 3, 3, 5))
    W, b = rng(2).standard_normal((3, 3, 2, 5)), rng(3).standard_normal(5)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, W, b)]
    images, kernel = tensors[0].permute(0, 3, 1, 2), tensors[1].permute(3, 2, 0, 1)
    padded = torch.nn.functional.pad(images, (1, 1, 1, 0))
    y = torch.nn.functional.conv2d(torch.tanh(padded), kernel, tensors[2], stride=2).permute(0, 2, 3, 1)
    (y * torch.tensor(dy)).sum().backward()

    def forward(_):
        padded = np.pad(np.tanh(x), ((0, 0), (1, 0), (1, 1), (0, 0)))
        return np.tensordot(sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2].transpose(0, 1, 2, 4, 5, 3), W, 3) + b

    for t, tensor in zip((x, W, b), tensors, strict=True):
        np.testing.assert_allclose(numerical_gradient(forward, t, dy), tensor.grad.numpy(), rtol=1e-7, atol=1e-8)


def test_layers_on_torch_autograd_pass():
    """A layer whose backward is torch's: what the checker says of it says something about the checker."""
    torch = pytest.importorskip("torch")

    class Autograd(Plain):
        def forward(self, x):
            self.x = torch.tensor(np.ascontiguousarray(x), requires_grad=True)
            self.y = torch.nn.functional.gelu(self.x) * torch.softmax(self.x, -1)
            return self.y.detach().numpy().copy()

        def backward(self, dy):
            return torch.autograd.grad(self.y, self.x, torch.tensor(np.ascontiguousarray(dy)), retain_graph=True)[0].numpy().copy()

        def __deepcopy__(self, memo):
            return type(self)()

    report = check_layer(Autograd, (3, 5), checks=CHECKS + ("alias",))
    assert report.ok and report.kinks == 0, str(report)
