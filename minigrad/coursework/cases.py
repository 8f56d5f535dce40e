"""Cases: what an exercise is tried with. A case is data; this module turns it into inputs, and into pairs of numbers to compare."""

import copy
import inspect
from dataclasses import dataclass, field

import numpy as np

from minigrad.gradcheck import kink_free


@dataclass(frozen=True)
class Case:
    """kind     "worked"     numbers that can be verified on paper: given, dy -> expected
             "forward"    what comes out, compared with the model's, for two batches, float32 and other memory layouts
             "gradients"  the gradient checker, after a look at what forward gives
             "property"   a function of minigrad.coursework.properties
    x        the shape of the input, drawn as `inputs` says; or, for inputs "numbers" and "as is", the input itself
    args     of the constructor; of a function, what follows x. `Array`s are drawn
    labels   handed to forward behind x
    mode     "train"; or "eval": after a forward in training
    given    parameters, name -> numbers; dy: for the worked example's backward; expected: name -> numbers
    weight   share of the exercise's points; budget: evaluations that the gradient checker may make"""

    name: str
    x: tuple = ()
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    kind: str = "gradients"
    inputs: str = "kink_free"
    labels: tuple = None
    mode: str = "train"
    property: str = ""
    given: dict = field(default_factory=dict)
    dy: tuple = None
    expected: dict = field(default_factory=dict)
    weight: int = 1
    budget: int = 20_000


@dataclass(frozen=True)
class Array:
    """An argument that is drawn: its shape, and how."""

    shape: tuple
    inputs: str = "normal"


@dataclass(frozen=True)
class Value:
    """One thing to compare. tolerance: relative to the largest expected number. words: the sentence if it is wrong, else one is made."""

    name: str
    yours: object
    expected: object
    tolerance: float = 1e-10
    words: str = ""

    def sentence(self):
        """What is wrong, or ""."""
        if not is_numbers(self.expected) or not is_numbers(self.yours):
            same = type(self.yours) is type(self.expected) and self.yours == self.expected
            return "" if same else self.words or f"{self.name}: yours {short(self.yours)}, expected {short(self.expected)}."
        yours, expected = np.asarray(self.yours), np.asarray(self.expected)
        if yours.shape != expected.shape:
            return self.words or f"{self.name} has shape {yours.shape}, expected {expected.shape}."
        if yours.dtype == object or not np.isfinite(yours.astype(np.float64)).all() and np.isfinite(expected.astype(np.float64)).all():
            return self.words or f"{self.name} holds a nan or an infinity."
        off = abs(yours.astype(np.float64) - expected)
        allowed = self.tolerance * np.abs(expected).max(initial=0.0)
        wrong = ~(off <= allowed)
        if not wrong.any():
            return ""
        i = tuple(int(v) for v in np.unravel_index(np.argmax(np.where(wrong, off, -1)), off.shape))
        place = f"[{', '.join(map(str, i))}]" if i else ""
        many = f"; {wrong.sum()} of {wrong.size} numbers are wrong" if wrong.size > 1 else ""
        ratio = float((yours * expected).sum() / ((expected * expected).sum() or 1))
        scaled = wrong.sum() > 1 and abs(yours - ratio * expected).max() <= 1e-9 * abs(yours).max(initial=0)
        many += f", all by the factor {ratio:.7g}" if scaled and ratio else ""
        return self.words or f"{self.name}{place}: yours {yours[i]:.7g}, expected {expected[i]:.7g}{many}."

    def equals(self, other):
        """Whether another one's `yours` is the same, to 1e-9."""
        if self.name != other.name or is_numbers(self.yours) != is_numbers(other.yours):
            return False
        if not is_numbers(self.yours):
            return type(self.yours) is type(other.yours) and self.yours == other.yours
        a, b = np.asarray(self.yours), np.asarray(other.yours)
        if a.shape != b.shape:
            return False
        with np.errstate(all="ignore"):
            close = np.isfinite(a).all() and np.isfinite(b).all() and (abs(a - b) <= 1e-9 * abs(b).max(initial=0)).all()
            return bool(close) or np.array_equal(a, b, equal_nan=True)


def is_numbers(value):
    return isinstance(value, (np.ndarray, np.generic, float, int)) and not isinstance(value, bool)


def short(value):
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


