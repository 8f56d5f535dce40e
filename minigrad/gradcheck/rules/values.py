"""The values: the gradients that backward gives are the slopes of L = sum(dy * forward(x)). Small tensors are checked element by element,
large ones along random directions and at single elements."""

import copy
import itertools

import numpy as np

from minigrad.gradcheck.budget import HALVING
from minigrad.gradcheck.comparison import distance, first_index, largest
from minigrad.gradcheck.context import WrongGradient
from minigrad.gradcheck.differences import STEP, element_step, numerical_gradient, values_along
from minigrad.gradcheck.interruptions import Stopped
from minigrad.gradcheck.patterns import pattern
from minigrad.gradcheck.report import Entry, Finding
from minigrad.gradcheck.slopes import WeightedSum
from minigrad.gradcheck.subject import copied
from minigrad.gradcheck.verdicts import Slope, Tensor, allowed, judge, slope_of_element


def values(context, draw):
    """Compare every gradient that can be compared with differences."""
    subject, layer = context.subject, context.subject.fresh()
    tensors = subject.tensors(layer, draw)
    if draw.number == 0:
        context.plan = context.budget.plan({name: t.size for name, t in tensors.items()})

    twin = Twin(context, layer) if context.settings.reference and not subject.random else None

    def f(_):
        """forward of the tensors as they are now."""
        y = twin.forward(draw) if twin else copied(subject.forward(subject.copy(layer) if subject.random else layer, draw.x.copy(), draw))
        if y.shape != np.shape(draw.dy):
            raise Stopped("contract", "shape", "y", f"y has shape {np.shape(draw.dy)} once and {y.shape} another time.")
        return y

    L = WeightedSum(f, draw.dy)
    if twin and not distance(draw.results.y, L.f0) <= 1e-9:
        yield Finding("values", "wrong", "y", "y: with these weights forward gives other numbers than it should.")
        return
    for name in draw.comparable:
        tensor = Tensor(name, tensors[name], draw.results.gradients[name], L)
        if tensor.a.size:
            rule = by_elements if context.plan[name] is None else by_directions
            yield from rule(context, draw, tensor)


class Twin:
    """The reference layer, with the parameters of the layer under examination as they are at the moment."""

    def __init__(self, context, layer):
        self.subject, self.layer = context.subject, context.settings.reference()
        mine, theirs = (list(each.parameters()) if hasattr(each, "parameters") else [] for each in (self.layer, layer))
        self.pairs = list(zip(mine, theirs, strict=False))
        if not all(p.value.shape == q.value.shape for p, q in self.pairs):
            raise Stopped("contract", "parameters", "", "The parameters have other shapes, or stand in another order, than they should.")

    def forward(self, draw):
        self.subject.evaluations += 1
        for p, q in self.pairs:
            p.value[...] = q.value
        return copied(self.layer.forward(draw.x.copy(), *copy.deepcopy(draw.args)))


def finding(rule, tensor, words):
    return Finding("values", rule, tensor.name, f"{tensor.name}: {words}")


# ---- element by element


