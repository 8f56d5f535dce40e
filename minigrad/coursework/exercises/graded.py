"""Exercises for graded work: variants, which the library has no layer for."""

from functools import partial

from minigrad.coursework import hidden, variants
from minigrad.coursework.cases import Case
from minigrad.coursework.exercise import Exercise
from minigrad.coursework.mistakes import graded


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


GRADED = (
    *pair(
        "dilated", "Convolution with holes", variants.DilatedConv2d,
        cases=both(
            ("dilation-2", (3, 6, 7, 2), (2, 5, 3), {"dilation": 2}),
            ("stride-2", (2, 8, 7, 2), (2, 4, 2), {"stride": 2, "dilation": 3}),
            ("no-holes", (1, 4, 5, 3), (3, 2, 3), {}),
        ),
        vary=hidden.dilated_conv, mistakes=(graded.DILATED_FORWARD, graded.DILATED_BACKWARD),
        points=(3, 5), minutes=40, reading="notebooks 03 and 04",
    ),
    *pair(
        "circular", "Convolution on a torus", variants.CircularConv2d,
        cases=both(
            ("padding-1", (3, 4, 5, 2), (2, 5, 3), {"padding": 1}),
            ("stride-2", (2, 5, 6, 2), (2, 4, 3), {"stride": 2, "padding": 2}),
            ("no-padding", (1, 4, 5, 3), (3, 2, 2), {}),
        ),
        vary=hidden.circular_conv, mistakes=(graded.CIRCULAR_FORWARD, graded.CIRCULAR_BACKWARD),
        points=(3, 5), minutes=40, reading="notebooks 03 and 04",
    ),
    *pair(
        "avgpool", "Average pooling", variants.AvgPool2d,
        cases=both(
            ("overlapping", (3, 7, 6, 2), (3, 2), {}), ("two-by-two", (2, 5, 4, 3), (2, 2), {}), ("every-pixel", (2, 4, 5, 3), (3, 1), {}),
        ),
        vary=hidden.pool, mistakes=(graded.AVGPOOL_FORWARD, graded.AVGPOOL_BACKWARD),
        points=(2, 3), minutes=25, reading="notebook 05",
    ),
    *pair(
        "ceilpool", "Max-pooling with partial windows", variants.CeilPool2d,
        cases=both(
            ("remainder", (3, 6, 8, 2), (3, 2), {}), ("two-by-two", (2, 5, 6, 3), (2, 2), {}), ("exact", (2, 5, 7, 2), (3, 2), {}),
        ),
        vary=hidden.pool, mistakes=(graded.CEILPOOL_FORWARD, graded.CEILPOOL_BACKWARD),
        points=(3, 4), minutes=35, reading="notebook 05",
    ),
    *pair(
        "squarenorm", "Normalisation over neighbouring pixels", variants.SquareNorm,
        cases=both(
            ("size-3", (3, 4, 5, 2), (), {"size": 3, "alpha": 0.3, "k": 1.0}),
            ("size-5", (2, 3, 6, 2), (), {"size": 5, "alpha": 0.2, "beta": 0.5, "k": 2.0}),
        ),
        vary=hidden.square_norm, mistakes=(graded.SQUARENORM_FORWARD, graded.SQUARENORM_BACKWARD),
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
        vary=hidden.channel_dropout, mistakes=(graded.CHANNEL_FORWARD, graded.CHANNEL_BACKWARD),
        points=(3, 2), minutes=25, reading="notebook 06", random=True,
    ),
    Exercise(
        "nesterov.step", "Momentum that looks ahead", variants.NesterovSGD, write=("step",), after=(),
        cases=(
            Case("steps", (), ((0.1, 0.1, 0.01, 0.0, 0.1),), {"weight_decay": 0.05}, "property", property="trajectory"),
            Case("biases-decay", (), ((0.1, 0.03),), {"bias_decay": 0.1, "bias_lr": 3.0}, "property", property="trajectory"),
        ),
        vary=hidden.nesterov, mistakes=graded.NESTEROV_STEP,
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
        vary=hidden.smoothed_loss, mistakes=(graded.SMOOTHED_FORWARD, graded.SMOOTHED_BACKWARD),
        points=(3, 3), minutes=25, reading="notebook 02",
    ),
    *pair(
        "ring", "Three towers in a ring", variants.RingExchange,
        cases=both(("three", (3, 2, 1, 4, 5), (), {}), ("four", (4, 3, 2, 1, 2), (), {})),
        vary=hidden.ring, mistakes=(graded.RING_FORWARD, graded.RING_BACKWARD),
        points=(2, 4), minutes=25, reading="notebook 08",
    ),
)  # fmt: skip
