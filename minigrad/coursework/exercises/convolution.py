"""Exercises of notebooks 03 and 04: convolution, patches, towers as blocks of weights."""

from functools import partial

import numpy as np

from minigrad import plain
from minigrad.coursework import hidden, tasks
from minigrad.coursework.cases import Array, Case
from minigrad.coursework.exercise import Exercise
from minigrad.coursework.mistakes import convolution, towers

IMAGE = ((((1.0,), (2.0,), (0.0,)), ((3.0,), (4.0,), (0.0,))),)  # 1 2 0 above 3 4 0
KERNEL = np.array([[[[1.0]], [[10.0]]], [[[100.0]], [[1000.0]]]])
IMAGE_BY_KERNEL = ((((4328.0,), (409.0,)),),)  # their convolution, with a bias of 7

CONV = (  # name, x, args, kwargs
    ("plain", (3, 5, 4, 2), (2, 5, 3), {}),
    ("stride2-pad", (3, 7, 6, 2), (2, 5, 3), {"stride": 2, "padding": (1, 0, 2, 1)}),
    ("remainder", (3, 6, 5, 2), (2, 4, 3), {"stride": 2}),
    ("overhang", (1, 6, 5, 2), (2, 5, 3), {"stride": 3, "padding": (0, 3, 0, 3)}),
    ("whole-image", (5, 3, 4, 2), (2, 6, 4), {"padding": (0, 1, 0, 0)}),
    ("one-by-one", (2, 4, 5, 3), (3, 4, 1), {"stride": 3}),
    ("padding-1", (2, 5, 4, 3), (3, 7, 2), {"padding": 1}),
)
CONV_WORKED = {"x": IMAGE, "args": (1, 1, 2), "inputs": "numbers", "kind": "worked", "given": {"W": KERNEL, "b": np.array([7.0])}}

CONVOLUTION = (
    Exercise(
        "conv2d.naive", "Convolution, one output after the other", plain.conv2d_naive, write=("conv2d_naive",), after=(),
        cases=(
            Case("worked", IMAGE, (KERNEL, np.array([7.0])), kind="worked", inputs="numbers", expected={"y": np.array(IMAGE_BY_KERNEL)}),
            Case("plain", (3, 5, 4, 2), (Array((3, 3, 2, 5)), Array((5,))), kind="forward"),
            Case("stride2-pad", (3, 7, 6, 2), (Array((3, 3, 2, 5)), Array((5,)), 2, (1, 0, 2, 1)), kind="forward", weight=2),
            Case("overhang", (1, 6, 5, 2), (Array((3, 3, 2, 5)), Array((5,)), 3, (0, 3, 0, 3)), kind="forward"),
            Case("padding-1", (2, 5, 4, 3), (Array((2, 2, 3, 7)), Array((7,)), 1, 1), kind="forward"),
        ),
        vary=hidden.conv_naive, mistakes=convolution.CONV2D_NAIVE,
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
            Case("padding-1", (2, 5, 4, 3), (2, 1, 1), kind="forward"),
        ),
        vary=hidden.im2col, mistakes=convolution.IM2COL,
        points=3, minutes=20, reading="notebook 03", library=("minigrad.coursework.im2col",),
    ),
    Exercise(
        "patches.add_back", "col2im: the transpose of im2col", plain.col2im, write=("col2im",), after=("patches.extract",),
        cases=(
            Case("plain", (), ((3, 5, 4, 2), 3), kind="property", property="adjoint_of_im2col"),
            Case("stride2-pad", (), ((3, 7, 6, 2), 3, 2, (1, 0, 2, 1)), kind="property", property="adjoint_of_im2col", weight=2),
            Case("remainder", (), ((2, 6, 5, 3), 3, 2), kind="property", property="adjoint_of_im2col"),
            Case("overhang", (), ((1, 6, 5, 2), 3, 3, (0, 3, 0, 3)), kind="property", property="adjoint_of_im2col"),
            Case("padding-1", (), ((2, 5, 4, 3), 2, 1, 1), kind="property", property="adjoint_of_im2col"),
        ),
        vary=hidden.col2im, mistakes=convolution.COL2IM,
        points=4, minutes=30, reading="notebook 04", library=("minigrad.coursework.col2im",),
    ),
    Exercise(
        "conv2d.forward", "Convolution as one matrix product", plain.Conv2d, write=("forward",), after=("patches.extract",),
        cases=(
            Case("worked", **CONV_WORKED, expected={"y": IMAGE_BY_KERNEL}),
            *(Case(name, x, args, kwargs, "forward", weight=1 + (name == "stride2-pad")) for name, x, args, kwargs in CONV),
        ),
        vary=partial(hidden.conv, kind="forward"), mistakes=convolution.CONV2D_FORWARD, others=convolution.CONV2D_BACKWARD,
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
        vary=partial(hidden.conv, kind="gradients"), mistakes=convolution.CONV2D_BACKWARD, others=convolution.CONV2D_FORWARD,
        points=4, minutes=30, reading="notebook 04 §2", library=("minigrad.Conv2d",),
    ),
    Exercise(
        "towers.block_weights", "Two towers as one, with blocks of zeros", tasks.block_weights,
        write=("block_weights",), after=("conv2d.naive",),
        cases=(
            Case("two", (), (2, 3, 2, 3), kind="property", property="towers_in_one"),
            Case("three", (), (3, 1, 2, 1), kind="property", property="towers_in_one"),
        ),
        vary=hidden.block_weights, mistakes=towers.BLOCK_WEIGHTS,
        points=2, minutes=15, reading="notebook 04, paper §3.5",
    ),
)  # fmt: skip
