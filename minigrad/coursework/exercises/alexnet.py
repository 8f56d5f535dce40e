"""Exercises of notebooks 07 to 09: AlexNet put together, what towers exchange, augmentation, measures."""

from functools import partial

import numpy as np

from minigrad.coursework import hidden, tasks
from minigrad.coursework.cases import Case
from minigrad.coursework.exercise import Exercise
from minigrad.coursework.mistakes import functions, towers

IMAGENET_COLOURS = (  # paper §4.1; standard deviations in grey levels, components as columns
    (121.7801, 37.0939, 19.7208),
    ((-0.56351, -0.71258, 0.41796), (-0.57618, -0.02354, -0.81698), (-0.59200, 0.70120, 0.39731)),
)

PAPER_LAYERS = [
    ("conv", 11, 4, (0, 3, 0, 3), 48), ("pool", 3, 2), ("conv", 5, 1, (2, 2, 2, 2), 128), ("pool", 3, 2),
    ("conv", 3, 1, (1, 1, 1, 1), 192), ("conv", 3, 1, (1, 1, 1, 1), 192), ("conv", 3, 1, (1, 1, 1, 1), 128), ("pool", 3, 2),
]  # fmt: skip
PAPER_SHAPES = [(55, 55, 48), (27, 27, 48), (27, 27, 128), (13, 13, 128), (13, 13, 192), (13, 13, 192), (13, 13, 128), (6, 6, 128)]

ALEXNET = (
    Exercise(
        "alexnet.shapes", "What comes out of each layer", tasks.shapes, write=("shapes",), after=(),
        cases=(
            Case("paper", (224, 224, 3), (PAPER_LAYERS,), kind="worked", inputs="as is", expected={"y": PAPER_SHAPES}),
            Case("odd", (37, 50, 3), ([("conv", 5, 2, (1, 0, 3, 2), 7), ("pool", 2, 3), ("conv", 2, 1, (0, 0, 0, 0), 4)],), kind="forward",
                 inputs="as is"),
        ),
        vary=hidden.shapes, mistakes=functions.SHAPES,
        points=2, minutes=15, reading="notebook 07, paper §3.5",
    ),
    Exercise(
        "alexnet.stages", "Two towers, stage by stage", tasks.stages, write=("stages",), after=("alexnet.shapes",),
        cases=(
            Case("small", (2, 15, 15, 3), ((4, 6), 8, 4, 3), kind="property", property="same_network"),
            Case("wider", (3, 13, 13, 3), ((6, 2), 10, 6, 2), kind="property", property="same_network"),
        ),
        vary=hidden.stages, mistakes=functions.STAGES,
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
        vary=partial(hidden.exchange, kind="forward"), mistakes=towers.EXCHANGE_FORWARD, others=towers.EXCHANGE_BACKWARD,
        points=2, minutes=15, reading="notebook 08, paper §3.5", library=("minigrad.Towers",),
    ),
    Exercise(
        "exchange.backward", "What all towers say of each one's channels", tasks.Exchange, write=("backward",), after=("exchange.forward",),
        cases=(
            Case("two", (2, 3, 1, 4, 5), weight=2),
            Case("three", (3, 2, 4, 1, 1)),
            Case("transpose", (3, 2, 4, 1, 2), kind="property", property="adjoint"),
        ),
        vary=partial(hidden.exchange, kind="gradients"), mistakes=towers.EXCHANGE_BACKWARD, others=towers.EXCHANGE_FORWARD,
        points=4, minutes=25, reading="notebook 08, paper §3.5", library=("minigrad.Towers",),
    ),
    Exercise(
        "augment.crop_flip", "33 × 33 crops, and their mirrors", tasks.crop_flip, write=("crop_flip",), after=(),
        cases=(
            Case("square", (400, 6, 6, 3), (4,), kind="property", property="crops"),
            Case("wide", (400, 5, 8, 1), (4,), kind="property", property="crops"),
        ),
        vary=hidden.crop_flip, mistakes=functions.CROP_FLIP,
        points=3, minutes=20, reading="notebook 09, paper §4.1",
    ),
    Exercise(
        "augment.colour_noise", "Light of another colour", tasks.colour_noise, write=("colour_noise",), after=(),
        cases=(Case("imagenet", (3000, 1, 2, 3), IMAGENET_COLOURS, kind="property", inputs="large", property="noise"),),
        vary=hidden.colour_noise, mistakes=functions.COLOUR_NOISE,
        points=3, minutes=20, reading="notebook 09, paper §4.1",
    ),
    Exercise(
        "metrics.top_k", "Errors of the first k guesses", tasks.top_k_error, write=("top_k_error",), after=(),
        cases=(
            Case("worked", ((0.1, 0.7, 0.2), (0.5, 0.2, 0.3)), (np.array([2, 2]), 1), kind="worked", inputs="numbers", expected={"y": 1.0}),
            Case("top-1", (12, 9), (np.arange(12) % 9, 1), kind="forward"),
            Case("top-5", (20, 9), (np.arange(20) % 9, 5), kind="forward"),
        ),
        vary=hidden.top_k, mistakes=functions.TOP_K,
        points=2, minutes=10, reading="notebook 09, paper §1", library=("minigrad.training.top_k_errors",),
    ),
)  # fmt: skip