def by_elements(context, draw, tensor):
    """The numerical gradient of a small tensor, and a verdict on each element that differs from it."""
    (t, a, L), rtol = (tensor.t, tensor.a, tensor.L), context.settings.rtol
    n = numerical_gradient(L.f, t, L.dy)
    if not np.isfinite(n).all():
        yield finding("not-finite", tensor, f"a small step away, at {first_index(~np.isfinite(n))}, y holds a nan or an infinity.")
        return
    S = largest(n)
    if max(S, largest(a)) < 1e-6 * L.dy_norm and (vanishing := vanishing_gradient(context, tensor)):
        yield vanishing
        return
    uncertainty = allowed(n, S, rtol) + L.rounding / STEP
    wrong, kinks = ~(abs(a - n) <= uncertainty), np.zeros(t.shape, bool)
    indices = context.rng("order").permutation(np.argwhere(wrong))
    slopes = [Slope(i, element_step(t[i]), a[i], n[i]) for i in map(tuple, indices.tolist())]
    judge(context, tensor, slopes, S, rtol)
    for s in slopes:
        n[s.along], wrong[s.along], kinks[s.along] = s.expected, s.verdict == "wrong", s.verdict == "kink"
    error = np.where(kinks, 0.0, abs(a - n)) * (wrong if wrong.any() else 1.0)
    index = first_index(error == error.max())
    counts = {"checked": t.size, "wrong": int(wrong.sum()), "kinks": int(kinks.sum())}
    add_entry(context, draw, tensor, "elements", counts, error[index] / (S or 1.0), index, n[index], uncertainty[index])
    if wrong.any():
        context.wrong[tensor.name] = WrongGradient(a, n, kinks)
        words = pattern(tensor.name, a, n, wrong, kinks, draw)
        if words:
            context.patterns.append(f"{tensor.name}: {words}")
        worst = f"{index}: yours {a[index]:.7g}, expected {n[index]:.7g}"
        yield finding("wrong", tensor, words or f"{wrong.sum()} of {t.size} elements are wrong, the worst at {worst}.")
    elif kinks.any():
        if kinks.sum() > 0.1 * t.size:
            words = f"{kinks.sum()} of {t.size} elements stand at kinks, where any one-sided slope is right."
            context.notes.append(f"{tensor.name}: {words}")
        yield from ties(context, tensor)


# ---- along directions


def by_directions(context, draw, tensor):
    """Slopes of a large tensor along random directions, and those of single elements."""
    (t, a, L), rtol = (tensor.t, tensor.a, tensor.L), context.settings.rtol
    (directions, singles), rng = context.plan[tensor.name], context.rng("directions", draw.number, t.size)
    along = slopes_along_directions(tensor, directions, rng)
    single = [slope_of_element(tensor, i) for i in chosen_elements(a, singles, rng)]
    if not np.isfinite([s.expected for s in along + single]).all():
        yield finding("not-finite", tensor, "a small step away y holds a nan or an infinity.")
        return
    S, norm = max(abs(s.expected) for s in single), float(np.linalg.norm(a))
    if max(S, largest(a), *(abs(s.expected) for s in along)) < 1e-6 * L.dy_norm and (vanishing := vanishing_gradient(context, tensor)):
        yield vanishing
        return
    judge(context, tensor, along, norm, rtol / 10)
    judge(context, tensor, single, S, rtol)
    wrong, kinks = ([s for s in along + single if s.verdict == verdict] for verdict in ("wrong", "kink"))
    found = [s for s in wrong if s in single]
    if wrong and not found and context.budget.take(HALVING):
        found = [halved(tensor, wrong[0])]
    found = [s for s in found if abs(s.yours - s.expected) > allowed(s.expected, S, rtol) + L.rounding / STEP]
    worst = max(found or [s for s in single if s.verdict != "kink"] or single, key=lambda s: abs(s.yours - s.expected))
    errors = [0.0] + [abs(s.yours - s.expected) / (norm or 1.0) for s in along if s.verdict != "kink"]
    if worst.verdict != "kink":
        errors.append(abs(worst.yours - worst.expected) / (S or 1.0))
    counts = {"checked": len(along) + len(single), "wrong": len(wrong), "kinks": len(kinks)}
    uncertainty = allowed(worst.expected, S, rtol) + L.rounding / STEP
    add_entry(context, draw, tensor, "directions", counts, max(errors), worst.along, worst.expected, uncertainty)
    if wrong:
        at = f"; one is {worst.along}: yours {worst.yours:.7g}, expected {worst.expected:.7g}." if found else "."
        words = f"{len(wrong)} of {counts['checked']} random directions and elements are wrong{at}"
        if found:
            context.patterns.append(f"{tensor.name}: {words}")
        yield finding("wrong", tensor, words)
    elif kinks:
        yield from ties(context, tensor)


