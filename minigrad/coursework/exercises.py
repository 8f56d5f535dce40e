"""The exercises: what is to be written, with what it is tried, and what usually goes wrong. A table; `Exercise` explains its columns.

EXERCISES are those of the library, in the order in which they are learnt; VARIANTS those for graded work, which the library has no layer
for. Public cases are listed here; hidden ones come from hidden.py. Sizes are odd on purpose: axes that are equal, and sizes whose ratios
are, hide mistakes."""

from functools import partial

import numpy as np

from minigrad import plain
from minigrad.coursework import hidden, tasks, variants
from minigrad.coursework import mistakes as m
from minigrad.coursework.cases import Array, Case
from minigrad.coursework.exercise import Exercise

# ---- cases that several exercises share, and numbers of worked examples

IMAGE = ((((1.0,), (2.0,), (0.0,)), ((3.0,), (4.0,), (0.0,))),)  # 1 2 0 above 3 4 0
KERNEL = np.array([[[[1.0]], [[10.0]]], [[[100.0]], [[1000.0]]]])
IMAGE_BY_KERNEL = ((((4321.5,), (402.5,)),),)  # their convolution, with a bias of 0.5

CONV = (  # name, x, args, kwargs
    ("plain", (3, 5, 4, 2), (2, 5, 3), {}),
    ("stride2-pad", (3, 7, 6, 2), (2, 5, 3), {"stride": 2, "padding": (1, 0, 2, 1)}),
    ("remainder", (3, 6, 5, 2), (2, 4, 3), {"stride": 2}),
    ("overhang", (1, 6, 5, 2), (2, 5, 3), {"stride": 3, "padding": (0, 3, 0, 3)}),
    ("whole-image", (5, 3, 4, 2), (2, 6, 4), {"padding": (0, 1, 0, 0)}),
    ("one-by-one", (2, 4, 5, 3), (3, 4, 1), {"stride": 3}),
)
CONV_WORKED = {"x": IMAGE, "args": (1, 1, 2), "inputs": "numbers", "kind": "worked", "given": {"W": KERNEL, "b": np.array([0.5])}}

LRN = (  # name, x, kwargs
    ("seven-channels", (3, 2, 1, 7), {"alpha": 0.5, "k": 1.0}),
    ("fewer-than-size", (3, 2, 1, 4), {"alpha": 0.5, "k": 1.0}),
    ("size-3", (2, 1, 4, 8), {"size": 3, "alpha": 0.4, "beta": 0.5, "k": 1.5}),
    ("paper", (3, 2, 1, 7), {}),
)

POOL = (  # name, x, args, inputs
    ("overlapping", (3, 7, 6, 2), (3, 2), "kink_free"),
    ("two-by-two", (3, 5, 4, 2), (2, 2), "kink_free"),
    ("gaps", (1, 6, 8, 3), (2, 3), "kink_free"),
    ("every-pixel", (2, 4, 5, 3), (3, 1), "kink_free"),
    ("ties", (3, 7, 6, 2), (3, 2), "ties"),
)

LOSS_WORKED = {"x": ((0.0, 0.0), (0.0, float(np.log(3.0)))), "labels": (0, 1), "inputs": "numbers", "kind": "worked"}

EXTREME_LOGITS = ((1e4, -1e4, 30.0, 5e3), (-2e3, 0.0, 7e3, -50.0), (-1e4, 4.0, -4.0, 2.5))  # of labels 1, 0, 2, never the largest

IMAGENET_COLOURS = (  # paper §4.1; standard deviations in grey levels, components as columns
    (121.7801, 37.0939, 19.7208),
    ((-0.56351, -0.71258, 0.41796), (-0.57618, -0.02354, -0.81698), (-0.59200, 0.70120, 0.39731)),
)

PAPER_LAYERS = [
    ("conv", 11, 4, (0, 3, 0, 3), 48), ("pool", 3, 2), ("conv", 5, 1, (2, 2, 2, 2), 128), ("pool", 3, 2),
    ("conv", 3, 1, (1, 1, 1, 1), 192), ("conv", 3, 1, (1, 1, 1, 1), 192), ("conv", 3, 1, (1, 1, 1, 1), 128), ("pool", 3, 2),
]  # fmt: skip
PAPER_SHAPES = [(55, 55, 48), (27, 27, 48), (27, 27, 128), (13, 13, 128), (13, 13, 192), (13, 13, 192), (13, 13, 128), (6, 6, 128)]


