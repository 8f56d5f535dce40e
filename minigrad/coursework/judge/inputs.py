"""Inputs and layers: what a case, which is data, stands for. The same case and seed always give the same numbers."""

import copy
import inspect

import numpy as np

from minigrad.coursework.cases import Array
from minigrad.gradcheck import kink_free

# ---- how numbers are drawn: (shape, rng) -> float64 array


def normal(shape, rng):
    return rng.standard_normal(shape)


def kinks(shape, rng):
    """Numbers at and beside zero among the others."""
    x = kink_free(shape, rng)
    special = [0.0, 1e-8, -3e-6, 3e-7, -0.0]
    x.flat[: len(special)] = special[: x.size]
    return x


def ties(shape, rng):
    """Maxima tied two, three and more ways."""
    return np.round(2 * kink_free(shape, rng)) / 2


def near_ties(shape, rng):
    """Sorted by value, each number is 1e-9 from one of its neighbours and far from the other."""
    x = kink_free(shape, rng)
    order = np.argsort(x, axis=None)
    x.flat[order[1::2]] = x.flat[order[: len(order) // 2 * 2 : 2]] + 1e-9
    return x


def equal(shape, rng):
    return np.full(shape, 0.75)


def extreme(shape, rng):
    """From -10,000 to 10,000."""
    return 5000 * kink_free(shape, rng)


def large(shape, rng):
    """From -1,000 to 1,000."""
    return 500 * kink_free(shape, rng)


INPUTS = {function.__name__: function for function in (normal, kink_free, kinks, ties, near_ties, equal, extreme, large)}


# ---- the arguments of a case


def x_of(case, seed):
    """The input of a case: a fresh float64 array, or for inputs "as is" a copy of case.x."""
    if case.inputs == "as is":
        return copy.deepcopy(case.x)
    if case.inputs == "numbers":
        return np.array(case.x, np.float64)
    return INPUTS[case.inputs](case.x, np.random.default_rng(seed))


def labels_of(case):
    """What forward gets after x: a tuple that is empty, or holds the labels (N,)."""
    return () if case.labels is None else (np.array(case.labels),)


def arguments_of(case, seed):
    """What a function gets after x: a list, each `Array` drawn as float64, the others copied."""
    rng = np.random.default_rng((seed, 1))
    return [INPUTS[a.inputs](a.shape, rng) if isinstance(a, Array) else copy.deepcopy(a) for a in case.args]


def second_batch(x, labels):
    """Another batch made of the first: one image fewer (if there are more than two), the last axis reversed. -> x, labels."""
    fewer = len(x) - 1 if len(x) > 2 else len(x)
    return x[:fewer][..., ::-1].copy(), tuple(each[:fewer] for each in labels)


# ---- the layer of a case


def build(cls, case, seed=0, dtype=np.float64):
    """A layer of this class as the case wants it, in training mode, its parameters given or drawn: normal numbers / sqrt(fan-in)."""
    more = {"rng": np.random.default_rng((seed, 2))} if "rng" in inspect.signature(cls).parameters else {}
    layer = cls(*case.args, **case.kwargs, **more)
    if hasattr(layer, "astype"):
        layer.astype(dtype)
    rng = np.random.default_rng((seed, 3))
    for p in parameters_of(layer):
        numbers = rng.standard_normal(p.value.shape) / np.sqrt(max(1, np.prod(p.value.shape[:-1])))
        p.value[...] = case.given.get(p.name, numbers)
    return layer


def parameters_of(layer):
    """The layer's parameters; none for a class that does not derive from Layer."""
    return layer.parameters() if hasattr(layer, "parameters") else ()


def in_mode(layer, case, seed):
    """The layer itself, in the mode of the case: "eval" comes after one forward in training mode."""
    if case.mode == "eval":
        layer.forward(x_of(case, seed), *labels_of(case))
        layer.eval()
    return layer