def slopes_along_directions(tensor, count, rng):
    """Slopes along normally distributed directions, with the step that suits the first."""
    slopes, h = [], None
    for _ in range(count):
        u = rng.standard_normal(tensor.t.shape)
        h = h or tensor.L.step(tensor.t, u)
        slopes.append(Slope(u, h, float((tensor.a * u).sum()), tensor.L.slope(tensor.t, u, h)[0]))
    return slopes


def chosen_elements(a, count, rng):
    """Indices of elements: that with the largest gradient, the corners, and random ones."""
    corners = itertools.islice(itertools.product(*((0, size - 1) for size in a.shape)), 16)
    chosen = dict.fromkeys([first_index(abs(a) == largest(a)), *corners])
    while len(chosen) < count:
        chosen[tuple(int(rng.integers(size)) for size in a.shape)] = None
    return [*chosen][:count]


def halved(tensor, slope):
    """The slope of the element that makes the slope along a direction wrong: of the halves of a set, always that with more of the error."""
    t, a, L = tensor.t, tensor.a, tensor.L
    elements, error, h = np.arange(t.size), slope.expected - slope.yours, slope.h
    while len(elements) > 1:
        half, u = elements[: len(elements) // 2], np.zeros(t.size)
        u[half] = slope.along.flat[half]
        u = u.reshape(t.shape)
        expected, speed = L.slope(t, u, h)
        part = expected - float((a * u).sum())
        elements, error = (half, part) if abs(part) >= abs(error - part) else (elements[len(half) :], error - part)
        h = STEP / max(1.0, speed)
    return slope_of_element(tensor, tuple(int(i) for i in np.unravel_index(elements[0], t.shape)))


# ---- both


def add_entry(context, draw, tensor, method, counts, error, index, expected, uncertainty):
    """Add an `Entry`. counts: its fields checked, wrong and kinks; error: its worst_error; index, expected: an element and its slope."""
    numbers = {"worst_error": error, "yours": tensor.a[index], "expected": expected, "uncertainty": uncertainty}
    numbers = {name: float(number) for name, number in numbers.items()}
    shape = tuple(tensor.t.shape)
    context.entries.append(Entry(tensor=tensor.name, shape=shape, draw=draw.number, method=method, index=index, **counts, **numbers))


def vanishing_gradient(context, tensor):
    """The finding about a gradient that vanishes at this point, which proves nothing; None if it vanishes at other points, too: then 0 is
    right, and that is noted."""
    if context.budget.take(4):
        rng = context.rng("other points")
        changes = [change_elsewhere(tensor, rng) for _ in range(2)]
        if all(change <= 1e-6 * STEP for change in changes):
            context.notes.append(f"y does not depend on {tensor.name}.")
            return None
    return finding("uninformative", tensor, "at this point the gradient vanishes, which proves nothing: choose another x.")


def change_elsewhere(tensor, rng):
    """How far a small step moves the outputs at a random point, in units of their size. Two evaluations; t is restored."""
    t, L, here = tensor.t, tensor.L, tensor.t.copy()
    try:
        t[...] = rng.standard_normal(t.shape)
        up, down = values_along(L.f, t, rng.standard_normal(t.shape), (STEP, -STEP))
    finally:
        t[...] = here
    return largest((up - down) / L.size)


def ties(context, tensor):
    """The slope along a direction in which equal elements take equal steps: ties stay ties, so no convention decides. Five evaluations."""
    if not context.budget.take(5):
        return
    t, a, L = tensor.t, tensor.a, tensor.L
    distinct, group = np.unique(t, return_inverse=True)
    u = context.rng("ties").standard_normal(len(distinct))[group].reshape(t.shape)
    look = L.look_closer(t, u, L.step(t, u))
    yours, slack = float((a * u).sum()), 1e-5 * float(np.linalg.norm(a))
    if not look.low - slack <= yours <= look.high + slack:
        words = "where values tie, the shares do not add up: along a direction that keeps equal elements equal"
        yield finding("tie", tensor, f"{words} the slope is {(look.low + look.high) / 2:.7g}, yours {yours:.7g}.")
