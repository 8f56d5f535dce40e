"""Exercises of notebooks 05 and 06: pooling, local response normalisation, dropout, the rule of learning."""

from functools import partial

from minigrad import plain
from minigrad.coursework import hidden
from minigrad.coursework.cases import Case
from minigrad.coursework.exercise import Exercise
from minigrad.coursework.mistakes import neighbours, towers

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

LAYERS = (
    Exercise(
        "maxpool.forward", "The largest number of each window", plain.MaxPool2d, write=("forward",), after=("arrays.windows",),
        cases=tuple(Case(name, x, args, kind="forward", inputs=inputs) for name, x, args, inputs in POOL),
        vary=partial(hidden.max_pool, kind="forward"), mistakes=neighbours.MAXPOOL_FORWARD, others=neighbours.MAXPOOL_BACKWARD,
        points=2, minutes=20, reading="notebook 05, paper §3.4", library=("minigrad.MaxPool2d",),
    ),
    Exercise(
        "maxpool.backward", "Winners receive", plain.MaxPool2d, write=("backward",), after=("maxpool.forward",),
        cases=tuple(Case(name, x, args, inputs=inputs, weight=1 + (name == "overlapping")) for name, x, args, inputs in POOL),
        vary=partial(hidden.max_pool, kind="gradients"), mistakes=neighbours.MAXPOOL_BACKWARD, others=neighbours.MAXPOOL_FORWARD,
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
        vary=partial(hidden.lrn, kind="forward"), mistakes=neighbours.LRN_FORWARD, others=neighbours.LRN_BACKWARD,
        points=3, minutes=20, reading="notebook 05, paper §3.3", library=("minigrad.LocalResponseNorm",),
    ),
    Exercise(
        "lrn.backward", "A number enters its neighbours' sums", plain.LocalResponseNorm, write=("backward",), after=("lrn.forward",),
        cases=tuple(Case(name, x, kwargs=kwargs, weight=1 + (name == "seven-channels")) for name, x, kwargs in LRN),
        vary=partial(hidden.lrn, kind="gradients"), mistakes=neighbours.LRN_BACKWARD, others=neighbours.LRN_FORWARD,
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
        vary=partial(hidden.dropout, kind="property"), mistakes=neighbours.DROPOUT_FORWARD, others=neighbours.DROPOUT_BACKWARD,
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
        vary=partial(hidden.dropout, kind="gradients"), mistakes=neighbours.DROPOUT_BACKWARD, others=neighbours.DROPOUT_FORWARD,
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
        vary=hidden.sgd, mistakes=towers.SGD_STEP,
        points=3, minutes=20, reading="notebook 06, paper §5", library=("minigrad.SGD",),
    ),
)  # fmt: skip