def hunt_exercise(number, mistakes):
    """Which of four mistakes does a report show? explain.py has the reports."""
    name, case = f"hunt_{number}", Case("answer", kind="property", property="answers")
    return Exercise(
        f"hunt.{number}", f"Which mistake has layer {number}? Its report tells", getattr(tasks, name),
        write=(name,), after=("numerical_gradient",),
        cases=(case,),
        vary=hidden.always(case), mistakes=mistakes,
        points=1, minutes=5, reading=f"notebook 01; `explain hunt.{number}` shows the report",
    )  # fmt: skip


# ---- exercises of the library

EXERCISES = (
    Exercise(
        "arrays.windows", "All windows of an image, as a view", tasks.windows, write=("windows",), after=(),
        cases=(
            Case("plain", (2, 5, 4, 3), (3,), kind="property", property="is_view"),
            Case("stride2", (1, 7, 6, 2), (3, 2), kind="property", property="is_view", weight=2),
            Case("gaps", (3, 5, 8, 1), (2, 3), kind="property", property="is_view"),
        ),
        vary=hidden.windows, mistakes=m.WINDOWS,
        points=2, minutes=15, reading="notebook 00; numpy.lib.stride_tricks.sliding_window_view",
    ),
    Exercise(
        "arrays.in_place", "Change an array where it lies", tasks.in_place, write=("in_place",), after=(),
        cases=(
            Case("matrix", (4, 3), (Array((4, 3)), 0.1), kind="property", property="changes_in_place"),
            Case("images", (3, 2, 5, 4), (Array((3, 2, 5, 4)), 0.5), kind="property", property="changes_in_place"),
        ),
        vary=hidden.in_place, mistakes=m.IN_PLACE,
        points=1, minutes=5, reading="notebook 00",
    ),
    Exercise(
        "arrays.float64_leak", "float32 in, float32 out, whatever it is multiplied by", tasks.float64_leak,
        write=("float64_leak",), after=(),
        cases=(
            Case("third", (4, 3), (1 / 3,), kind="property", property="keeps_dtype"),
            Case("images", (2, 3, 5, 4), (2.5,), kind="property", property="keeps_dtype"),
        ),
        vary=hidden.float64_leak, mistakes=m.FLOAT64_LEAK,
        points=1, minutes=5, reading="notebook 00; NumPy's promotion rules (NEP 50)",
    ),
    Exercise(
        "numerical_gradient", "Slopes by central differences", tasks.numerical_gradient, write=("numerical_gradient",), after=(),
        cases=(
            Case("cubes", (3, 4), ("cubes",), kind="property", property="differences"),
            Case("mixing", (2, 3), ("mixing",), kind="property", property="differences", weight=2),
            Case("reuses-memory", (2, 2), ("reuses",), kind="property", property="differences"),
        ),
        vary=hidden.numerical_gradient, mistakes=m.NUMERICAL_GRADIENT,
        points=3, minutes=20, reading="notebook 01", library=("minigrad.gradcheck.differences.numerical_gradient",),
    ),
    hunt_exercise(1, m.HUNT_1),
    hunt_exercise(2, m.HUNT_2),
    hunt_exercise(3, m.HUNT_3),
    hunt_exercise(4, m.HUNT_4),
    hunt_exercise(5, m.HUNT_5),
    Exercise(
        "linear.forward", "Fully connected, forward", plain.Linear, write=("forward",), after=(),
        cases=(
            Case("worked", ((1.0, 2.0),), (2, 3), kind="worked", inputs="numbers",
                 given={"W": np.array([[1.0, 0.0, -1.0], [10.0, 20.0, 30.0]]), "b": np.array([0.5, 0.0, -0.5])},
                 expected={"y": ((21.5, 40.0, 58.5),)}),
            Case("small", (3, 5), (5, 4), kind="forward"),
            Case("one-image", (1, 4), (4, 7), kind="forward"),
        ),
        vary=partial(hidden.linear, kind="forward"), mistakes=m.LINEAR_FORWARD, others=m.LINEAR_BACKWARD,
        points=1, minutes=5, reading="notebook 02", library=("minigrad.Linear",),
    ),
    Exercise(
        "linear.backward", "Fully connected: three derivatives of one product", plain.Linear,
        write=("backward",), after=("linear.forward",),
        cases=(
            Case("worked", ((1.0, 2.0), (0.0, 3.0)), (2, 1), kind="worked", inputs="numbers", dy=((1.0,), (10.0,)),
                 given={"W": np.array([[2.0], [-1.0]]), "b": np.array([0.0])},
                 expected={"y": ((0.0,), (-3.0,)), "dx": ((2.0, -1.0), (20.0, -10.0)), "dW": ((1.0,), (32.0,)), "db": (11.0,)}),
            Case("small", (3, 5), (5, 4), weight=2),
            Case("one-image", (1, 4), (4, 7)),
            Case("large", (2, 500), (500, 500), budget=1500),
        ),
        vary=partial(hidden.linear, kind="gradients"), mistakes=m.LINEAR_BACKWARD, others=m.LINEAR_FORWARD,
        points=3, minutes=20, reading="notebook 02", library=("minigrad.Linear",),
    ),
    Exercise(
        "relu.forward", "The larger of x and 0", plain.ReLU, write=("forward",), after=(),
        cases=(
            Case("flat", (3, 5), kind="forward"),
            Case("images", (3, 2, 5, 4), kind="forward"),
            Case("zeros", (3, 5), kind="forward", inputs="kinks"),
        ),
        vary=partial(hidden.any_shape, kind="forward", inputs=("kink_free", "kinks")), mistakes=m.RELU_FORWARD, others=m.RELU_BACKWARD,
        points=1, minutes=5, reading="notebook 02, paper §3.1", library=("minigrad.ReLU",),
    ),
    Exercise(
        "relu.backward", "Where x was positive, dy passes", plain.ReLU, write=("backward",), after=("relu.forward",),
        cases=(
            Case("worked", ((-1.0, 2.0, 3.0),), kind="worked", inputs="numbers", dy=((10.0, 20.0, -30.0),),
                 expected={"y": ((0.0, 2.0, 3.0),), "dx": ((0.0, 20.0, -30.0),)}),
            Case("flat", (3, 5)),
            Case("images", (3, 2, 5, 4)),
            Case("kinks", (3, 5), inputs="kinks"),
        ),
        vary=partial(hidden.any_shape, kind="gradients", inputs=("kink_free", "kinks")), mistakes=m.RELU_BACKWARD, others=m.RELU_FORWARD,
        points=2, minutes=10, reading="notebook 02, paper §3.1", library=("minigrad.ReLU",),
    ),
    Exercise(
        "tanh.forward", "The curve of before 2012", plain.Tanh, write=("forward",), after=(),
        cases=(
            Case("flat", (3, 5), kind="forward"),
            Case("images", (3, 2, 5, 4), kind="forward"),
            Case("far", (3, 5), kind="forward", inputs="large"),
        ),
        vary=partial(hidden.any_shape, kind="forward"), mistakes=m.TANH_FORWARD, others=m.TANH_BACKWARD,
        points=1, minutes=5, reading="notebook 06, paper Figure 1", library=("minigrad.Tanh",),
    ),
    Exercise(
        "tanh.backward", "The slope of tanh, from its value", plain.Tanh, write=("backward",), after=("tanh.forward",),
        cases=(Case("flat", (3, 5)), Case("images", (3, 2, 5, 4))),
        vary=partial(hidden.any_shape, kind="gradients"), mistakes=m.TANH_BACKWARD, others=m.TANH_FORWARD,
        points=2, minutes=10, reading="notebook 06, paper Figure 1", library=("minigrad.Tanh",),
    ),
    Exercise(
        "flatten.forward", "Images as rows", plain.Flatten, write=("forward",), after=(),
        cases=(
            Case("worked", ((((1.0, 2.0), (3.0, 4.0)), ((5.0, 6.0), (7.0, 8.0))),), kind="worked", inputs="numbers",
                 expected={"y": ((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0),)}),
            Case("images", (3, 2, 5, 4), kind="forward"),
            Case("one-image", (1, 3, 2, 5), kind="forward"),
        ),
        vary=partial(hidden.any_shape, kind="forward", axes=(3, 4)), mistakes=m.FLATTEN_FORWARD, others=m.FLATTEN_BACKWARD,
        points=1, minutes=5, reading="notebook 02", library=("minigrad.Flatten",),
    ),
    Exercise(
        "flatten.backward", "Rows as images again", plain.Flatten, write=("backward",), after=("flatten.forward",),
        cases=(Case("images", (3, 2, 5, 4)), Case("one-image", (1, 3, 2, 5))),
        vary=partial(hidden.any_shape, kind="gradients", axes=(3, 4)), mistakes=m.FLATTEN_BACKWARD, others=m.FLATTEN_FORWARD,
        points=1, minutes=5, reading="notebook 02", library=("minigrad.Flatten",),
    ),
    Exercise(
        "loss.forward", "Softmax and cross-entropy", plain.SoftmaxCrossEntropy, write=("forward",), after=(),
        cases=(
            Case("worked", **LOSS_WORKED, expected={"y": float(np.log(2) + np.log(4 / 3)) / 2}),
            Case("three-images", (3, 7), kind="forward", labels=(4, 0, 6)),
            Case("extreme", (3, 5), kind="forward", inputs="extreme", labels=(1, 0, 4)),
            Case("one-class", (3, 1), kind="forward", labels=(0, 0, 0)),
        ),
        vary=partial(hidden.loss, kind="forward", inputs=("kink_free", "extreme")), mistakes=m.LOSS_FORWARD, others=m.LOSS_BACKWARD,
        points=2, minutes=15, reading="notebook 02", library=("minigrad.SoftmaxCrossEntropy",),
    ),
    Exercise(
        "loss.backward", "p minus one-hot", plain.SoftmaxCrossEntropy, write=("backward",), after=("loss.forward",),
        cases=(
            Case("worked", **LOSS_WORKED, expected={"y": float(np.log(2) + np.log(4 / 3)) / 2, "dx": ((-0.25, 0.25), (0.125, -0.125))}),
            Case("three-images", (3, 7), labels=(4, 0, 6), weight=2),
            Case("one-image", (1, 5), labels=(2,)),
            Case("large", EXTREME_LOGITS, inputs="numbers", labels=(1, 0, 2)),
        ),
        vary=partial(hidden.loss, kind="gradients"), mistakes=m.LOSS_BACKWARD, others=m.LOSS_FORWARD,
        points=3, minutes=15, reading="notebook 02", library=("minigrad.SoftmaxCrossEntropy",),
    ),
    Exercise(
        "conv2d.naive", "Convolution, one output after the other", plain.conv2d_naive, write=("conv2d_naive",), after=(),
        cases=(
            Case("worked", IMAGE, (KERNEL, np.array([0.5])), kind="worked", inputs="numbers", expected={"y": np.array(IMAGE_BY_KERNEL)}),
            Case("plain", (3, 5, 4, 2), (Array((3, 3, 2, 5)), Array((5,))), kind="forward"),
            Case("stride2-pad", (3, 7, 6, 2), (Array((3, 3, 2, 5)), Array((5,)), 2, (1, 0, 2, 1)), kind="forward", weight=2),
            Case("overhang", (1, 6, 5, 2), (Array((3, 3, 2, 5)), Array((5,)), 3, (0, 3, 0, 3)), kind="forward"),
        ),
        vary=hidden.conv_naive, mistakes=m.CONV2D_NAIVE,
        points=3, minutes=25, reading="notebook 03, paper §3.5", library=("minigrad.Conv2d",),
    ),
    Exercise(
        "patches.extract", "im2col: a row for each window", plain.im2col, write=("im2col",), after=("arrays.windows",),
        cases=(
            Case("worked", ((((1.0,), (2.0,), (3.0,)), ((4.0,), (5.0,), (6.0,))),), (2,),
                 kind="worked", inputs="numbers", expected={"y": np.array([[1.0, 2.0, 4.0, 5.0], [2.0, 3.0, 5.0, 6.0]])}),
            Case("plain", (3, 5, 4, 2), (3,), kind="forward"),
            Case("stride2-pad", (3, 7, 6, 2), (3, 2, (1, 0, 2, 1)), kind="forward", weight=2),
            Case("one-by-one", (2, 4, 5, 3), (1, 3), kind="forward"),
        ),
        vary=hidden.im2col, mistakes=m.IM2COL,
        points=3, minutes=20, reading="notebook 03", library=("minigrad.coursework.im2col",),
    ),
    Exercise(
        "patches.add_back", "col2im: the transpose of im2col", plain.col2im, write=("col2im",), after=("patches.extract",),
        cases=(
            Case("plain", (), ((3, 5, 4, 2), 3), kind="property", property="adjoint_of_im2col"),
            Case("stride2-pad", (), ((3, 7, 6, 2), 3, 2, (1, 0, 2, 1)), kind="property", property="adjoint_of_im2col", weight=2),
            Case("remainder", (), ((2, 6, 5, 3), 3, 2), kind="property", property="adjoint_of_im2col"),
            Case("overhang", (), ((1, 6, 5, 2), 3, 3, (0, 3, 0, 3)), kind="property", property="adjoint_of_im2col"),
        ),
        vary=hidden.col2im, mistakes=m.COL2IM,
        points=4, minutes=30, reading="notebook 04", library=("minigrad.coursework.col2im",),
    ),
    Exercise(
        "conv2d.forward", "Convolution as one matrix product", plain.Conv2d, write=("forward",), after=("patches.extract",),
        cases=(
            Case("worked", **CONV_WORKED, expected={"y": IMAGE_BY_KERNEL}),
            *(Case(name, x, args, kwargs, "forward", weight=1 + (name == "stride2-pad")) for name, x, args, kwargs in CONV),
        ),
        vary=partial(hidden.conv, kind="forward"), mistakes=m.CONV2D_FORWARD, others=m.CONV2D_BACKWARD,
        points=3, minutes=20, reading="notebook 03, paper §3.5", library=("minigrad.Conv2d",),
    ),
    Exercise(
        "conv2d.backward", "Three derivatives of a convolution", plain.Conv2d,
        write=("backward",), after=("conv2d.forward", "patches.add_back"),
        cases=(
            Case("worked", **CONV_WORKED, dy=((((1.0,), (2.0,)),),),
                 expected={"y": IMAGE_BY_KERNEL, "dx": ((((1.0,), (12.0,), (20.0,)), ((100.0,), (1200.0,), (2000.0,))),),
                           "dW": ((((5.0,),), ((2.0,),)), (((11.0,),), ((4.0,),))), "db": (3.0,)}),
            *(Case(name, x, args, kwargs, weight=1 + (name == "stride2-pad")) for name, x, args, kwargs in CONV),
        ),
        vary=partial(hidden.conv, kind="gradients"), mistakes=m.CONV2D_BACKWARD, others=m.CONV2D_FORWARD,
        points=4, minutes=30, reading="notebook 04 §2", library=("minigrad.Conv2d",),
    ),
    Exercise(
        "towers.block_weights", "Two towers as one, with blocks of zeros", tasks.block_weights,
        write=("block_weights",), after=("conv2d.naive",),
        cases=(
            Case("two", (), (2, 3, 2, 3), kind="property", property="towers_in_one"),
            Case("three", (), (3, 1, 2, 1), kind="property", property="towers_in_one"),
        ),
        vary=hidden.block_weights, mistakes=m.BLOCK_WEIGHTS,
        points=2, minutes=15, reading="notebook 04, paper §3.5",
    ),
    Exercise(
        "maxpool.forward", "The largest number of each window", plain.MaxPool2d, write=("forward",), after=("arrays.windows",),
        cases=tuple(Case(name, x, args, kind="forward", inputs=inputs) for name, x, args, inputs in POOL),
        vary=partial(hidden.max_pool, kind="forward"), mistakes=m.MAXPOOL_FORWARD, others=m.MAXPOOL_BACKWARD,
        points=2, minutes=20, reading="notebook 05, paper §3.4", library=("minigrad.MaxPool2d",),
    ),
    Exercise(
        "maxpool.backward", "Winners receive", plain.MaxPool2d, write=("backward",), after=("maxpool.forward",),
        cases=tuple(Case(name, x, args, inputs=inputs, weight=1 + (name == "overlapping")) for name, x, args, inputs in POOL),
        vary=partial(hidden.max_pool, kind="gradients"), mistakes=m.MAXPOOL_BACKWARD, others=m.MAXPOOL_FORWARD,
        points=3, minutes=25, reading="notebook 05, paper §3.4", library=("minigrad.MaxPool2d",),
    ),
    Exercise(
        "lrn.forward", "Local response normalisation", plain.LocalResponseNorm, write=("forward",), after=(),
        cases=(
            Case("worked", (((1.0, 1.0, 1.0, 1.0),),), kind="worked", inputs="numbers",
                 kwargs={"size": 3, "alpha": 1.0, "beta": 1.0, "k": 2.0},
                 expected={"y": (((0.25, 0.2, 0.2, 0.25),),)}),
            *(Case(name, x, kwargs=kwargs, kind="forward") for name, x, kwargs in LRN),
            Case("loud", (2, 3, 7), kind="forward", inputs="large"),
        ),
        vary=partial(hidden.lrn, kind="forward"), mistakes=m.LRN_FORWARD, others=m.LRN_BACKWARD,
        points=3, minutes=20, reading="notebook 05, paper §3.3", library=("minigrad.LocalResponseNorm",),
    ),
    Exercise(
        "lrn.backward", "A number enters its neighbours' sums", plain.LocalResponseNorm, write=("backward",), after=("lrn.forward",),
        cases=tuple(Case(name, x, kwargs=kwargs, weight=1 + (name == "seven-channels")) for name, x, kwargs in LRN),
        vary=partial(hidden.lrn, kind="gradients"), mistakes=m.LRN_BACKWARD, others=m.LRN_FORWARD,
        points=4, minutes=40, reading="notebook 05, paper §3.3", library=("minigrad.LocalResponseNorm",),
    ),
    Exercise(
        "dropout.forward", "Silence, and the scale that makes up for it", plain.Dropout, write=("forward",), after=(),
        cases=(
            Case("scaled-at-test", (8, 25, 20), kwargs={"p": 0.3}, kind="property", property="drops"),
            Case("scaled-in-training", (8, 25, 20), kwargs={"p": 0.3, "scale_at": "train"}, kind="property", property="drops"),
            Case("testing", (3, 4, 5), kwargs={"p": 0.4}, kind="forward", mode="eval"),
            Case("testing-unscaled", (3, 4, 5), kwargs={"p": 0.4, "scale_at": "train"}, kind="forward", mode="eval"),
        ),
        vary=partial(hidden.dropout, kind="property"), mistakes=m.DROPOUT_FORWARD, others=m.DROPOUT_BACKWARD,
        points=3, minutes=20, reading="notebook 06, paper §4.2", library=("minigrad.Dropout",), random=True,
    ),
    Exercise(
        "dropout.backward", "The mask that forward drew", plain.Dropout, write=("backward",), after=("dropout.forward",),
        cases=(
            Case("scaled-at-test", (3, 4, 5), kwargs={"p": 0.3}),
            Case("scaled-in-training", (3, 4, 5), kwargs={"p": 0.3, "scale_at": "train"}),
            Case("testing", (3, 4, 5), kwargs={"p": 0.4}, mode="eval"),
            Case("testing-unscaled", (3, 4, 5), kwargs={"p": 0.4, "scale_at": "train"}, mode="eval"),
        ),
        vary=partial(hidden.dropout, kind="gradients"), mistakes=m.DROPOUT_BACKWARD, others=m.DROPOUT_FORWARD,
        points=2, minutes=10, reading="notebook 06, paper §4.2", library=("minigrad.Dropout",), random=True,
    ),
    Exercise(
        "sgd.step", "Momentum and decay, as in 2012", plain.SGD, write=("step",), after=(),
        cases=(
            Case("weight", (), ("fc.W", 1.0, 0.5, (0.01, 0.01), (0.994995, 0.985485525025)), kind="property", property="one_number"),
            Case("bias", (), ("fc.b", 1.0, 0.5, (0.01, 0.01), (0.99, 0.971)), kind="property", property="one_number"),
            Case("slower", (), ("fc.W", 1.0, 0.5, (0.01, 0.001), (0.994995, 0.9899900025025)), kind="property", property="one_number"),
            Case("steps", (), ((0.1, 0.1, 0.01, 0.0, 0.1),), {"weight_decay": 0.05}, "property", property="trajectory", weight=2),
            Case("biases-decay", (), ((0.1, 0.03),), {"bias_decay": 0.1, "bias_lr": 3.0}, "property", property="trajectory"),
        ),
        vary=hidden.sgd, mistakes=m.SGD_STEP,
        points=3, minutes=20, reading="notebook 06, paper §5", library=("minigrad.SGD",),
    ),
    Exercise(
        "alexnet.shapes", "What comes out of each layer", tasks.shapes, write=("shapes",), after=(),
        cases=(
            Case("paper", (224, 224, 3), (PAPER_LAYERS,), kind="worked", inputs="as is", expected={"y": PAPER_SHAPES}),
            Case("odd", (37, 50, 3), ([("conv", 5, 2, (1, 0, 3, 2), 7), ("pool", 2, 3), ("conv", 2, 1, (0, 0, 0, 0), 4)],), kind="forward",
                 inputs="as is"),
        ),
        vary=hidden.shapes, mistakes=m.SHAPES,
        points=2, minutes=15, reading="notebook 07, paper §3.5",
    ),
    Exercise(
        "alexnet.stages", "Two towers, stage by stage", tasks.stages, write=("stages",), after=("alexnet.shapes",),
        cases=(
            Case("small", (2, 15, 15, 3), ((4, 6), 8, 4, 3), kind="property", property="same_network"),
            Case("wider", (3, 13, 13, 3), ((6, 2), 10, 6, 2), kind="property", property="same_network"),
        ),
        vary=hidden.stages, mistakes=m.STAGES,
        points=4, minutes=40, reading="notebook 07, paper §3.5 and Figure 2", library=("alexnet.paper",),
    ),
    Exercise(
        "exchange.forward", "Every tower gets the channels of all", tasks.Exchange, write=("forward",), after=(),
        cases=(
            Case("worked", (((1.0, 2.0),), ((3.0, 4.0),)), kind="worked", inputs="numbers",
                 expected={"y": (((1.0, 2.0, 3.0, 4.0),), ((1.0, 2.0, 3.0, 4.0),))}),
            Case("two", (2, 3, 1, 4, 5), kind="forward"),
            Case("three", (3, 2, 4, 1, 1), kind="forward"),
        ),
        vary=partial(hidden.exchange, kind="forward"), mistakes=m.EXCHANGE_FORWARD, others=m.EXCHANGE_BACKWARD,
        points=2, minutes=15, reading="notebook 08, paper §3.5", library=("minigrad.Towers",),
    ),
    Exercise(
        "exchange.backward", "What all towers say of each one's channels", tasks.Exchange, write=("backward",), after=("exchange.forward",),
        cases=(
            Case("two", (2, 3, 1, 4, 5), weight=2),
            Case("three", (3, 2, 4, 1, 1)),
            Case("transpose", (3, 2, 4, 1, 2), kind="property", property="adjoint"),
        ),
        vary=partial(hidden.exchange, kind="gradients"), mistakes=m.EXCHANGE_BACKWARD, others=m.EXCHANGE_FORWARD,
        points=4, minutes=25, reading="notebook 08, paper §3.5", library=("minigrad.Towers",),
    ),
    Exercise(
        "augment.crop_flip", "33 × 33 crops, and their mirrors", tasks.crop_flip, write=("crop_flip",), after=(),
        cases=(
            Case("square", (400, 6, 6, 3), (4,), kind="property", property="crops"),
            Case("wide", (400, 5, 8, 1), (4,), kind="property", property="crops"),
        ),
        vary=hidden.crop_flip, mistakes=m.CROP_FLIP,
        points=3, minutes=20, reading="notebook 09, paper §4.1",
    ),
    Exercise(
        "augment.colour_noise", "Light of another colour", tasks.colour_noise, write=("colour_noise",), after=(),
        cases=(Case("imagenet", (3000, 1, 2, 3), IMAGENET_COLOURS, kind="property", inputs="large", property="noise"),),
        vary=hidden.colour_noise, mistakes=m.COLOUR_NOISE,
        points=3, minutes=20, reading="notebook 09, paper §4.1",
    ),
    Exercise(
        "metrics.top_k", "Errors of the first k guesses", tasks.top_k_error, write=("top_k_error",), after=(),
        cases=(
            Case("worked", ((0.1, 0.7, 0.2), (0.5, 0.2, 0.3)), (np.array([2, 2]), 1), kind="worked", inputs="numbers", expected={"y": 1.0}),
            Case("top-1", (12, 9), (np.arange(12) % 9, 1), kind="forward"),
            Case("top-5", (20, 9), (np.arange(20) % 9, 5), kind="forward"),
        ),
        vary=hidden.top_k, mistakes=m.TOP_K,
        points=2, minutes=10, reading="notebook 09, paper §1", library=("minigrad.training.top_k_errors",),
    ),
)  # fmt: skip

