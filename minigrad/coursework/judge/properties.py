"""Properties that a right solution has, whatever its numbers are. Each is a function (solution, model, case, seed) that yields `Value`s.

solution, model: both a class, or both a function; model is the model solution. A case names its property. Those of what is drawn at random
are in randomness.py, those of sums over ranks in sums.py."""

import copy
from dataclasses import replace

import numpy as np

from minigrad import Towers
from minigrad.coursework.judge.caged.functions import FUNCTIONS
from minigrad.coursework.judge.comparison import Value, copied, dtype_value
from minigrad.coursework.judge.inputs import arguments_of, build, x_of
from minigrad.coursework.judge.summands import by_window, overwritten
from minigrad.layers import Parameter
from minigrad.plain import conv2d_naive, im2col

# ---- arrays


def is_view(windows, model, case, seed):
    """The result shares the memory of x and has the right numbers."""
    x = x_of(case, seed)
    before = x.copy()
    result = windows(x, *case.args)
    yield Value("the result", copied(result), model(before, *case.args).copy())
    yield Value("x", x, before, 0.0, "x is written to; it belongs to the caller.")
    shares = isinstance(result, np.ndarray) and np.may_share_memory(result, x)
    yield Value("shares memory with x", shares, True, if_wrong="The numbers are copied: change x, and the windows do not change with it.")


def changes_in_place(update, model, case, seed):
    """Whoever holds w, or a view of it, sees the new numbers."""
    w, (g, lr) = x_of(case, seed), arguments_of(case, seed)
    view, g_before = w[::2], g.copy()
    expected = w - lr * g
    returned = update(w, g, lr)
    unchanged = (w == x_of(case, seed)).all()
    yield Value("w", w.copy(), expected, if_wrong="w, as the caller holds it, is unchanged." if unchanged else "")
    yield Value("a view of w", view.copy(), expected[::2])
    yield Value("g", g.copy(), g_before, 0.0, "g is written to; it belongs to the caller.")
    yield Value("the result", returned, None, if_wrong="Nothing is returned: w itself has changed.")


def keeps_dtype(scaled, model, case, seed):
    """float32 and float64 come out as they went in, with the right numbers; x stays."""
    for dtype in (np.float32, np.float64):
        x, scale = x_of(case, seed).astype(dtype), np.float64(case.args[0])
        before = x.copy()
        y = scaled(x, scale)
        name = np.dtype(dtype).name
        sentence = f"{name} went in, but {getattr(y, 'dtype', type(y).__name__)} came out."
        yield Value(f"dtype of {name}", str(getattr(y, "dtype", None)), name, if_wrong=sentence)
        yield Value(f"numbers of {name}", copied(y), before * dtype(scale), 1e-6)
        yield Value(f"x in {name}", x, before, 0.0, "x is written to; it belongs to the caller.")


# ---- derivatives


def answers(choose, model, case, seed):
    """The right letter; the sentence does not tell which it is."""
    letter = choose()
    yield Value("the answer", letter, model(), if_wrong=f"{letter!r} is not the answer.")


def differences(numerical_gradient, model, case, seed):
    """The model's slopes to 2e-7, for a function that cubes, one that mixes, or one that reuses its buffer; t is restored."""
    f, t = FUNCTIONS[case.args[0]], x_of(case, seed)
    before, dy = t.copy(), np.random.default_rng((seed, 5)).standard_normal(f(t.copy()).shape)
    gradient = numerical_gradient(f, t, dy)
    yield Value("the gradient", copied(gradient), model(f, before.copy(), dy), 2e-7, alike=1e-7)
    yield dtype_value(gradient, np.float64, "t is float64, but its gradient is {}, which keeps seven digits.", "dtype of the gradient")
    nearly = abs(t - before).max(initial=0) <= 1e-12
    sentence = "t is not what it was: every number must be restored."
    if nearly:
        sentence = "t comes back with an error of rounding: t - h + h is not always t. Keep the old number and put that back."
    yield Value("t", t.copy(), before, 0.0, sentence)
    coarse = numerical_gradient(f, before.copy(), dy, 0.1)
    sentence = "With h = 0.1 the numbers are not those of central differences with the step h."
    yield Value("the gradient with h = 0.1", copied(coarse), model(f, before.copy(), dy, 0.1), 1e-6, sentence)


# ---- patches and towers


