"""Model solutions of the exercises that are not layers of the library: arrays, differences, AlexNet's shapes, augmentation, measures, and
what towers and ranks do."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigrad import Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, Sequential
from minigrad.coursework.threads import AllReduce
from minigrad.layers import Layer

# ---- arrays


def windows(x, K, S=1):
    """x (N, H, W, C) -> (N, OH, OW, K, K, C), all K x K windows, S apart, that fit:
    [n, r, q] is x[n, r S : r S + K, q S : q S + K].

    A view: no number is copied."""
    found = sliding_window_view(x, (K, K), axis=(1, 2))[:, ::S, ::S]  # N OH OW C K K
    return found.transpose(0, 1, 2, 4, 5, 3)


def in_place(w, g, lr):
    """w <- w - lr * g, in the memory that w already has: whoever else holds w, or a view of it,
    sees the change. g stays as it is. Returns nothing."""
    w -= lr * g


def float64_leak(x, scale):
    """x * scale in the dtype of x, though scale is an np.float64: float32 stays float32."""
    return x * x.dtype.type(scale)


# ---- derivatives


def numerical_gradient(f, t, dy, h=6e-6):
    """The gradient of sum(dy * f(t)) with respect to every number of t, by central differences with
    step h: an array shaped as t.

    t is float64. It is changed in place, one number at a time, handed to f, and restored exactly.
    f may give its next answer in the same memory: copy what it gives. The gradient is float64,
    too."""
    gradient = np.empty(t.shape)
    for i in np.ndindex(t.shape):
        old = t[i]
        t[i] = old + h
        up = np.array(f(t))
        t[i] = old - h
        down = np.array(f(t))
        t[i] = old
        gradient[i] = (dy * (up - down)).sum() / (2 * h)
    return gradient


# ---- AlexNet


def shapes(image, layers):
    """What comes out of each layer, as a list of (H, W, C).

    image: (H, W, C). layers: a list of ("conv", K, S, (top, bottom, left, right), CO) and
    ("pool", K, S)."""
    H, W, C = image
    found = []
    for kind, K, S, *more in layers:
        top, bottom, left, right = more[0] if kind == "conv" else (0, 0, 0, 0)
        H, W = (H + top + bottom - K) // S + 1, (W + left + right - K) // S + 1
        C = more[1] if kind == "conv" else C
        found.append((H, W, C))
    return found


def stages(widths, hidden, classes, left):
    """The stages of a small AlexNet with two towers: a list of lists, each with one `Sequential`
    for each tower, ready for `Towers`.

    widths: kernels of conv1 and conv2, hidden: units of fc3, classes: logits; both towers together.
    left: rows (and columns) behind pool2.
    Stage 0: conv1 (3 x 3, padding 1, of 3 channels), relu1, norm1, pool1 (3 / 2).
    Stage 1, which sees the channels of both towers: conv2 (3 x 3, padding 1), relu2, pool2 (3 / 2).
    Stage 2, which sees both again: flatten, fc3, relu3, drop3.
    Stage 3, which sees both: fc4, half of the classes in each tower.
    Use the layers of minigrad, with their default arguments where nothing is said."""
    c1, c2 = (width // 2 for width in widths)

    def apart():
        return Sequential(conv1=Conv2d(3, c1, 3, padding=1), relu1=ReLU(), norm1=LocalResponseNorm(), pool1=MaxPool2d(3, 2))

    def together():
        return Sequential(conv2=Conv2d(2 * c1, c2, 3, padding=1), relu2=ReLU(), pool2=MaxPool2d(3, 2))

    def third():
        return Sequential(flatten=Flatten(), fc3=Linear(left * left * 2 * c2, hidden // 2), relu3=ReLU(), drop3=Dropout())

    def fourth():
        return Sequential(fc4=Linear(hidden, classes // 2))

    return [[column(), column()] for column in (apart, together, third, fourth)]


# ---- augmentation and measures


def crop_flip(images, size, rng):
    """images (N, H, W, C) -> (N, size, size, C): of each image a square, every place equally
    likely, mirrored half of the time.

    Each image has draws of its own, from rng, a numpy.random.Generator. With H = 256 and size = 224
    the first row is 0 to 32, both included."""
    N, H, W, C = images.shape
    crops = np.empty((N, size, size, C), images.dtype)
    for n in range(N):
        top, left = rng.integers(H - size + 1), rng.integers(W - size + 1)
        crop = images[n, top : top + size, left : left + size]
        crops[n] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return crops


def colour_noise(images, sigma, V, rng):
    """images (N, H, W, 3) -> the same with V @ (0.1 * sigma * n) added to every pixel of an image;
    n (3,) is drawn from N(0, 1) for each image (paper §4.1).

    sigma (3,): standard deviations along the principal components of the training images' colours.
    V (3, 3): the components, as columns. rng: a numpy.random.Generator.
    A fresh array of the dtype of the images."""
    n = rng.standard_normal((len(images), 3))
    shift = (0.1 * sigma * n) @ V.T
    return images + shift[:, None, None, :].astype(images.dtype)


def top_k_error(logits, labels, k):
    """The fraction of the rows of logits (N, classes) whose label (N,) is not among the k largest.
    A float."""
    largest = np.argsort(-logits, axis=1)[:, :k]
    return float((largest != labels[:, None]).all(axis=1).mean())


# ---- hunting mistakes. Each answer is the letter of a mistake; `explain hunt.1` shows the report and the choice.


def hunt_1():
    """The letter of the mistake that layer 1 has: "a", "b", "c" or "d".

    `python -m minigrad.coursework explain hunt.1` shows its report and the choice."""
    return "c"


def hunt_2():
    """The letter of the mistake that layer 2 has: "a", "b", "c" or "d".

    `python -m minigrad.coursework explain hunt.2` shows its report and the choice."""
    return "a"


def hunt_3():
    """The letter of the mistake that layer 3 has: "a", "b", "c" or "d".

    `python -m minigrad.coursework explain hunt.3` shows its report and the choice."""
    return "d"


def hunt_4():
    """The letter of the mistake that layer 4 has: "a", "b", "c" or "d".

    `python -m minigrad.coursework explain hunt.4` shows its report and the choice."""
    return "b"


def hunt_5():
    """The letter of the mistake that layer 5 has: "a", "b", "c" or "d".

    `python -m minigrad.coursework explain hunt.5` shows its report and the choice."""
    return "a"


# ---- what towers do


class Exchange(Layer):
    """What towers do between two stages: each gets the channels of all.

    x (T, N, H, W, C) -> y (T, N, H, W, T * C), the channels of tower 0 first, in every tower.
    Backward, each tower's channels are told by all towers what L does when they change."""

    def forward(self, x):
        """x (T, ..., C) -> y (T, ..., T * C)."""
        whole = np.concatenate(list(x), axis=-1)
        return np.stack([whole] * len(x))

    def backward(self, dy):
        """dy (T, ..., T * C) -> dx (T, ..., C)."""
        said = np.split(dy, len(dy), axis=-1)  # said[t] (T, ..., C): what each tower says about the channels of tower t
        return np.stack([about.sum(axis=0) for about in said])


