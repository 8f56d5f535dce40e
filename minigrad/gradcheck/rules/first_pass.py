"""The first forward and backward of a draw: what comes back, and what was written to. No other rule means anything without it."""

import contextlib
import os
import warnings

import numpy as np

from minigrad.gradcheck.comparison import distance, first_index
from minigrad.gradcheck.interruptions import FOREIGN, Raised, Stopped
from minigrad.gradcheck.report import Finding
from minigrad.gradcheck.subject import Results, copied, gradient_name


def first_pass(context, draw):
    """Set draw.results and draw.comparable, and yield what is wrong with them; find out whether the layer is random."""
    subject = context.subject
    layer, x = subject.fresh(), draw.x.copy()
    parameters = {p.name: p.value for p in subject.parameters(layer)}
    before = {name: value.tobytes() for name, value in parameters.items()}
    with warnings_noted(context):
        y = subject.forward(layer, x, draw)
        subject.accept_output(y, draw)
        y, x_writer, dy = copied(y), "forward" if differ(x, draw.x) else "backward", copied(draw.dy)
        gradients = subject.gradients(layer, subject.backward(layer, dy, draw))
    draw.results = Results(y, gradients)
    stop_if_parameters_changed(context, draw, layer, parameters, before)
    if "contract" in context.settings.checks:
        if differ(x, draw.x):
            words = f"{x_writer} writes into x, which the layer before still needs"
            yield Finding("contract", "writes-x", "x", f"{words}{writing_line(context, draw, 'x')}.")
        if differ(dy, np.asarray(draw.dy)):
            words = "backward writes into dy, which belongs to the caller: others still need it"
            yield Finding("contract", "writes-dy", "dy", f"{words}{writing_line(context, draw, 'dy')}.")
    find_randomness(context, draw, layer)
    for name, t in subject.tensors(layer, draw).items():
        fault = gradient_fault(name, gradients.get(name), t.shape)
        if fault is None:
            draw.comparable += (name,)
        else:
            yield fault


@contextlib.contextmanager
def warnings_noted(context):
    """Warnings, also NumPy's, become notes; unless the body raises."""
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("always")
        yield
    own = [w for w in caught if not w.filename.startswith(FOREIGN)]
    context.notes += [f"warning: {w.message} (line {w.lineno} of {os.path.basename(w.filename)})" for w in own]


def differ(array, other):
    """Whether any bit of two arrays of the same shape differs."""
    return array.tobytes() != other.tobytes()


def stop_if_parameters_changed(context, draw, layer, parameters, before):
    """parameters, before: name -> the array in use, and its bytes, before the first pass."""
    for p in context.subject.parameters(layer):
        if p.value.size and not np.may_share_memory(p.value, parameters[p.name]):
            words = f"{p.name} is another array after forward; Parameter.value is the live array."
            raise Stopped("contract", "parameters", p.name, words)
    for name, value in parameters.items():
        if value.tobytes() != before[name]:
            words = f"the layer writes into {name}; only the optimiser changes parameters"
            raise Stopped("contract", "writes-parameter", name, f"{words}{writing_line(context, draw, name)}.")


def writing_line(context, draw, tensor):
    """The line that writes into an array handed to the layer ("x", "dy" or a parameter), or "": if it is read-only, the line raises."""
    layer = context.subject.fresh()
    for p in context.subject.parameters(layer):
        p.value.flags.writeable = p.name != tensor
    x, dy = (read_only(array) if name == tensor else copied(array) for name, array in (("x", draw.x), ("dy", draw.dy)))
    try:
        context.subject.forward(layer, x, draw)
        context.subject.backward(layer, dy, draw)
    except Raised as raised:
        return raised.source_line()
    return ""


def read_only(array):
    """A copy that cannot be written to."""
    array = array.copy()
    array.flags.writeable = False
    return array


def find_randomness(context, draw, layer):
    """Is the layer random? Then each evaluation starts from a copy in the same random state, so that all have the same mask.

    layer: the instance that did the first pass."""
    subject, y = context.subject, draw.results.y
    if not distance(copied(subject.forward(layer, draw.x.copy(), draw)), y) <= 1e-12:
        subject.random = True
    if subject.random and not distance(copied(subject.forward(subject.fresh(), draw.x.copy(), draw)), y) <= 1e-12:
        words = "The layer draws from something that is not its own generator: two copies of it give different outputs."
        raise Stopped("contract", "foreign-randomness", "", words)


def gradient_fault(name, gradient, shape):
    """The finding about a gradient that cannot be compared, or None. shape: that of the tensor."""
    if gradient is None:
        return Finding("contract", "missing", name, f"{gradient_name(name)} is None after backward.")
    if gradient.dtype == object:
        return Finding("contract", "shape", name, f"{gradient_name(name)} is no array of numbers.")
    if gradient.shape != shape:
        return Finding("contract", "shape", name, f"{gradient_name(name)} has shape {gradient.shape}, but {name} has {shape}.")
    if gradient.dtype != np.float64:
        return Finding("dtype", "precision", name, f"float64 went in, but {gradient_name(name)} is {gradient.dtype}.")
    if not np.isfinite(gradient).all():
        index = first_index(~np.isfinite(gradient))
        return Finding("contract", "not-finite", name, f"{gradient_name(name)} holds {gradient[index]}, first at {index}.")
    return None