def adjoint_of_im2col(col2im, model, case, seed):
    """<im2col(x), p> = <x, col2im(p)> for all x and p: col2im is the transpose, term by term."""
    shape, *window = case.args
    rng = np.random.default_rng((seed, 6))
    x = rng.standard_normal(shape)
    p = rng.standard_normal(im2col(x, *window).shape)
    before = p.copy()
    dx, right = col2im(p, shape, *window), model(before.copy(), shape, *window)
    value = Value("dx", copied(dx), right)
    if value.sentence() and overwritten(dx, by_window(lambda alone: model(alone, shape, *window), before, len(x))):
        value = replace(value, reason="Windows overlap: a pixel receives from several, so add.")
    yield value
    single = col2im(before.astype(np.float32), shape, *window)
    yield dtype_value(single, np.float32, "float32 went in, but dx came out as {}.", "dtype of dx")
    yield Value("the patches", p, before, 0.0, "The patches are written to; they belong to the caller.")
    if isinstance(dx, np.ndarray) and dx.shape == x.shape:
        yield Value("<x, col2im(p)> (expected: <im2col(x), p>)", float((x * dx).sum()), float((im2col(x, *window) * before).sum()), 1e-9)


def adjoint(cls, model, case, seed):
    """<forward(x), dy> = <x, backward(dy)>: backward of a layer that only copies and adds is its transpose."""
    layer, x = build(cls, case, seed), x_of(case, seed)
    y = copied(layer.forward(x.copy()))
    dy = np.random.default_rng((seed, 6)).standard_normal(np.shape(y))
    dx = layer.backward(dy.copy())
    yield Value("dx", copied(dx), dx_of(model, case, x, dy))
    if np.shape(dx) == x.shape:
        yield Value("<x, backward(dy)> (expected: <forward(x), dy>)", float((x * dx).sum()), float((y * dy).sum()), 1e-9)


def dx_of(model, case, x, dy):
    """The model's dx, of the shape of x."""
    layer = build(model, case)
    layer.forward(x)
    return layer.backward(dy)


def towers_in_one(block_weights, model, case, seed):
    """Towers side by side give what one tower with block weights gives, to 1e-12."""
    T, K, C, CO = case.args
    rng = np.random.default_rng((seed, 7))
    parts = [rng.standard_normal((K, K, C, CO)) for _ in range(T)]
    originals = copy.deepcopy(parts)
    W = block_weights(parts)
    yield Value("W", copied(W), model(copy.deepcopy(originals)))
    x = rng.standard_normal((2, 5, 4, T * C))
    if np.shape(W) == (K, K, T * C, T * CO):
        one_tower = conv2d_naive(x, np.asarray(W), np.zeros(T * CO))
        towers = [conv2d_naive(x[..., t * C : (t + 1) * C], part, np.zeros(CO)) for t, part in enumerate(originals)]
        yield Value("y of one tower", one_tower, np.concatenate(towers, axis=-1), 1e-12)
    yield Value("parts", np.array(parts), np.array(originals), 0.0, "The parts are written to; they belong to the caller.")
    single = block_weights([part.astype(np.float32) for part in originals])
    yield Value("dtype of W", str(getattr(single, "dtype", None)), "float32", if_wrong="float32 went in, but W came out as another type.")


def same_network(stages, model, case, seed):
    """The same parameters by name and shape; with the same numbers in them, the same logits."""
    made, expected = stages(*case.args), model(*case.args)
    lists = isinstance(made, (list, tuple)) and all(isinstance(stage, (list, tuple)) and stage for stage in made)
    sentence = "The result is no list of stages, each a list with one Sequential for each tower."
    fits = made is None or lists and len(made) > 0 and all(hasattr(tower, "layers") for stage in made for tower in stage)
    yield Value("the result", None if made is None else fits, True, if_wrong=sentence)
    if made is None or not fits:
        return
    yield Value("stages", len(made), len(expected), if_wrong=f"There are {len(made)} stages, expected {len(expected)}.")
    for s, (yours, right) in enumerate(zip(made, expected, strict=False)):
        for t, (tower, model_tower) in enumerate(zip(yours, right, strict=False)):
            yield Value(f"stage {s}, tower {t}", *map(described, (tower, model_tower)), if_wrong=difference(s, tower, model_tower))
        yield Value(f"towers of stage {s}", len(yours), len(right), if_wrong=f"Stage {s} has {len(yours)} towers, expected {len(right)}.")
    distinct = {id(tower) for stage in made for tower in stage}
    sentence = "Two towers of a stage are one and the same object: they would share their weights."
    yield Value("towers", len(distinct), sum(len(stage) for stage in made), if_wrong=sentence)
    network, right = Towers(made), Towers(expected)
    shapes = [[(p.name, p.value.shape) for p in net.parameters()] for net in (network, right)]
    yield Value("parameters", *shapes)
    if shapes[0] != shapes[1]:
        return
    rng = np.random.default_rng((seed, 8))
    for p, q in zip(network.astype(np.float64).parameters(), right.astype(np.float64).parameters(), strict=True):
        p.value[...] = q.value[...] = rng.standard_normal(p.value.shape) / np.sqrt(np.prod(p.value.shape[:-1]))
    x = rng.standard_normal(case.x)
    yield Value("logits", network.eval().forward(x), right.eval().forward(x), 1e-12)


