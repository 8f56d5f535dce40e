"""Aliases: y and dx are arrays of their own. A rule for a library's layers; what breaks it in others is noted."""

import itertools

import numpy as np

from minigrad.gradcheck.report import Finding
from minigrad.gradcheck.subject import copied


def alias(context, draw):
    """y and dx share no memory with x, dy or a parameter, and no later call overwrites them.

    A view of a whole array that has but another shape is allowed."""
    subject = context.subject
    layer, x, dy = subject.fresh(), draw.x.copy(), copied(draw.dy)
    results = {"y": np.asarray(subject.forward(layer, x, draw)), "dx": np.asarray(subject.backward(layer, dy, draw))}
    given = {"x": x, "dy": dy} | {p.name: p.value for p in subject.parameters(layer)}
    sentences = [
        f"{name} shares memory with {source}: whoever changes one changes the other."
        for (name, result), (source, array) in itertools.product(results.items(), given.items())
        if np.may_share_memory(result, array) and not reshaped(result, array)
    ]
    before = {name: result.tobytes() for name, result in results.items()}
    subject.one_pass(layer, draw.variant(draw.x[..., ::-1] * 0.5, draw.dy * 3.0))
    sentences += [f"{name} is overwritten by a later call." for name, result in results.items() if result.tobytes() != before[name]]
    if sentences and "alias" in context.settings.checks:
        yield Finding("alias", "alias", sentences[0].split()[0].removeprefix("d"), sentences[0])
    else:
        context.notes += sentences[:1]


def reshaped(result, array):
    """Whether the result is the whole array in another shape."""
    return result.shape != array.shape and result.size == array.size and result.ctypes.data == array.ctypes.data