# ---- variants: exercises for graded work


def pair(group, title, source, cases, vary, mistakes, points, minutes, reading, random=False):
    """An exercise for forward and one for backward. cases, mistakes, points: (those of forward, those of backward). vary: (rng, kind) ->
    a hidden case."""
    forward = Exercise(
        f"{group}.forward", f"{title}, forward", source, write=("forward",), after=(),
        cases=cases[0],
        vary=partial(vary, kind=cases[0][0].kind), mistakes=mistakes[0], others=mistakes[1],
        points=points[0], minutes=minutes, reading=reading, random=random,
    )  # fmt: skip
    backward = Exercise(
        f"{group}.backward", f"{title}, backward", source, write=("backward",), after=(forward.id,),
        cases=cases[1],
        vary=partial(vary, kind="gradients"), mistakes=mistakes[1], others=mistakes[0],
        points=points[1], minutes=minutes, reading=reading, random=random,
    )  # fmt: skip
    return forward, backward


def both(*rows):
    """The same cases for forward and for backward. rows: (name, x, args, kwargs)."""
    return tuple(tuple(Case(name, x, args, kwargs, kind) for name, x, args, kwargs in rows) for kind in ("forward", "gradients"))


VARIANTS = (
    *pair(
        "dilated", "Convolution with holes", variants.DilatedConv2d,
        cases=both(
            ("dilation-2", (3, 6, 7, 2), (2, 5, 3), {"dilation": 2}),
            ("stride-2", (2, 8, 7, 2), (2, 4, 2), {"stride": 2, "dilation": 3}),
            ("no-holes", (1, 4, 5, 3), (3, 2, 3), {}),
        ),
        vary=hidden.dilated_conv, mistakes=(m.DILATED_FORWARD, m.DILATED_BACKWARD),
        points=(3, 5), minutes=40, reading="notebooks 03 and 04",
    ),
    *pair(
        "circular", "Convolution on a torus", variants.CircularConv2d,
        cases=both(
            ("padding-1", (3, 4, 5, 2), (2, 5, 3), {"padding": 1}),
            ("stride-2", (2, 5, 6, 2), (2, 4, 3), {"stride": 2, "padding": 2}),
            ("no-padding", (1, 4, 5, 3), (3, 2, 2), {}),
        ),
        vary=hidden.circular_conv, mistakes=(m.CIRCULAR_FORWARD, m.CIRCULAR_BACKWARD),
        points=(3, 5), minutes=40, reading="notebooks 03 and 04",
    ),
    *pair(
        "avgpool", "Average pooling", variants.AvgPool2d,
        cases=both(
            ("overlapping", (3, 7, 6, 2), (3, 2), {}), ("two-by-two", (2, 5, 4, 3), (2, 2), {}), ("every-pixel", (2, 4, 5, 3), (3, 1), {}),
        ),
        vary=hidden.pool, mistakes=(m.AVGPOOL_FORWARD, m.AVGPOOL_BACKWARD),
        points=(2, 3), minutes=25, reading="notebook 05",
    ),
    *pair(
        "ceilpool", "Max-pooling with partial windows", variants.CeilPool2d,
        cases=both(
            ("remainder", (3, 6, 8, 2), (3, 2), {}), ("two-by-two", (2, 5, 6, 3), (2, 2), {}), ("exact", (2, 5, 7, 2), (3, 2), {}),
        ),
        vary=hidden.pool, mistakes=(m.CEILPOOL_FORWARD, m.CEILPOOL_BACKWARD),
        points=(3, 4), minutes=35, reading="notebook 05",
    ),
    *pair(
        "squarenorm", "Normalisation over neighbouring pixels", variants.SquareNorm,
        cases=both(
            ("size-3", (3, 4, 5, 2), (), {"size": 3, "alpha": 0.3, "k": 1.0}),
            ("size-5", (2, 3, 6, 2), (), {"size": 5, "alpha": 0.2, "beta": 0.5, "k": 2.0}),
        ),
        vary=hidden.square_norm, mistakes=(m.SQUARENORM_FORWARD, m.SQUARENORM_BACKWARD),
        points=(3, 5), minutes=40, reading="notebook 05",
    ),
    *pair(
        "channeldrop", "Dropout of whole channels", variants.ChannelDropout,
        cases=(
            (
                Case("channels", (24, 3, 2, 50), kwargs={"p": 0.3}, kind="property", property="drops_channels"),
                Case("testing", (3, 2, 4, 5), kwargs={"p": 0.4}, kind="forward", mode="eval"),
            ),
            (
                Case("training", (3, 2, 4, 6), kwargs={"p": 0.3}),
                Case("testing", (3, 2, 4, 5), kwargs={"p": 0.4}, mode="eval"),
            ),
        ),
        vary=hidden.channel_dropout, mistakes=(m.CHANNEL_FORWARD, m.CHANNEL_BACKWARD),
        points=(3, 2), minutes=25, reading="notebook 06", random=True,
    ),
    Exercise(
        "nesterov.step", "Momentum that looks ahead", variants.NesterovSGD, write=("step",), after=(),
        cases=(
            Case("steps", (), ((0.1, 0.1, 0.01, 0.0, 0.1),), {"weight_decay": 0.05}, "property", property="trajectory"),
            Case("biases-decay", (), ((0.1, 0.03),), {"bias_decay": 0.1, "bias_lr": 3.0}, "property", property="trajectory"),
        ),
        vary=hidden.nesterov, mistakes=m.NESTEROV_STEP,
        points=3, minutes=20, reading="notebook 06",
    ),
    *pair(
        "smoothing", "Cross-entropy with smoothed labels", variants.SmoothedCrossEntropy,
        cases=(
            (
                Case("three-images", (3, 7), (0.1,), kind="forward", labels=(4, 0, 6)),
                Case("extreme", (3, 5), (0.2,), kind="forward", inputs="extreme", labels=(1, 0, 4)),
            ),
            (
                Case("three-images", (3, 7), (0.1,), labels=(4, 0, 6)),
                Case("one-image", (1, 5), (0.3,), labels=(2,)),
            ),
        ),
        vary=hidden.smoothed_loss, mistakes=(m.SMOOTHED_FORWARD, m.SMOOTHED_BACKWARD),
        points=(3, 3), minutes=25, reading="notebook 02",
    ),
    *pair(
        "ring", "Three towers in a ring", variants.RingExchange,
        cases=both(("three", (3, 2, 1, 4, 5), (), {}), ("four", (4, 3, 2, 1, 2), (), {})),
        vary=hidden.ring, mistakes=(m.RING_FORWARD, m.RING_BACKWARD),
        points=(2, 4), minutes=25, reading="notebook 08",
    ),
)  # fmt: skip

ALL = EXERCISES + VARIANTS


def find(ids, among=EXERCISES):
    """The exercises that ids, groups or beginnings of ids ("conv2d") mean, a list in the order of `among`. Raises ValueError for one that
    means none."""
    found = []
    for id in ids:
        meant = [e for e in among if e.id == id] or [e for e in among if e.group == id] or [e for e in among if e.id.startswith(id)]
        if not meant:
            groups = sorted({e.group for e in among})
            raise ValueError(f"there is no exercise {id!r}; exercises begin with {', '.join(groups)}")
        found += [e for e in meant if e not in found]
    return [e for e in among if e in found]
