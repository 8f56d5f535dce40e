"""The exercises: what is to be written, with what it is tried, and what usually goes wrong.

Public cases are listed; hidden ones, for grading, come from `vary` and a secret seed: other sizes, hyper-parameters and numbers of the
same kinds. Sizes are odd on purpose: axes that are equal, and sizes whose ratios are, hide mistakes."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from minigrad import plain
from minigrad.coursework import mistakes as m
from minigrad.coursework import tasks
from minigrad.coursework.cases import Array, Case

HIDDEN = 5  # hidden cases of an exercise


@dataclass(frozen=True)
class Exercise:
    """source: the model solution, a class or function of minigrad.coursework. write: its functions to be written; all else is given.
    after: ids that come first. cases: public. vary: rng -> a hidden Case. mistakes: known ones, `others` those of the source's other
    functions. library: the library's own versions, which a graded solution may not use. random: forward draws."""

    id: str
    title: str
    source: type
    write: tuple
    after: tuple
    cases: tuple
    vary: Callable
    mistakes: tuple
    points: int
    minutes: int
    reading: str
    others: tuple = ()
    library: tuple = ()
    random: bool = False

    @property
    def group(self):
        """The first word of the id: what `new` writes into one file."""
        return self.id.split(".")[0]


def hidden(exercise, secret, number=HIDDEN):
    """The hidden cases of an exercise: the same for everybody who knows the secret, an int."""
    rng = np.random.default_rng((secret, zlib.crc32(exercise.id.encode())))
    return tuple(replace(exercise.vary(rng), name=f"hidden-{i + 1}") for i in range(number))


# ---- hidden cases: sizes and settings drawn


def whole(rng, low, high):
    """An int from low to high, both of them included."""
    return int(rng.integers(low, high + 1))


def choice(rng, *values):
    return values[whole(rng, 0, len(values) - 1)]


def window(rng, K, S):
    """A size into which at least two windows fit, with a remainder or without."""
    return K + S + whole(rng, 0, 2)


def any_conv(rng, kind):
    K, S, C, CO = whole(rng, 1, 3), whole(rng, 1, 3), whole(rng, 2, 3), whole(rng, 4, 5)
    padding = tuple(whole(rng, 0, K) for _ in range(4))
    x = (whole(rng, 1, 3), window(rng, K, S), window(rng, K, S) + 1, C)
    return Case("", x, (C, CO, K), {"stride": S, "padding": padding}, kind)


def any_naive(rng):
    K, S, C, CO = whole(rng, 1, 3), whole(rng, 1, 3), whole(rng, 2, 3), whole(rng, 4, 5)
    padding = tuple(whole(rng, 0, K) for _ in range(4))
    x = (whole(rng, 1, 3), window(rng, K, S), window(rng, K, S) + 1, C)
    return Case("", x, (Array((K, K, C, CO)), Array((CO,)), S, padding), kind="forward")


def any_patches(rng):
    case = any_naive(rng)
    K, S, padding = case.args[0].shape[0], *case.args[2:]
    return replace(case, args=(K, S, padding))


def any_add_back(rng):
    case = any_patches(rng)
    return Case("", (), (case.x, *case.args), kind="property", property="adjoint_of_im2col")


def any_linear(rng, kind):
    I, O = whole(rng, 2, 9), whole(rng, 2, 9)  # noqa: E741
    return Case("", (whole(rng, 1, 4), I), (I, O), kind=kind)


def any_shape(rng, kind, inputs=("kink_free",), axes=(2, 4)):
    shape = tuple(whole(rng, 2, 4) + axis for axis in range(whole(rng, *axes)))
    return Case("", shape, kind=kind, inputs=choice(rng, *inputs))


def any_lrn(rng, kind):
    alpha, beta, k = choice(rng, 0.2, 0.35, 0.6), choice(rng, 0.5, 0.75, 1.0), choice(rng, 1.0, 1.5, 2.0)
    settings = {"size": choice(rng, 3, 5, 7), "alpha": alpha, "beta": beta, "k": k}
    return Case("", (whole(rng, 1, 3), 2, 1, whole(rng, 4, 11)), kwargs=settings, kind=kind)


def any_pool(rng, kind):
    K, S = whole(rng, 2, 3), whole(rng, 1, 3)
    x = (whole(rng, 2, 3), window(rng, K, S), window(rng, K, S) + 1, whole(rng, 1, 3))
    return Case("", x, (K, S), kind=kind, inputs=choice(rng, "kink_free", "kink_free", "ties"))