def block_weights(parts):
    """parts: a list of T kernels (K, K, C, CO), one for each tower -> W (K, K, T * C, T * CO) of
    one tower that does what they do side by side: the inputs of tower t reach only the outputs of
    tower t. W has the dtype of the parts."""
    T, (K, _, C, CO) = len(parts), parts[0].shape
    W = np.zeros((K, K, T * C, T * CO), parts[0].dtype)
    for t, part in enumerate(parts):
        W[:, :, t * C : (t + 1) * C, t * CO : (t + 1) * CO] = part
    return W


# ---- what many machines do


class RingAllReduce(AllReduce):
    """All-reduce in a ring: every rank sends to its right neighbour, rank + 1, and receives from
    its left one, rank - 1; the right neighbour of the last rank is rank 0.

    x is cut into as many chunks as there are ranks. In R - 1 steps each chunk goes round and every
    rank adds its own numbers; in R - 1 more the finished chunks go round once more. Every step
    sends one chunk, so each rank sends 2 (R - 1) messages of at most ceil(n / R) numbers."""

    def all_reduce(self, comm, x):
        """x (n,), the numbers of this rank -> (n,), the sums over all ranks, of the dtype of x and
        the same bits on all of them. x stays as it is.

        comm.rank is this rank's number, comm.size is R, 1 or more; n may be any number, also less
        than R. comm.send(numbers, to) sends a copy, comm.receive(source) waits for what was
        sent."""
        R, left, right = comm.size, (comm.rank - 1) % comm.size, (comm.rank + 1) % comm.size
        chunks = np.array_split(x.copy(), R)  # views, of n // R or n // R + 1 numbers
        for step in range(R - 1):  # afterwards chunk rank + 1 is finished
            comm.send(chunks[(comm.rank - step) % R], right)
            chunks[(comm.rank - step - 1) % R] += comm.receive(left)
        for step in range(R - 1):
            comm.send(chunks[(comm.rank - step + 1) % R], right)
            chunks[(comm.rank - step) % R] = comm.receive(left)
        return np.concatenate(chunks)


class TreeAllReduce(AllReduce):
    """All-reduce in a binary tree: at distance 1 rank 1 sends all it has to rank 0, rank 3 to
    rank 2, and so on; at distance 2 rank 2 to rank 0, rank 6 to rank 4; at distance 4 rank 4 to
    rank 0, until rank 0 has the sums of all. Then they go back down by the same branches.

    Each level is one message of n numbers: 2 ceil(log2 R) messages one after the other."""

    def all_reduce(self, comm, x):
        """x (n,), the numbers of this rank -> (n,), the sums over all ranks, of the dtype of x and
        the same bits on all of them. x stays as it is.

        comm.rank is this rank's number, comm.size is R, 1 or more, no power of two as a rule.
        comm.send(numbers, to) sends a copy, comm.receive(source) waits for what was sent."""
        total, R = x.copy(), comm.size
        distances = [1 << level for level in range((R - 1).bit_length())]  # 1, 2, 4, ..., all below R
        for d in distances:
            if comm.rank % (2 * d) == d:
                comm.send(total, comm.rank - d)
            elif comm.rank % (2 * d) == 0 and comm.rank + d < R:
                total += comm.receive(comm.rank + d)
        for d in reversed(distances):
            if comm.rank % (2 * d) == 0 and comm.rank + d < R:
                comm.send(total, comm.rank + d)
            elif comm.rank % (2 * d) == d:
                total = comm.receive(comm.rank - d)
        return total
