"""Exercises of notebook 02, and tanh: layers without neighbours, and the loss."""

from functools import partial

import numpy as np

from minigrad import plain
from minigrad.coursework import hidden
from minigrad.coursework.cases import Case
from minigrad.coursework.exercise import Exercise
from minigrad.coursework.mistakes import elementwise

LOGITS = ((0.0, 0.0, float(np.log(2.0))), (0.0, float(np.log(3.0)), float(np.log(4.0))))  # probabilities 1/4 1/4 1/2 and 1/8 3/8 1/2
LOSS_WORKED = {"x": LOGITS, "labels": (0, 1), "inputs": "numbers", "kind": "worked"}
WORKED_LOSS = float(np.log(4.0) + np.log(8 / 3)) / 2
WORKED_DLOGITS = ((-0.375, 0.125, 0.25), (0.0625, -0.3125, 0.25))

FAR_APART = ((0.0, -800.0, 1.0, 2.0), (2.0, 0.5, 0.0, -900.0))  # exp(-800) is 0; labels 1 and 3

EXTREME_LOGITS = ((1e4, -1e4, 30.0, 5e3), (-2e3, 0.0, 7e3, -50.0), (-1e4, 4.0, -4.0, 2.5))  # of labels 1, 0, 2, never the largest

NETWORK = (
    Exercise(
        "linear.forward", "Fully connected, forward", plain.Linear, write=("forward",), after=(),
        cases=(
            Case("worked", ((1.0, 2.0),), (2, 3), kind="worked", inputs="numbers",
                 given={"W": np.array([[1.0, 0.0, -1.0], [10.0, 20.0, 30.0]]), "b": np.array([0.5, 0.0, -0.5])},
                 expected={"y": ((21.5, 40.0, 58.5),)}),
            Case("small", (3, 5), (5, 4), kind="forward"),
            Case("one-image", (1, 4), (4, 7), kind="forward"),
        ),
        vary=partial(hidden.linear, kind="forward"), mistakes=elementwise.LINEAR_FORWARD, others=elementwise.LINEAR_BACKWARD,
        points=1, minutes=5, reading="notebook 02", library=("minigrad.Linear",),
    ),
    Exercise(
        "linear.backward", "Fully connected: three derivatives of one product", plain.Linear,
        write=("backward",), after=("linear.forward",),
        cases=(
            Case("worked", ((1.0, 2.0, 0.0), (0.0, 3.0, 1.0)), (3, 1), kind="worked", inputs="numbers", dy=((1.0,), (10.0,)),
                 given={"W": np.array([[2.0], [-1.0], [4.0]]), "b": np.array([0.0])},
                 expected={"y": ((0.0,), (1.0,)), "dx": ((2.0, -1.0, 4.0), (20.0, -10.0, 40.0)), "dW": ((1.0,), (32.0,), (10.0,)),
                           "db": (11.0,)}),
            Case("small", (3, 5), (5, 4), weight=2),
            Case("one-image", (1, 4), (4, 7)),
            Case("large", (2, 500), (500, 500), budget=1500),
        ),
        vary=partial(hidden.linear, kind="gradients"), mistakes=elementwise.LINEAR_BACKWARD, others=elementwise.LINEAR_FORWARD,
        points=3, minutes=20, reading="notebook 02", library=("minigrad.Linear",),
    ),
    Exercise(
        "relu.forward", "The larger of x and 0", plain.ReLU, write=("forward",), after=(),
        cases=(
            Case("flat", (3, 5), kind="forward"),
            Case("images", (3, 2, 5, 4), kind="forward"),
            Case("zeros", (3, 5), kind="forward", inputs="kinks"),
        ),
        vary=partial(hidden.any_shape, kind="forward", inputs=("kink_free", "kinks")),
        mistakes=elementwise.RELU_FORWARD, others=elementwise.RELU_BACKWARD,
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
        vary=partial(hidden.any_shape, kind="gradients", inputs=("kink_free", "kinks")),
        mistakes=elementwise.RELU_BACKWARD, others=elementwise.RELU_FORWARD,
        points=2, minutes=10, reading="notebook 02, paper §3.1", library=("minigrad.ReLU",),
    ),
    Exercise(
        "tanh.forward", "The curve of before 2012", plain.Tanh, write=("forward",), after=(),
        cases=(
            Case("flat", (3, 5), kind="forward"),
            Case("images", (3, 2, 5, 4), kind="forward"),
            Case("far", (3, 5), kind="forward", inputs="large"),
        ),
        vary=partial(hidden.any_shape, kind="forward"), mistakes=elementwise.TANH_FORWARD, others=elementwise.TANH_BACKWARD,
        points=1, minutes=5, reading="notebook 06, paper Figure 1", library=("minigrad.Tanh",),
    ),
    Exercise(
        "tanh.backward", "The slope of tanh, from its value", plain.Tanh, write=("backward",), after=("tanh.forward",),
        cases=(Case("flat", (3, 5)), Case("images", (3, 2, 5, 4))),
        vary=partial(hidden.any_shape, kind="gradients"), mistakes=elementwise.TANH_BACKWARD, others=elementwise.TANH_FORWARD,
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
        vary=partial(hidden.any_shape, kind="forward", axes=(3, 4)),
        mistakes=elementwise.FLATTEN_FORWARD, others=elementwise.FLATTEN_BACKWARD,
        points=1, minutes=5, reading="notebook 02", library=("minigrad.Flatten",),
    ),
    Exercise(
        "flatten.backward", "Rows as images again", plain.Flatten, write=("backward",), after=("flatten.forward",),
        cases=(Case("images", (3, 2, 5, 4)), Case("one-image", (1, 3, 2, 5))),
        vary=partial(hidden.any_shape, kind="gradients", axes=(3, 4)),
        mistakes=elementwise.FLATTEN_BACKWARD, others=elementwise.FLATTEN_FORWARD,
        points=1, minutes=5, reading="notebook 02", library=("minigrad.Flatten",),
    ),
    Exercise(
        "loss.forward", "Softmax and cross-entropy", plain.SoftmaxCrossEntropy, write=("forward",), after=(),
        cases=(
            Case("worked", **LOSS_WORKED, expected={"y": WORKED_LOSS}),
            Case("three-images", (3, 7), kind="forward", labels=(4, 0, 6)),
            Case("extreme", (3, 5), kind="forward", inputs="extreme", labels=(1, 0, 4)),
            Case("far-apart", FAR_APART, kind="forward", inputs="numbers", labels=(1, 3)),
            Case("one-class", (3, 1), kind="forward", labels=(0, 0, 0)),
        ),
        vary=partial(hidden.loss, kind="forward", inputs=("kink_free", "extreme")),
        mistakes=elementwise.LOSS_FORWARD, others=elementwise.LOSS_BACKWARD,
        points=2, minutes=15, reading="notebook 02", library=("minigrad.SoftmaxCrossEntropy",),
    ),
    Exercise(
        "loss.backward", "p minus one-hot", plain.SoftmaxCrossEntropy, write=("backward",), after=("loss.forward",),
        cases=(
            Case("worked", **LOSS_WORKED, expected={"y": WORKED_LOSS, "dx": WORKED_DLOGITS}),
            Case("three-images", (3, 7), labels=(4, 0, 6), weight=2),
            Case("one-image", (1, 5), labels=(2,)),
            Case("large", EXTREME_LOGITS, inputs="numbers", labels=(1, 0, 2)),
        ),
        vary=partial(hidden.loss, kind="gradients"), mistakes=elementwise.LOSS_BACKWARD, others=elementwise.LOSS_FORWARD,
        points=3, minutes=15, reading="notebook 02", library=("minigrad.SoftmaxCrossEntropy",),
    ),
)  # fmt: skip
