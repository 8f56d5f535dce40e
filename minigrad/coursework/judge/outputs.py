"""Which values a case compares: those of a worked example, what forward gives, what a function returns, or those of a property.

Everything is computed twice, by the solution and by the model solution, from the same inputs."""

import copy
import inspect

import numpy as np

from minigrad.coursework.judge import properties, randomness, sums
from minigrad.coursework.judge.comparison import Value, copied, dtype_value
from minigrad.coursework.judge.inputs import arguments_of, build, in_mode, labels_of, parameters_of, second_batch, x_of
from minigrad.coursework.judge.keeping import kept_value


def values_of(solution, model, case, seed):
    """Yields the `Value`s of a case. solution, model: a class with forward and backward, or a function; the model is the model solution.

    Of a case of the kind "gradients" these are what forward gives. Raises whatever the solution raises."""
    if case.kind == "property":
        module = next(module for module in (properties, randomness, sums) if hasattr(module, case.property))
        yield from getattr(module, case.property)(solution, model, case, seed)
    elif case.kind == "worked":
        yield from worked_values(solution, case)
    elif inspect.isclass(model):
        wrong = False
        for value in forward_values(solution, model, case, seed):
            wrong = wrong or bool(value.sentence())
            yield value
        if case.kind == "forward" and not wrong:
            yield kept_value(solution, model, case, seed)
    else:
        yield from function_values(solution, model, case, seed)


def worked_values(solution, case):
    """The numbers of a worked example: the result of a function, or y, dx and the gradients of the parameters."""
    if not inspect.isclass(solution):
        yield Value("the result", solution(x_of(case, 0), *arguments_of(case, 0)), case.expected["y"], 1e-6)
        return
    layer = build(solution, case)
    y = layer.forward(x_of(case, 0), *labels_of(case))
    yield Value("y", y, expected_numbers(case, "y"), 1e-6)
    if len(case.expected) == 1:
        return
    dx = layer.backward() if np.ndim(y) == 0 else layer.backward(np.array(case.dy, np.float64))
    yield Value("dx", dx, expected_numbers(case, "dx"), 1e-6)
    for p in parameters_of(layer):
        if "d" + p.name in case.expected:
            missing = f"d{p.name} is None: backward has to leave it in self.d{p.name}."
            yield Value("d" + p.name, p.grad, expected_numbers(case, "d" + p.name), 1e-6, if_none=missing)


def expected_numbers(case, name):
    """What a worked example expects under this name: a float64 array, or a float."""
    numbers = np.array(case.expected[name], np.float64)
    return float(numbers) if numbers.ndim == 0 else numbers


def forward_values(cls, model, case, seed):
    """Two batches through one layer; x stays as it is; float32 stays float32; memory layout does not matter."""
    layer, right = (in_mode(build(c, case, seed), case, seed) for c in (cls, model))
    first = x_of(case, seed), labels_of(case)
    for name, (x, labels) in {"y": first, "y of another batch": second_batch(*first)}.items():
        before = x.copy()
        y = copied(layer.forward(x, *labels))
        yield Value(name, y, copied(right.forward(before.copy(), *labels)))
        yield Value(f"x after {name}", x, before, 0.0, "forward writes into x, which the layer before still needs.")
    if np.ndim(y) == 0:
        yield number_value(y)
    else:
        yield Value("y in Fortran order", copied(layer.forward(np.asfortranarray(x))), copied(right.forward(x)), 1e-10)
        single = in_mode(build(cls, case, seed, np.float32), case, seed)
        sentence = "float32 went in, but y came out as {}: one np.float64 scalar is enough."
        yield dtype_value(single.forward(x.astype(np.float32)), np.float32, sentence)


def number_value(y):
    """y is a float, as np.float64 is one."""
    found = f"an array of shape {y.shape}" if isinstance(y, np.ndarray) else f"of type {type(y).__name__}"
    return Value("float", isinstance(y, float), True, if_wrong=f"The result is {found}, expected a float: float(...) makes one.")


def function_values(function, model, case, seed):
    """What a function returns; its arguments stay as they are; float32 stays float32; memory layout does not matter."""
    inputs = [x_of(case, seed), *arguments_of(case, seed)]
    handed_over = copy.deepcopy(inputs)
    y, right = function(*handed_over, **case.kwargs), model(*copy.deepcopy(inputs), **case.kwargs)
    result = Value("the result", copied(y), right)
    yield result
    if isinstance(right, float) and not result.sentence():
        yield number_value(y)
    for name, after, before in zip(inspect.signature(model).parameters, handed_over, inputs, strict=False):
        if isinstance(before, np.ndarray):
            yield Value(name, after, before, 0.0, f"{name} is written to; it belongs to the caller.")
    if isinstance(inputs[0], np.ndarray) and isinstance(right, np.ndarray):
        fortran = [np.asfortranarray(a) if isinstance(a, np.ndarray) else a for a in copy.deepcopy(inputs)]
        yield Value("the result for arrays in Fortran order", copied(function(*fortran, **case.kwargs)), right)
        single = [a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a for a in copy.deepcopy(inputs)]
        yield dtype_value(function(*single, **case.kwargs), np.float32, "float32 went in, but {} came out.")