def described(tower):
    """The layers of a tower, name -> text, in their order: two lists, as equal dicts may differ in that."""
    return [list(tower.layers), [repr(layer) for layer in tower.layers.values()]]


def difference(s, tower, right):
    """Where a tower of stage s differs from the right one, a sentence."""
    missing = [name for name in right.layers if name not in tower.layers]
    if list(tower.layers) != list(right.layers):
        lacks = f" ({', '.join(missing)} missing)" if missing else ""
        return f"Stage {s} has the layers {', '.join(tower.layers)}{lacks}; expected {', '.join(right.layers)}."
    name = next((name for name in right.layers if repr(tower.layers[name]) != repr(right.layers[name])), None)
    return name and f"Stage {s}: {name} is {tower.layers[name]!r}, expected {right.layers[name]!r}."


# ---- learning


def trajectory(cls, model, case, seed):
    """Weights, biases and velocities after every step, lr changing on the way; in place; gradients stay as they are."""
    rng = np.random.default_rng((seed, 11))
    lrs = case.args[0]
    starts = {"conv1.W": rng.standard_normal((3, 2)), "conv1.b": 1 + abs(rng.standard_normal(4)), "b1.W": rng.standard_normal(5)}
    gradients = [{name: rng.standard_normal(v.shape) for name, v in starts.items()} for _ in lrs]
    parameters, model_parameters = ([Parameter(name, v.copy(), np.zeros_like(v)) for name, v in starts.items()] for _ in range(2))
    arrays = [p.value for p in parameters]
    optimiser, right = cls(parameters, **{"lr": lrs[0], **case.kwargs}), model(model_parameters, **{"lr": lrs[0], **case.kwargs})
    for n, lr in enumerate(lrs):
        for p in [*parameters, *model_parameters]:
            p.grad = gradients[n][p.name].copy()
        optimiser.lr = right.lr = lr
        optimiser.step()
        right.step()
        if len(getattr(optimiser, "velocities", ())) == len(parameters):
            for p, v, expected in zip(parameters, optimiser.velocities, right.velocities, strict=True):
                yield Value(f"the velocity of {p.name} after step {n + 1} (lr {lr})", copied(v), expected.copy(), 1e-12)
        for p, q, array in zip(parameters, model_parameters, arrays, strict=True):
            yield Value(f"{p.name} after step {n + 1} (lr {lr})", copied(p.value), q.value.copy(), 1e-12)
            sentence = f"{p.name} is another array after step {n + 1}: change p.value in place."
            yield Value(f"{p.name}, the same array", p.value is array, True, if_wrong=sentence)
            yield Value(f"the gradient of {p.name}", p.grad.copy(), gradients[n][p.name], 0.0, f"The gradient of {p.name} is written to.")


def one_number(cls, model, case, seed):
    """A single weight or bias, step by step, with numbers that can be verified on paper."""
    name, start, gradient, lrs, expected = case.args
    p = Parameter(name, np.array([start]), np.array([gradient]))
    optimiser = cls([p], lr=lrs[0])
    for n, (lr, number) in enumerate(zip(lrs, expected, strict=True)):
        optimiser.lr = lr
        before = float(p.value[0])
        optimiser.step()
        yield Value(f"{name} after step {n + 1}", float(p.value[0]), number, 1e-12)
        for v in getattr(optimiser, "velocities", ()):
            yield Value(f"the velocity after step {n + 1}", float(v[0]), float(p.value[0]) - before, 1e-9)
