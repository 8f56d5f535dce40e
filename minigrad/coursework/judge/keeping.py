"""What forward keeps: is it what backward needs? The model's backward is called with it."""

import numpy as np

from minigrad.coursework.judge.caged.errors import words_of
from minigrad.coursework.judge.comparison import Value, copied
from minigrad.coursework.judge.inputs import build, in_mode, labels_of, parameters_of, x_of

CONVENTIONS = ("kinks", "ties", "near_ties", "equal")  # inputs for which there is more than one right dx
NAMES = "The docstring names what forward has to keep"


def kept_value(cls, model, case, seed):
    """A `Value`: dx and the gradients of the parameters, given by the model's backward with what the layer's forward keeps.

    A solution may keep other things than the docstring says, for a backward of its own; then
    that one is tried, and whether its numbers are right is the question of another exercise."""
    layer, right = (in_mode(build(each, case, seed), case, seed) for each in (cls, model))
    x, labels = x_of(case, seed), labels_of(case)
    y = right.forward(x.copy(), *labels)
    dy = () if np.ndim(y) == 0 else (np.random.default_rng((seed, 6)).standard_normal(np.shape(y)),)
    expected = told(right, model.backward, x, y, dy, case)
    layer.forward(x.copy(), *labels)
    found = told(layer, model.backward, x, y, dy, case)
    if not near(found, expected):
        own = told(layer, lambda self, *dy: self.backward(*dy), x, y, dy, case)
        if near(own, expected) or not (isinstance(own, str) or near(own, found)):
            found = expected
    return Value("what forward keeps", joined(found, expected), joined(expected, expected), if_wrong=sentence_about(found, case))


def joined(found, expected):
    """The numbers of an answer of `told` one after the other; or text, where they cannot be compared with the expected ones."""
    if isinstance(found, str):
        return found
    described = [f"{a.shape} {a.dtype}" for a in found]
    if described != [f"{a.shape} {a.dtype}" for a in expected]:
        return " ".join(described)
    return np.concatenate([a.ravel() for a in found])


def told(layer, backward, x, y, dy, case):
    """What backward(layer, *dy) gives: a list of arrays, or what was raised, as text.

    Where x stands at kinks, any convention is right, but <x, dx> = <y, dy> for all that are: ReLU and max-pooling scale as x does."""
    try:
        dx = backward(layer, *[each.copy() for each in dy])
        gradients = [copied(dx), *(copied(getattr(layer, "d" + p.name, p.grad)) for p in parameters_of(layer))]
        if not all(isinstance(gradient, np.ndarray) for gradient in gradients):
            return "backward gives no array"
        if case.inputs in CONVENTIONS:
            return [np.array([(x * dx).sum() / (abs(y * dy[0]).sum() or 1)])]
        return gradients
    except Exception as error:
        return words_of(error)


def near(some, others):
    """Whether two answers of `told` are the same, numbers to 1e-9."""
    if isinstance(some, str) or isinstance(others, str):
        return some == others
    return all(
        a.shape == b.shape and a.dtype == b.dtype and abs(a - b).max(initial=0) <= 1e-9 * abs(b).max(initial=0)
        for a, b in zip(some, others, strict=True)
    )


def sentence_about(found, case):
    if isinstance(found, str):
        return f"backward cannot work with what forward keeps: {found.rstrip('.')}. {NAMES}."
    if case.inputs in CONVENTIONS:
        return "With what forward keeps, what ties receive in backward does not add up to dy: of a tie one number wins, or they share."
    return f"With what forward keeps, backward gives wrong numbers. {NAMES}."