def any_dropout(rng, kind):
    settings = {"p": choice(rng, 0.2, 0.35, 0.6), "scale_at": choice(rng, "test", "train")}
    if kind == "property":
        return Case("", (whole(rng, 7, 9), 23, 31), kwargs=settings, kind=kind, property="drops")
    return Case("", (whole(rng, 2, 4), 5, 6), kwargs=settings, kind=kind, mode=choice(rng, "train", "train", "eval"))


def any_loss(rng, kind, inputs=("kink_free",)):
    N, classes = whole(rng, 1, 5), whole(rng, 2, 9)
    labels = tuple(whole(rng, 0, classes - 1) for _ in range(N))
    return Case("", (N, classes), kind=kind, inputs=choice(rng, *inputs), labels=labels)


def any_exchange(rng, kind):
    return Case("", (whole(rng, 2, 4), whole(rng, 1, 3), whole(rng, 1, 2), 3, whole(rng, 1, 4)), kind=kind)


def any_steps(rng):
    settings = {"momentum": choice(rng, 0.8, 0.9, 0.95), "weight_decay": choice(rng, 1e-3, 5e-2), "bias_lr": choice(rng, 2.0, 3.0)}
    lrs = tuple(choice(rng, 0.1, 0.03, 0.01, 0.0) for _ in range(4))
    return Case("", (), ((0.1, *lrs),), settings, "property", property="trajectory")


def any_stack(rng):
    H, layers = whole(rng, 30, 90), []
    image, smallest = (H, H + whole(rng, 1, 20), 3), H
    while smallest > 6 and len(layers) < 5:
        K, S = whole(rng, 2, 5), whole(rng, 1, 3)
        padding = tuple(whole(rng, 0, 3) for _ in range(4))
        layers.append(choice(rng, ("conv", K, S, padding, whole(rng, 4, 99)), ("pool", K, S)))
        smallest = (smallest - K) // S + 1
    return Case("", image, (layers,), kind="forward", inputs="as is")


