"""Hidden cases, for grading: their sizes, settings and numbers are drawn from a secret seed; their kinds are those of the public cases.

The functions below `hidden_cases` draw one case each, for the exercise they are named after: (rng) or (rng, kind) -> `Case`. Their names
are those of the functions and layers in minigrad.plain, tasks.py and variants.py. A seed must always give the same cases: keep the order
of what is drawn."""

import zlib
from dataclasses import replace

import numpy as np

from minigrad.coursework.cases import Array, Case

NUMBER = 5  # of an exercise's hidden cases


def hidden_cases(exercise, secret, number=NUMBER):
    """The hidden cases of an exercise, a tuple: the same for everybody who knows the secret, an int."""
    rng = np.random.default_rng((secret, zlib.crc32(exercise.id.encode())))
    return tuple(replace(exercise.vary(rng), name=f"hidden-{i + 1}") for i in range(number))


def always(case):
    """For an exercise with one right answer: a function that gives this case whatever is drawn."""
    return lambda rng: case


# ---- what is drawn


def integer(rng, low, high):
    """An int from low to high, both included."""
    return int(rng.integers(low, high + 1))


def one_of(rng, *values):
    return values[integer(rng, 0, len(values) - 1)]


def size_for(rng, K, S):
    """A size into which at least two windows of K pixels with stride S fit, with a remainder or without."""
    return K + S + integer(rng, 0, 2)


# ---- convolution, pooling


def conv_sizes(rng):
    """K, S, C, CO, padding and the shape of x for a convolution."""
    K, S, C, CO = integer(rng, 1, 3), integer(rng, 1, 3), integer(rng, 2, 3), integer(rng, 4, 5)
    padding = tuple(integer(rng, 0, K) for _ in range(4))
    return K, S, C, CO, padding, (integer(rng, 1, 3), size_for(rng, K, S), size_for(rng, K, S) + 1, C)


def conv(rng, kind):
    K, S, C, CO, padding, x = conv_sizes(rng)
    return Case("", x, (C, CO, K), {"stride": S, "padding": padding}, kind)


def conv_naive(rng):
    K, S, C, CO, padding, x = conv_sizes(rng)
    return Case("", x, (Array((K, K, C, CO)), Array((CO,)), S, padding), kind="forward")


def im2col(rng):
    K, S, _, _, padding, x = conv_sizes(rng)
    return Case("", x, (K, S, padding), kind="forward")


def col2im(rng):
    K, S, _, _, padding, x = conv_sizes(rng)
    return Case("", (), (x, K, S, padding), kind="property", property="adjoint_of_im2col")


def dilated_conv(rng, kind):
    K, S, D, C = integer(rng, 2, 3), integer(rng, 1, 2), integer(rng, 2, 3), integer(rng, 2, 3)
    extent = D * (K - 1) + 1
    x = (integer(rng, 1, 3), size_for(rng, extent, S), size_for(rng, extent, S) + 1, C)
    return Case("", x, (C, integer(rng, 4, 5), K), {"stride": S, "dilation": D}, kind)


def circular_conv(rng, kind):
    K, C = integer(rng, 2, 3), integer(rng, 2, 3)
    x = (integer(rng, 1, 3), integer(rng, 4, 5), integer(rng, 5, 7), C)
    return Case("", x, (C, integer(rng, 4, 5), K), {"stride": integer(rng, 1, 2), "padding": integer(rng, 1, 2)}, kind)


def max_pool(rng, kind):
    K, S = integer(rng, 2, 3), integer(rng, 1, 3)
    x = (integer(rng, 2, 3), size_for(rng, K, S), size_for(rng, K, S) + 1, integer(rng, 1, 3))
    return Case("", x, (K, S), kind=kind, inputs=one_of(rng, "kink_free", "kink_free", "ties"))


def pool(rng, kind):
    """Windows without gaps between them: S is at most K."""
    K = integer(rng, 2, 3)
    S = integer(rng, 1, K)
    return Case("", (integer(rng, 2, 3), size_for(rng, K, S), size_for(rng, K, S) + 1, integer(rng, 1, 3)), (K, S), kind=kind)


# ---- the other layers


def linear(rng, kind):
    inputs, outputs = integer(rng, 2, 9), integer(rng, 2, 9)
    return Case("", (integer(rng, 1, 4), inputs), (inputs, outputs), kind=kind)


def any_shape(rng, kind, inputs=("kink_free",), axes=(2, 4)):
    """For a layer that takes arrays of any shape. inputs: one of them is chosen. axes: from so many to so many."""
    shape = tuple(integer(rng, 2, 4) + axis for axis in range(integer(rng, *axes)))
    return Case("", shape, kind=kind, inputs=one_of(rng, *inputs))


def lrn(rng, kind):
    alpha, beta, k = one_of(rng, 0.2, 0.35, 0.6), one_of(rng, 0.5, 0.75, 1.0), one_of(rng, 1.0, 1.5, 2.0)
    kwargs = {"size": one_of(rng, 3, 5, 7), "alpha": alpha, "beta": beta, "k": k}
    return Case("", (integer(rng, 1, 3), 2, 1, integer(rng, 4, 11)), kwargs=kwargs, kind=kind)


def square_norm(rng, kind):
    kwargs = {"size": one_of(rng, 3, 5), "alpha": one_of(rng, 0.2, 0.4), "beta": one_of(rng, 0.5, 0.75), "k": one_of(rng, 1.0, 2.0)}
    return Case("", (integer(rng, 1, 3), integer(rng, 3, 4), integer(rng, 4, 6), 2), kwargs=kwargs, kind=kind)


