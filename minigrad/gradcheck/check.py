"""The two ways to ask: `check_layer` returns a report, `assert_gradients` raises it."""

import contextlib
import copy
import numbers
import random
import time
import warnings

import numpy as np

from minigrad.gradcheck.context import Settings
from minigrad.gradcheck.differences import kink_free
from minigrad.gradcheck.examination import examine
from minigrad.gradcheck.explanation import explanation
from minigrad.gradcheck.report import GradientError, Report
from minigrad.gradcheck.rules import ALL_CHECKS, CHECKS


def check_layer(layer, x, *args, wrt_x=True, seed=0, rtol=1e-6, budget=20_000, checks=CHECKS, suspects=(), title="", reference=None):
    """Compare the gradients of `backward` with differences of `forward`, and test the contract -> Report. Prints nothing.

    layer      a function without arguments that makes one (a class, a lambda), or a layer, which is copied and stays as it is
    x          an array, or a shape: then kink_free(shape, default_rng(seed)); the first axis counts the images
    args       handed to forward behind x; arrays of length N are shortened with x, and get no gradient (labels)
    wrt_x      False: only the parameters' gradients are checked, and backward may return None (a whole network)
    rtol       relative error of an element that is allowed; smaller than 1e-2 of the largest, an element is compared with that
    budget     at most so many evaluations of forward: large tensors are then tried along random directions
    checks     some of "values", "contract", "dtype", "layout"; and, for layers of a library, "alias", "errors"
    suspects   (hint, factory) pairs, known mistakes: if a failing layer has all gradients of one to 1e-9, the hint is the cause; if each
               wrong gradient is that of a suspect, the hints together are.
               (hint, number): the hint is the cause if the gradients are wrong by this factor
    reference  a function that makes a layer with the same parameters and the right forward: its differences are taken, not those of the
               layer's own forward, which only has to give the same y. Where the layer is random it is not used
    title      the first words of the message; by default the layer's name and the shape of x

    If forward gives a number, it is a loss: backward() is then called without argument. A layer is not started if forward or backward
    raises NotImplementedError or returns None or `...`. Any other error that the layer raises becomes a finding. Raises TypeError or
    ValueError for an x of integers, no images, unknown checks, a budget too small, and for something without forward or backward."""
    start = time.perf_counter()
    if isinstance(checks, str):
        raise TypeError(f"check_layer: checks must be a tuple of names, as ({checks!r},)")
    if unknown := sorted(set(checks) - set(ALL_CHECKS)):
        raise ValueError(f"check_layer: there is no check {unknown[0]!r}, there are {', '.join(ALL_CHECKS)}")
    factory = isinstance(layer, type) or not hasattr(layer, "forward")
    if factory and not callable(layer):
        raise TypeError(f"check_layer: expects a layer or a function that makes one, not {type(layer).__name__}")
    make = layer if factory else lambda: copy.deepcopy(layer)
    settings = Settings(make, factory, as_input(x, seed), args, wrt_x, seed, rtol, budget, checks, reference)
    with undisturbed():
        context = examine(settings)
        cause = explanation(context, suspects)
    shape = str(settings.x.shape).replace(" ", "")
    return Report(
        status=context.status,
        title=title or f"{context.subject.name or 'layer'} · x {shape}",
        seed=seed,
        rtol=rtol,
        entries=tuple(context.entries),
        findings=tuple(context.findings),
        notes=tuple(dict.fromkeys(context.notes)),
        cause=cause,
        kinks=sum(entry.kinks for entry in context.entries),
        evaluations=context.subject.evaluations,
        seconds=time.perf_counter() - start,
    )


def assert_gradients(layer, x, *args, wrt_x=True, seed=0, rtol=1e-6, budget=20_000, checks=CHECKS, suspects=(), title=""):
    """Raise GradientError unless `check_layer`, with the same arguments, passes. A layer that is not started does not."""
    __tracebackhide__ = True  # pytest shows the caller's line
    report = check_layer(layer, x, *args, wrt_x=wrt_x, seed=seed, rtol=rtol, budget=budget, checks=checks, suspects=suspects, title=title)
    if not report.ok:
        raise GradientError(report)


def as_input(x, seed):
    """x, an array or a shape, as a fresh float64 array in C order."""
    if isinstance(x, tuple) and all(isinstance(size, numbers.Integral) for size in x):
        if not x or min(x) < 1:
            raise ValueError(f"check_layer: x needs at least one image and no axis of size 0, but the shape is {x}")
        return kink_free(x, np.random.default_rng(seed))
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(
            f"check_layer: x must be an array of floats, or a shape as a tuple, not {x.dtype}: there is no slope in whole numbers"
        )
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"check_layer: x needs at least one image and no axis of size 0, but the shape is {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("check_layer: x holds a nan or an infinity")
    return np.array(x, np.float64, order="C")


@contextlib.contextmanager
def undisturbed():
    """Whatever happens inside: the global random states, the warning filters and NumPy's error handling stay as they were."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