def any_stages(rng):
    size = whole(rng, 13, 15)
    left = ((size - 3) // 2 + 1 - 3) // 2 + 1
    widths = (2 * whole(rng, 1, 3), 2 * whole(rng, 1, 3))
    args = (widths, 2 * whole(rng, 2, 4), 2 * whole(rng, 1, 3), left)
    return Case("", (2, size, size, 3), args, kind="property", property="same_network")


def any_blocks(rng):
    return Case("", (), (whole(rng, 2, 4), whole(rng, 1, 3), whole(rng, 1, 3), whole(rng, 2, 4)), kind="property", property="towers_in_one")


def any_crops(rng):
    size = whole(rng, 3, 5)
    return Case("", (400, size + whole(rng, 1, 3), size + whole(rng, 1, 3), 3), (size,), kind="property", property="crops")


def any_noise(rng):
    V, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    sigma = sorted((float(v) for v in rng.uniform(10, 130, 3)), reverse=True)
    return Case("", (2000, 1, 2, 3), (tuple(sigma), tuple(map(tuple, V.tolist()))), kind="property", inputs="large", property="noise")


def any_top_k(rng):
    N, classes = whole(rng, 5, 30), whole(rng, 6, 12)
    labels = [whole(rng, 0, classes - 1) for _ in range(N)]
    return Case("", (N, classes), (np.array(labels), whole(rng, 1, 5)), kind="forward")


def any_windows(rng):
    K, S = whole(rng, 1, 3), whole(rng, 1, 3)
    x = (whole(rng, 1, 3), window(rng, K, S), window(rng, K, S) + 1, whole(rng, 1, 3))
    return Case("", x, (K, S), kind="property", property="is_view")


def any_update(rng):
    shape = (whole(rng, 3, 6), whole(rng, 2, 5))
    return Case("", shape, (Array(shape), choice(rng, 0.1, 0.5)), kind="property", property="changes_in_place")


def any_scale(rng):
    return Case("", (whole(rng, 2, 5), 3), (float(rng.uniform(0.1, 3)),), kind="property", property="keeps_dtype")


def any_slope(rng):
    f = choice(rng, "cubes", "mixing", "reuses")
    return Case("", (whole(rng, 2, 3), whole(rng, 2, 3)), (f,), kind="property", property="differences")


def no_other(case):
    """An exercise with one right answer has no other cases."""
    return lambda rng: case


# ---- exercises

IMAGE = ((((1.0,), (2.0,), (0.0,)), ((3.0,), (4.0,), (0.0,))),)  # 1 2 0 above 3 4 0
KERNEL = np.array([[[[1.0]], [[10.0]]], [[[100.0]], [[1000.0]]]])
MADE = ((((4321.5,), (402.5,)),),)  # of both, with a bias of 0.5

NAIVE = (
    Case("worked", IMAGE, (KERNEL, np.array([0.5])), kind="worked", inputs="numbers", expected={"y": np.array(MADE)}),
    Case("plain", (3, 5, 4, 2), (Array((3, 3, 2, 5)), Array((5,))), kind="forward"),
    Case("stride2-pad", (3, 7, 6, 2), (Array((3, 3, 2, 5)), Array((5,)), 2, (1, 0, 2, 1)), kind="forward", weight=2),
    Case("overhang", (1, 6, 5, 2), (Array((3, 3, 2, 5)), Array((5,)), 3, (0, 3, 0, 3)), kind="forward"),
)  # fmt: skip

EXTRACT = (
    Case("worked", ((((1.0,), (2.0,), (3.0,)), ((4.0,), (5.0,), (6.0,))),), (2,),
         kind="worked", inputs="numbers", expected={"y": np.array([[1.0, 2.0, 4.0, 5.0], [2.0, 3.0, 5.0, 6.0]])}),
    Case("plain", (3, 5, 4, 2), (3,), kind="forward"),
    Case("stride2-pad", (3, 7, 6, 2), (3, 2, (1, 0, 2, 1)), kind="forward", weight=2),
    Case("one-by-one", (2, 4, 5, 3), (1, 3), kind="forward"),
)  # fmt: skip

ADD_BACK = (
    Case("plain", (), ((3, 5, 4, 2), 3), kind="property", property="adjoint_of_im2col"),
    Case("stride2-pad", (), ((3, 7, 6, 2), 3, 2, (1, 0, 2, 1)), kind="property", property="adjoint_of_im2col", weight=2),
    Case("remainder", (), ((2, 6, 5, 3), 3, 2), kind="property", property="adjoint_of_im2col"),
    Case("overhang", (), ((1, 6, 5, 2), 3, 3, (0, 3, 0, 3)), kind="property", property="adjoint_of_im2col"),
)

CONV = (
    ("plain", (3, 5, 4, 2), (2, 5, 3), {}),
    ("stride2-pad", (3, 7, 6, 2), (2, 5, 3), {"stride": 2, "padding": (1, 0, 2, 1)}),
    ("remainder", (3, 6, 5, 2), (2, 4, 3), {"stride": 2}),
    ("overhang", (1, 6, 5, 2), (2, 5, 3), {"stride": 3, "padding": (0, 3, 0, 3)}),
    ("whole-image", (5, 3, 4, 2), (2, 6, 4), {"padding": (0, 1, 0, 0)}),
    ("one-by-one", (2, 4, 5, 3), (3, 4, 1), {"stride": 3}),
)
CONV_WORKED = {
    "x": IMAGE,
    "args": (1, 1, 2),
    "inputs": "numbers",
    "kind": "worked",
    "given": {"W": KERNEL, "b": np.array([0.5])},
}

LRN = (
    ("seven-channels", (3, 2, 1, 7), {"alpha": 0.5, "k": 1.0}),
    ("fewer-than-size", (3, 2, 1, 4), {"alpha": 0.5, "k": 1.0}),
    ("size-3", (2, 1, 4, 8), {"size": 3, "alpha": 0.4, "beta": 0.5, "k": 1.5}),
    ("paper", (3, 2, 1, 7), {}),
)

POOL = (
    ("overlapping", (3, 7, 6, 2), (3, 2), "kink_free"),
    ("two-by-two", (3, 5, 4, 2), (2, 2), "kink_free"),
    ("gaps", (1, 6, 8, 3), (2, 3), "kink_free"),
    ("every-pixel", (2, 4, 5, 3), (3, 1), "kink_free"),
    ("ties", (3, 7, 6, 2), (3, 2), "ties"),
)

LOSS_WORKED = {
    "x": ((0.0, 0.0), (0.0, float(np.log(3.0)))),
    "labels": (0, 1),
    "inputs": "numbers",
    "kind": "worked",
}

FAR = ((1e4, -1e4, 30.0, 5e3), (-2e3, 0.0, 7e3, -50.0), (-1e4, 4.0, -4.0, 2.5))  # labels 1, 0, 2 are largest neither so nor mirrored

IMAGENET_COLOURS = (  # paper §4.1; standard deviations in grey levels, components as columns
    (121.7801, 37.0939, 19.7208),
    ((-0.56351, -0.71258, 0.41796), (-0.57618, -0.02354, -0.81698), (-0.59200, 0.70120, 0.39731)),
)

PAPER_LAYERS = [
    ("conv", 11, 4, (0, 3, 0, 3), 48), ("pool", 3, 2), ("conv", 5, 1, (2, 2, 2, 2), 128), ("pool", 3, 2),
    ("conv", 3, 1, (1, 1, 1, 1), 192), ("conv", 3, 1, (1, 1, 1, 1), 192), ("conv", 3, 1, (1, 1, 1, 1), 128), ("pool", 3, 2),
]  # fmt: skip
PAPER_SHAPES = [(55, 55, 48), (27, 27, 48), (27, 27, 128), (13, 13, 128), (13, 13, 192), (13, 13, 192), (13, 13, 128), (6, 6, 128)]


def hunt(number, mistakes):
    case = Case("answer", kind="property", property="answers")
    return Exercise(
        f"hunt.{number}", f"Which mistake has layer {number}? Its report tells", getattr(tasks, f"hunt_{number}"), (f"hunt_{number}",),
        ("numerical_gradient",), (case,), no_other(case), mistakes, 1, 5, "notebook 01; `explain hunt." + f"{number}` shows the report",
    )  # fmt: skip


EXERCISES = (
    Exercise(
        "arrays.windows", "All windows of an image, as a view", tasks.windows, ("windows",), (),
        (
            Case("plain", (2, 5, 4, 3), (3,), kind="property", property="is_view"),
            Case("stride2", (1, 7, 6, 2), (3, 2), kind="property", property="is_view", weight=2),
            Case("gaps", (3, 5, 8, 1), (2, 3), kind="property", property="is_view"),
        ),
        any_windows, m.WINDOWS, 2, 15, "notebook 00; numpy.lib.stride_tricks.sliding_window_view",
    ),
    Exercise(
        "arrays.in_place", "Change an array where it lies", tasks.in_place, ("in_place",), (),
        (
            Case("matrix", (4, 3), (Array((4, 3)), 0.1), kind="property", property="changes_in_place"),
            Case("images", (3, 2, 5, 4), (Array((3, 2, 5, 4)), 0.5), kind="property", property="changes_in_place"),
        ),
        any_update, m.IN_PLACE, 1, 5, "notebook 00",
    ),
    Exercise(
        "arrays.float64_leak", "float32 in, float32 out, whatever it is multiplied by", tasks.float64_leak, ("float64_leak",), (),
        (
            Case("third", (4, 3), (1 / 3,), kind="property", property="keeps_dtype"),
            Case("images", (2, 3, 5, 4), (2.5,), kind="property", property="keeps_dtype"),
        ),
        any_scale, m.FLOAT64_LEAK, 1, 5, "notebook 00; NumPy's promotion rules (NEP 50)",
    ),
    Exercise(
        "numerical_gradient", "Slopes by central differences", tasks.numerical_gradient, ("numerical_gradient",), (),
        (
            Case("cubes", (3, 4), ("cubes",), kind="property", property="differences"),
            Case("mixing", (2, 3), ("mixing",), kind="property", property="differences", weight=2),
            Case("reuses-memory", (2, 2), ("reuses",), kind="property", property="differences"),
        ),
        any_slope, m.NUMERICAL_GRADIENT, 3, 20, "notebook 01", library=("minigrad.gradcheck.numerical_gradient",),
    ),
    hunt(1, m.HUNT_1),
    hunt(2, m.HUNT_2),
    hunt(3, m.HUNT_3),
    hunt(4, m.HUNT_4),
    hunt(5, m.HUNT_5),
    Exercise(
        "linear.forward", "Fully connected, forward", plain.Linear, ("forward",), (),
        (
            Case("worked", ((1.0, 2.0),), (2, 3), kind="worked", inputs="numbers",
                 given={"W": np.array([[1.0, 0.0, -1.0], [10.0, 20.0, 30.0]]), "b": np.array([0.5, 0.0, -0.5])},
                 expected={"y": ((21.5, 40.0, 58.5),)}),
            Case("small", (3, 5), (5, 4), kind="forward"),
            Case("one-image", (1, 4), (4, 7), kind="forward"),
        ),
        partial(any_linear, kind="forward"), m.LINEAR_FORWARD, 1, 5, "notebook 02", m.LINEAR_BACKWARD, ("minigrad.Linear",),
    ),
    Exercise(
        "linear.backward", "Fully connected: three derivatives of one product", plain.Linear, ("backward",), ("linear.forward",),
        (
            Case("worked", ((1.0, 2.0), (0.0, 3.0)), (2, 1), kind="worked", inputs="numbers", dy=((1.0,), (10.0,)),
                 given={"W": np.array([[2.0], [-1.0]]), "b": np.array([0.0])},
                 expected={"y": ((0.0,), (-3.0,)), "dx": ((2.0, -1.0), (20.0, -10.0)), "dW": ((1.0,), (32.0,)), "db": (11.0,)}),
            Case("small", (3, 5), (5, 4), weight=2),
            Case("one-image", (1, 4), (4, 7)),
            Case("large", (2, 500), (500, 500), budget=1500),
        ),
        partial(any_linear, kind="gradients"), m.LINEAR_BACKWARD, 3, 20, "notebook 02", m.LINEAR_FORWARD, ("minigrad.Linear",),
    ),
    Exercise(
        "relu.forward", "The larger of x and 0", plain.ReLU, ("forward",), (),
        (
            Case("flat", (3, 5), kind="forward"),
            Case("images", (3, 2, 5, 4), kind="forward"),
            Case("zeros", (3, 5), kind="forward", inputs="kinks"),
        ),
        partial(any_shape, kind="forward", inputs=("kink_free", "kinks")), m.RELU_FORWARD, 1, 5, "notebook 02, paper §3.1", m.RELU_BACKWARD,
        ("minigrad.ReLU",),
    ),
    Exercise(
        "relu.backward", "Where x was positive, dy passes", plain.ReLU, ("backward",), ("relu.forward",),
        (
            Case("worked", ((-1.0, 2.0, 3.0),), kind="worked", inputs="numbers", dy=((10.0, 20.0, -30.0),),
                 expected={"y": ((0.0, 2.0, 3.0),), "dx": ((0.0, 20.0, -30.0),)}),
            Case("flat", (3, 5)),
            Case("images", (3, 2, 5, 4)),
            Case("kinks", (3, 5), inputs="kinks"),
        ),
        partial(any_shape, kind="gradients", inputs=("kink_free", "kinks")), m.RELU_BACKWARD, 2, 10, "notebook 02, paper §3.1",
        m.RELU_FORWARD, ("minigrad.ReLU",),
    ),
    Exercise(
        "tanh.forward", "The curve of before 2012", plain.Tanh, ("forward",), (),
        (
            Case("flat", (3, 5), kind="forward"),
            Case("images", (3, 2, 5, 4), kind="forward"),
            Case("far", (3, 5), kind="forward", inputs="large"),
        ),
        partial(any_shape, kind="forward"), m.TANH_FORWARD, 1, 5, "notebook 06, paper Figure 1", m.TANH_BACKWARD, ("minigrad.Tanh",),
    ),
    Exercise(
        "tanh.backward", "The slope of tanh, from its value", plain.Tanh, ("backward",), ("tanh.forward",),
        (Case("flat", (3, 5)), Case("images", (3, 2, 5, 4))),
        partial(any_shape, kind="gradients"), m.TANH_BACKWARD, 2, 10, "notebook 06, paper Figure 1", m.TANH_FORWARD, ("minigrad.Tanh",),
    ),
    Exercise(
        "flatten.forward", "Images as rows", plain.Flatten, ("forward",), (),
        (
            Case("worked", ((((1.0, 2.0), (3.0, 4.0)), ((5.0, 6.0), (7.0, 8.0))),), kind="worked", inputs="numbers",
                 expected={"y": ((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0),)}),
            Case("images", (3, 2, 5, 4), kind="forward"),
            Case("one-image", (1, 3, 2, 5), kind="forward"),
        ),
        partial(any_shape, kind="forward", axes=(3, 4)), m.FLATTEN_FORWARD, 1, 5, "notebook 02", m.FLATTEN_BACKWARD,
        ("minigrad.Flatten",),
    ),
    Exercise(
        "flatten.backward", "Rows as images again", plain.Flatten, ("backward",), ("flatten.forward",),
        (Case("images", (3, 2, 5, 4)), Case("one-image", (1, 3, 2, 5))),
        partial(any_shape, kind="gradients", axes=(3, 4)), m.FLATTEN_BACKWARD, 1, 5, "notebook 02", m.FLATTEN_FORWARD,
        ("minigrad.Flatten",),
    ),
    Exercise(
        "loss.forward", "Softmax and cross-entropy", plain.SoftmaxCrossEntropy, ("forward",), (),
        (
            Case("worked", **LOSS_WORKED, expected={"y": float(np.log(2) + np.log(4 / 3)) / 2}),
            Case("three-images", (3, 7), kind="forward", labels=(4, 0, 6)),
            Case("extreme", (3, 5), kind="forward", inputs="extreme", labels=(1, 0, 4)),
            Case("one-class", (3, 1), kind="forward", labels=(0, 0, 0)),
        ),
        partial(any_loss, kind="forward", inputs=("kink_free", "extreme")), m.LOSS_FORWARD, 2, 15, "notebook 02", m.LOSS_BACKWARD,
        ("minigrad.SoftmaxCrossEntropy",),
    ),
    Exercise(
        "loss.backward", "p minus one-hot", plain.SoftmaxCrossEntropy, ("backward",), ("loss.forward",),
        (
            Case("worked", **LOSS_WORKED, expected={"y": float(np.log(2) + np.log(4 / 3)) / 2, "dx": ((-0.25, 0.25), (0.125, -0.125))}),
            Case("three-images", (3, 7), labels=(4, 0, 6), weight=2),
            Case("one-image", (1, 5), labels=(2,)),
            Case("large", FAR, inputs="numbers", labels=(1, 0, 2)),
        ),
        partial(any_loss, kind="gradients"), m.LOSS_BACKWARD, 3, 15, "notebook 02", m.LOSS_FORWARD, ("minigrad.SoftmaxCrossEntropy",),
    ),
    Exercise(
        "conv2d.naive", "Convolution, one output after the other", plain.conv2d_naive, ("conv2d_naive",), (),
        NAIVE, any_naive, m.CONV2D_NAIVE, 3, 25, "notebook 03, paper §3.5",
        library=("minigrad.Conv2d",),
    ),
    Exercise(
        "patches.extract", "im2col: a row for each window", plain.im2col, ("im2col",), ("arrays.windows",),
        EXTRACT, any_patches, m.IM2COL, 3, 20, "notebook 03", library=("minigrad.coursework.im2col",),
    ),
    Exercise(
        "patches.add_back", "col2im: the transpose of im2col", plain.col2im, ("col2im",), ("patches.extract",),
        ADD_BACK, any_add_back, m.COL2IM, 4, 30, "notebook 04", library=("minigrad.coursework.col2im",),
    ),
    Exercise(
        "conv2d.forward", "Convolution as one matrix product", plain.Conv2d, ("forward",), ("patches.extract",),
        (Case("worked", **CONV_WORKED, expected={"y": MADE}),
         *(Case(name, x, args, kwargs, "forward", weight=1 + (name == "stride2-pad")) for name, x, args, kwargs in CONV)),
        partial(any_conv, kind="forward"), m.CONV2D_FORWARD, 3, 20, "notebook 03, paper §3.5", m.CONV2D_BACKWARD, ("minigrad.Conv2d",),
    ),
    Exercise(
        "conv2d.backward", "Three derivatives of a convolution", plain.Conv2d, ("backward",), ("conv2d.forward", "patches.add_back"),
        (Case("worked", **CONV_WORKED, dy=((((1.0,), (2.0,)),),),
              expected={"y": MADE, "dx": ((((1.0,), (12.0,), (20.0,)), ((100.0,), (1200.0,), (2000.0,))),),
                        "dW": ((((5.0,),), ((2.0,),)), (((11.0,),), ((4.0,),))), "db": (3.0,)}),
         *(Case(name, x, args, kwargs, weight=1 + (name == "stride2-pad")) for name, x, args, kwargs in CONV)),
        partial(any_conv, kind="gradients"), m.CONV2D_BACKWARD, 4, 30, "notebook 04 §2", m.CONV2D_FORWARD, ("minigrad.Conv2d",),
    ),
    Exercise(
        "towers.block_weights", "Two towers as one, with blocks of zeros", plain.block_weights, ("block_weights",), ("conv2d.naive",),
        (
            Case("two", (), (2, 3, 2, 3), kind="property", property="towers_in_one"),
            Case("three", (), (3, 1, 2, 1), kind="property", property="towers_in_one"),
        ),
        any_blocks, m.BLOCK_WEIGHTS, 2, 15, "notebook 04, paper §3.5",
    ),
    Exercise(
        "maxpool.forward", "The largest number of each window", plain.MaxPool2d, ("forward",), ("arrays.windows",),
        tuple(Case(name, x, args, kind="forward", inputs=inputs) for name, x, args, inputs in POOL),
        partial(any_pool, kind="forward"), m.MAXPOOL_FORWARD, 2, 20, "notebook 05, paper §3.4", m.MAXPOOL_BACKWARD, ("minigrad.MaxPool2d",),
    ),
    Exercise(
        "maxpool.backward", "Winners receive", plain.MaxPool2d, ("backward",), ("maxpool.forward",),
        tuple(Case(name, x, args, inputs=inputs, weight=1 + (name == "overlapping")) for name, x, args, inputs in POOL),
        partial(any_pool, kind="gradients"), m.MAXPOOL_BACKWARD, 3, 25, "notebook 05, paper §3.4", m.MAXPOOL_FORWARD,
        ("minigrad.MaxPool2d",),
    ),
    Exercise(
        "lrn.forward", "Local response normalisation", plain.LocalResponseNorm, ("forward",), (),
        (
            Case("worked", (((1.0, 1.0, 1.0, 1.0),),), kind="worked", inputs="numbers",
                 kwargs={"size": 3, "alpha": 1.0, "beta": 1.0, "k": 2.0},
                 expected={"y": (((0.25, 0.2, 0.2, 0.25),),)}),
            *(Case(name, x, kwargs=kwargs, kind="forward") for name, x, kwargs in LRN),
            Case("loud", (2, 3, 7), kind="forward", inputs="large"),
        ),
        partial(any_lrn, kind="forward"), m.LRN_FORWARD, 3, 20, "notebook 05, paper §3.3", m.LRN_BACKWARD, ("minigrad.LocalResponseNorm",),
    ),
    Exercise(
        "lrn.backward", "A number enters its neighbours' sums", plain.LocalResponseNorm, ("backward",), ("lrn.forward",),
        tuple(Case(name, x, kwargs=kwargs, weight=1 + (name == "seven-channels")) for name, x, kwargs in LRN),
        partial(any_lrn, kind="gradients"), m.LRN_BACKWARD, 4, 40, "notebook 05, paper §3.3", m.LRN_FORWARD,
        ("minigrad.LocalResponseNorm",),
    ),
    Exercise(
        "dropout.forward", "Silence, and the scale that makes up for it", plain.Dropout, ("forward",), (),
        (
            Case("scaled-at-test", (8, 25, 20), kwargs={"p": 0.3}, kind="property", property="drops"),
            Case("scaled-in-training", (8, 25, 20), kwargs={"p": 0.3, "scale_at": "train"}, kind="property", property="drops"),
            Case("testing", (3, 4, 5), kwargs={"p": 0.4}, kind="forward", mode="eval"),
            Case("testing-unscaled", (3, 4, 5), kwargs={"p": 0.4, "scale_at": "train"}, kind="forward", mode="eval"),
        ),
        partial(any_dropout, kind="property"), m.DROPOUT_FORWARD, 3, 20, "notebook 06, paper §4.2", m.DROPOUT_BACKWARD,
        ("minigrad.Dropout",), True,
    ),
    Exercise(
        "dropout.backward", "The mask that forward drew", plain.Dropout, ("backward",), ("dropout.forward",),
        (
            Case("scaled-at-test", (3, 4, 5), kwargs={"p": 0.3}),
            Case("scaled-in-training", (3, 4, 5), kwargs={"p": 0.3, "scale_at": "train"}),
            Case("testing", (3, 4, 5), kwargs={"p": 0.4}, mode="eval"),
            Case("testing-unscaled", (3, 4, 5), kwargs={"p": 0.4, "scale_at": "train"}, mode="eval"),
        ),
        partial(any_dropout, kind="gradients"), m.DROPOUT_BACKWARD, 2, 10, "notebook 06, paper §4.2", m.DROPOUT_FORWARD,
        ("minigrad.Dropout",), True,
    ),
    Exercise(
        "sgd.step", "Momentum and decay, as in 2012", plain.SGD, ("step",), (),
        (
            Case("weight", (), ("fc.W", 1.0, 0.5, (0.01, 0.01), (0.994995, 0.985485525025)), kind="property", property="one_number"),
            Case("bias", (), ("fc.b", 1.0, 0.5, (0.01, 0.01), (0.99, 0.971)), kind="property", property="one_number"),
            Case("slower", (), ("fc.W", 1.0, 0.5, (0.01, 0.001), (0.994995, 0.9899900025025)), kind="property", property="one_number"),
            Case("steps", (), ((0.1, 0.1, 0.01, 0.0, 0.1),), {"weight_decay": 0.05}, "property", property="trajectory", weight=2),
            Case("biases-decay", (), ((0.1, 0.03),), {"bias_decay": 0.1, "bias_lr": 3.0}, "property", property="trajectory"),
        ),
        any_steps, m.SGD_STEP, 3, 20, "notebook 06, paper §5", library=("minigrad.SGD",),
    ),
    Exercise(
        "alexnet.shapes", "What comes out of each layer", tasks.shapes, ("shapes",), (),
        (
            Case("paper", (224, 224, 3), (PAPER_LAYERS,), kind="worked", inputs="as is", expected={"y": PAPER_SHAPES}),
            Case("odd", (37, 50, 3), ([("conv", 5, 2, (1, 0, 3, 2), 7), ("pool", 2, 3), ("conv", 2, 1, (0, 0, 0, 0), 4)],), kind="forward",
                 inputs="as is"),
        ),
        any_stack, m.SHAPES, 2, 15, "notebook 07, paper §3.5",
    ),
    Exercise(
        "alexnet.stages", "Two towers, stage by stage", tasks.stages, ("stages",), ("alexnet.shapes",),
        (
            Case("small", (2, 15, 15, 3), ((4, 6), 8, 4, 3), kind="property", property="same_network"),
            Case("wider", (3, 13, 13, 3), ((6, 2), 10, 6, 2), kind="property", property="same_network"),
        ),
        any_stages, m.STAGES, 4, 40, "notebook 07, paper §3.5 and Figure 2", library=("alexnet.paper_stages",),
    ),
    Exercise(
        "exchange.forward", "Every tower gets the channels of all", plain.Exchange, ("forward",), (),
        (
            Case("worked", (((1.0, 2.0),), ((3.0, 4.0),)), kind="worked", inputs="numbers",
                 expected={"y": (((1.0, 2.0, 3.0, 4.0),), ((1.0, 2.0, 3.0, 4.0),))}),
            Case("two", (2, 3, 1, 4, 5), kind="forward"),
            Case("three", (3, 2, 4, 1, 1), kind="forward"),
        ),
        partial(any_exchange, kind="forward"), m.EXCHANGE_FORWARD, 2, 15, "notebook 08, paper §3.5", m.EXCHANGE_BACKWARD,
        ("minigrad.Towers",),
    ),
    Exercise(
        "exchange.backward", "What all towers say of each one's channels", plain.Exchange, ("backward",), ("exchange.forward",),
        (
            Case("two", (2, 3, 1, 4, 5), weight=2),
            Case("three", (3, 2, 4, 1, 1)),
            Case("transpose", (3, 2, 4, 1, 2), kind="property", property="adjoint"),
        ),
        partial(any_exchange, kind="gradients"), m.EXCHANGE_BACKWARD, 4, 25, "notebook 08, paper §3.5", m.EXCHANGE_FORWARD,
        ("minigrad.Towers",),
    ),
    Exercise(
        "augment.crop_flip", "33 × 33 crops, and their mirrors", tasks.crop_flip, ("crop_flip",), (),
        (
            Case("square", (400, 6, 6, 3), (4,), kind="property", property="crops"),
            Case("wide", (400, 5, 8, 1), (4,), kind="property", property="crops"),
        ),
        any_crops, m.CROP_FLIP, 3, 20, "notebook 09, paper §4.1",
    ),
    Exercise(
        "augment.colour_noise", "Light of another colour", tasks.colour_noise, ("colour_noise",), (),
        (Case("imagenet", (3000, 1, 2, 3), IMAGENET_COLOURS, kind="property", inputs="large", property="noise"),),
        any_noise, m.COLOUR_NOISE, 3, 20, "notebook 09, paper §4.1",
    ),
    Exercise(
        "metrics.top_k", "Errors of the first k guesses", tasks.top_k_error, ("top_k_error",), (),
        (
            Case("worked", ((0.1, 0.7, 0.2), (0.5, 0.2, 0.3)), (np.array([2, 2]), 1), kind="worked", inputs="numbers", expected={"y": 1.0}),
            Case("top-1", (12, 9), (np.arange(12) % 9, 1), kind="forward"),
            Case("top-5", (20, 9), (np.arange(20) % 9, 5), kind="forward"),
        ),
        any_top_k, m.TOP_K, 2, 10, "notebook 09, paper §1", library=("minigrad.training.top_k_errors",),
    ),
)  # fmt: skip


def find(words, among=EXERCISES):
    """The exercises that ids or their beginnings ("conv2d") mean, in order. Raises ValueError for a word that means none."""
    found = []
    for word in words:
        meant = [e for e in among if e.id == word] or [e for e in among if e.group == word] or [e for e in among if e.id.startswith(word)]
        if not meant:
            near = sorted({e.group for e in among})
            raise ValueError(f"there is no exercise {word!r}; exercises begin with {', '.join(near)}")
        found += [e for e in meant if e not in found]
    return [e for e in among if e in found]