def dropout(rng, kind):
    kwargs = {"p": one_of(rng, 0.2, 0.35, 0.6), "scale_at": one_of(rng, "test", "train")}
    if kind == "property":
        return Case("", (integer(rng, 7, 9), 23, 31), kwargs=kwargs, kind=kind, property="drops")
    return Case("", (integer(rng, 2, 4), 5, 6), kwargs=kwargs, kind=kind, mode=one_of(rng, "train", "train", "eval"))


def channel_dropout(rng, kind):
    kwargs = {"p": one_of(rng, 0.2, 0.35, 0.6)}
    if kind == "property":
        return Case("", (integer(rng, 20, 30), 3, 2, 40), kwargs=kwargs, kind=kind, property="drops_channels")
    return Case("", (integer(rng, 2, 3), 3, 4, 7), kwargs=kwargs, kind=kind, mode=one_of(rng, "train", "eval"))


def loss(rng, kind, inputs=("kink_free",)):
    N, classes = integer(rng, 1, 5), integer(rng, 2, 9)
    labels = tuple(integer(rng, 0, classes - 1) for _ in range(N))
    return Case("", (N, classes), kind=kind, inputs=one_of(rng, *inputs), labels=labels)


def smoothed_loss(rng, kind):
    case = loss(rng, kind)
    return Case("", case.x, (one_of(rng, 0.05, 0.2),), kind=kind, labels=case.labels)


# ---- towers, learning, ranks


def exchange(rng, kind):
    return Case("", (integer(rng, 2, 4), integer(rng, 1, 3), integer(rng, 1, 2), 3, integer(rng, 1, 4)), kind=kind)


def ring(rng, kind):
    return Case("", (integer(rng, 3, 5), integer(rng, 1, 3), 2, 3, integer(rng, 1, 4)), kind=kind)


def block_weights(rng):
    args = (integer(rng, 2, 4), integer(rng, 1, 3), integer(rng, 1, 3), integer(rng, 2, 4))
    return Case("", (), args, kind="property", property="towers_in_one")


def stages(rng):
    size = integer(rng, 13, 15)
    left = ((size - 3) // 2 + 1 - 3) // 2 + 1
    widths = (2 * integer(rng, 1, 3), 2 * integer(rng, 1, 3))
    args = (widths, 2 * integer(rng, 2, 4), 2 * integer(rng, 1, 3), left)
    return Case("", (2, size, size, 3), args, kind="property", property="same_network")


def sgd(rng):
    kwargs = {"momentum": one_of(rng, 0.8, 0.9, 0.95), "weight_decay": one_of(rng, 1e-3, 5e-2), "bias_lr": one_of(rng, 2.0, 3.0)}
    lrs = tuple(one_of(rng, 0.1, 0.03, 0.01, 0.0) for _ in range(4))
    return Case("", (), ((0.1, *lrs),), kwargs, "property", property="trajectory")


def nesterov(rng):
    kwargs = {"momentum": one_of(rng, 0.8, 0.9), "weight_decay": one_of(rng, 1e-3, 5e-2)}
    lrs = tuple(one_of(rng, 0.1, 0.03, 0.0) for _ in range(4))
    return Case("", (), ((0.1, *lrs),), kwargs, "property", property="trajectory")


def sums(rng):
    return Case("", (integer(rng, 2, 9), integer(rng, 1, 20)), (), {"latency": 1.0}, "property", "normal", property="sums_of_all")


# ---- functions


def windows(rng):
    K, S = integer(rng, 1, 3), integer(rng, 1, 3)
    x = (integer(rng, 1, 3), size_for(rng, K, S), size_for(rng, K, S) + 1, integer(rng, 1, 3))
    return Case("", x, (K, S), kind="property", property="is_view")


def in_place(rng):
    shape = (integer(rng, 3, 6), integer(rng, 2, 5))
    return Case("", shape, (Array(shape), one_of(rng, 0.1, 0.5)), kind="property", property="changes_in_place")


def float64_leak(rng):
    return Case("", (integer(rng, 2, 5), 3), (float(rng.uniform(0.1, 3)),), kind="property", property="keeps_dtype")


def numerical_gradient(rng):
    f = one_of(rng, "cubes", "mixing", "reuses")
    return Case("", (integer(rng, 2, 3), integer(rng, 2, 3)), (f,), kind="property", property="differences")


def shapes(rng):
    H, layers = integer(rng, 30, 90), []
    image, smallest = (H, H + integer(rng, 1, 20), 3), H
    while smallest > 6 and len(layers) < 5:
        K, S = integer(rng, 2, 5), integer(rng, 1, 3)
        padding = tuple(integer(rng, 0, 3) for _ in range(4))
        layers.append(one_of(rng, ("conv", K, S, padding, integer(rng, 4, 99)), ("pool", K, S)))
        smallest = (smallest - K) // S + 1
    return Case("", image, (layers,), kind="forward", inputs="as is")


def crop_flip(rng):
    size = integer(rng, 3, 5)
    return Case("", (400, size + integer(rng, 1, 3), size + integer(rng, 1, 3), 3), (size,), kind="property", property="crops")


def colour_noise(rng):
    V, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    sigma = sorted((float(v) for v in rng.uniform(10, 130, 3)), reverse=True)
    return Case("", (2000, 1, 2, 3), (tuple(sigma), tuple(map(tuple, V.tolist()))), kind="property", inputs="large", property="noise")


def top_k(rng):
    N, classes = integer(rng, 5, 30), integer(rng, 6, 12)
    labels = [integer(rng, 0, classes - 1) for _ in range(N)]
    return Case("", (N, classes), (np.array(labels), integer(rng, 1, 5)), kind="forward")