# ---- inputs


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
    """Neighbours in value are 1e-9 apart or far."""
    x = kink_free(shape, rng)
    order = np.argsort(x, axis=None)
    x.flat[order[1::2]] = x.flat[order[: len(order) // 2 * 2 : 2]] + 1e-9
    return x


def equal(shape, rng):
    return np.full(shape, 0.75)


def extreme(shape, rng):
    """Up to 10,000 in size."""
    return 5000 * kink_free(shape, rng)


def large(shape, rng):
    return 500 * kink_free(shape, rng)


INPUTS = {function.__name__: function for function in (normal, kink_free, kinks, ties, near_ties, equal, extreme, large)}


def x_of(case, seed):
    """The input of a case."""
    if case.inputs == "as is":
        return copy.deepcopy(case.x)
    if case.inputs == "numbers":
        return np.array(case.x, np.float64)
    return INPUTS[case.inputs](case.x, np.random.default_rng(seed))


def settings(source, case):
    """What a case tries, in a line: "Conv2d(in_channels=2, out_channels=5, kernel_size=3), x (3, 5, 4, 2)"."""
    x = f"x = {short(np.array(case.x).tolist())}" if case.inputs in ("numbers", "as is") else f"x {case.x}"
    labels = f", labels {list(case.labels)}" if case.labels else ""
    names, is_class = list(inspect.signature(source).parameters), inspect.isclass(source)
    given = dict(zip(names if is_class else names[1:], case.args, strict=False)) | case.kwargs
    words = [f"{name} {v.shape}" if isinstance(v, (Array, np.ndarray)) else f"{name}={short(v)}" for name, v in given.items()]
    if not is_class:
        return f"{source.__name__}({', '.join([x] * (case.x != ()) + words)})"
    return f"{source.__name__}({', '.join(words)}), {x}{labels}{', after training' * (case.mode == 'eval')}"


def labels_of(case):
    return () if case.labels is None else (np.array(case.labels),)


def arguments_of(case, seed):
    """What a function gets behind x."""
    rng = np.random.default_rng((seed, 1))
    return [INPUTS[a.inputs](a.shape, rng) if isinstance(a, Array) else copy.deepcopy(a) for a in case.args]


def second_batch(x, labels):
    """One image fewer, the last axis reversed."""
    fewer = len(x) - 1 if len(x) > 2 else len(x)
    return x[:fewer][..., ::-1].copy(), tuple(labels[:fewer] for labels in labels)


def build(cls, case, seed=0, dtype=np.float64):
    """A layer of this class as the case wants it, its parameters drawn, or given."""
    more = {"rng": np.random.default_rng((seed, 2))} if "rng" in inspect.signature(cls).parameters else {}
    layer = cls(*case.args, **case.kwargs, **more)
    if hasattr(layer, "astype"):
        layer.astype(dtype)
    rng = np.random.default_rng((seed, 3))
    for p in layer.parameters() if hasattr(layer, "parameters") else ():
        numbers = rng.standard_normal(p.value.shape) / np.sqrt(max(1, np.prod(p.value.shape[:-1])))
        p.value[...] = case.given.get(p.name, numbers)
    return layer


def moded(layer, case, seed):
    """The layer in the mode of the case: testing comes after some training."""
    if case.mode == "eval":
        layer.forward(x_of(case, seed), *labels_of(case))
        layer.eval()
    return layer


# ---- what is compared


def values(cls, model, case, seed):
    """Yields the `Value`s of a case that is not about gradients. model: the model solution, or what plays its part."""
    from minigrad.coursework import properties

    if case.kind == "property":
        yield from getattr(properties, case.property)(cls, model, case, seed)
    elif case.kind == "worked":
        yield from worked(cls, case)
    elif inspect.isclass(model):
        yield from forward(cls, model, case, seed)
    else:
        yield from call(cls, model, case, seed)


def worked(cls, case):
    if not inspect.isclass(cls):
        yield Value("the result", cls(x_of(case, 0), *arguments_of(case, 0)), case.expected["y"], 1e-6)
        return
    layer = build(cls, case)
    y = layer.forward(x_of(case, 0), *labels_of(case))
    yield Value("y", y, expected(case, "y"), 1e-6)
    if len(case.expected) == 1:
        return
    dx = layer.backward() if np.ndim(y) == 0 else layer.backward(np.array(case.dy, np.float64))
    yield Value("dx", dx, expected(case, "dx"), 1e-6)
    for p in layer.parameters() if hasattr(layer, "parameters") else ():
        if "d" + p.name in case.expected:
            yield Value("d" + p.name, p.grad, expected(case, "d" + p.name), 1e-6)


def expected(case, name):
    numbers = np.array(case.expected[name], np.float64)
    return float(numbers) if numbers.ndim == 0 else numbers


def forward(cls, model, case, seed):
    """Two batches through one layer; x stays as it is; float32 stays float32; memory layout does not matter."""
    layer, right = (moded(build(c, case, seed), case, seed) for c in (cls, model))
    first = x_of(case, seed), labels_of(case)
    for name, (x, labels) in {"y": first, "y of another batch": second_batch(*first)}.items():
        before = x.copy()
        y = copied(layer.forward(x, *labels))
        yield Value(name, y, copied(right.forward(before.copy(), *labels)))
        yield Value(f"x after {name}", x, before, 0.0, "forward writes into x, which the layer before still needs.")
    if np.ndim(y) == 0:
        return
    yield Value("y in Fortran order", copied(layer.forward(np.asfortranarray(x))), copied(right.forward(x)), 1e-10)
    single = moded(build(cls, case, seed, np.float32), case, seed)
    words = "float32 went in, but y came out as {}: one np.float64 scalar is enough."
    yield kind_of(single.forward(x.astype(np.float32)), np.float32, words)


def kind_of(y, dtype, words):
    found = np.asarray(y).dtype
    return Value("dtype of y", found.name, np.dtype(dtype).name, words=words.format(found))


def copied(y):
    return y.copy() if isinstance(y, np.ndarray) else y


def call(function, model, case, seed):
    """A function's result; what it was handed stays as it is; float32 stays float32; memory layout does not matter."""
    inputs = [x_of(case, seed), *arguments_of(case, seed)]
    handed = copy.deepcopy(inputs)
    y, right = function(*handed, **case.kwargs), model(*copy.deepcopy(inputs), **case.kwargs)
    yield Value("the result", copied(y), right)
    for i, (a, b) in enumerate(zip(handed, inputs, strict=True)):
        if isinstance(b, np.ndarray):
            yield Value(f"argument {i}", a, b, 0.0, f"Argument {i} is written to; it belongs to the caller.")
    if isinstance(inputs[0], np.ndarray) and isinstance(right, np.ndarray):
        other = [np.asfortranarray(a) if isinstance(a, np.ndarray) else a for a in copy.deepcopy(inputs)]
        yield Value("the result for arrays in Fortran order", copied(function(*other, **case.kwargs)), right)
        single = [a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a for a in copy.deepcopy(inputs)]
        yield kind_of(function(*single, **case.kwargs), np.float32, "float32 went in, but {} came out.")
