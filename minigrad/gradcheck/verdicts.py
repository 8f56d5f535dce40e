"""Verdicts: a slope that differs from its difference may be wrong, may stand at a kink, or may be right where the function is curved."""

import dataclasses

import numpy as np

from minigrad.gradcheck.differences import STEP, element_slope, element_step
from minigrad.gradcheck.slopes import WeightedSum


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor whose gradient is compared. t: the array in use; a: its analytic gradient; L: the weighted sum that reads t."""

    name: str
    t: np.ndarray
    a: np.ndarray
    L: WeightedSum


@dataclasses.dataclass(eq=False)
class Slope:
    """A slope of L. along: a direction, or the index of an element; h: the step of its difference; yours: by the analytic gradient;
    expected: by the difference; verdict: "right", "wrong" or "kink", where another convention would give another slope."""

    along: np.ndarray | tuple
    h: float
    yours: float
    expected: float
    verdict: str = "right"


def slope_of_element(tensor, i):
    """The `Slope` of an element; two evaluations."""
    t, L = tensor.t, tensor.L
    return Slope(i, element_step(t[i]), float(tensor.a[i]), float(element_slope(L.f, t, i, L.dy)))


def allowed(n, S, rtol):
    """The error that an element or slope n may have: an array of the shape of n, or a number.

    No fixed number is in it: it would hide gradients of the size of 1/N."""
    return rtol * np.maximum(np.abs(n), 0.01 * S) + 1e-8 * S


def judge(context, tensor, slopes, S, rtol):
    """Set the verdicts of slopes. S: the size of a large one; rtol: the relative error allowed.

    Those that differ from their difference get a second look. Where the budget is spent, those without one get the verdict of the rest."""
    unseen, verdicts = [], set()
    for slope in slopes:
        if abs(slope.yours - slope.expected) > allowed(slope.expected, S, rtol) + tensor.L.rounding / min(slope.h, STEP):
            verdict = second_look(context, tensor, slope, S, rtol)
            if verdict is None:
                unseen.append(slope)
            else:
                slope.verdict = verdict
                verdicts.add(verdict)
    for slope in unseen:
        slope.verdict = "wrong" if "wrong" in verdicts or not verdicts else "kink"
    if unseen:
        context.notes.append(f"{tensor.name}: the budget is spent; {len(unseen)} slopes got no second look.")


def second_look(context, tensor, slope, S, rtol):
    """The verdict on a slope that differs from its difference; None if the budget is spent. Where L is curved, slope.expected is refined.

    Along a direction a large network has small kinks everywhere, which no test tells from curvature: there the interval between left and
    right slope is taken as it is. A step of an eighth leaves most kinks behind."""
    L, along_direction = tensor.L, isinstance(slope.along, np.ndarray)
    u = slope.along if along_direction else unit(tensor.t.shape, slope.along)
    for h in (slope.h, slope.h / 8):
        if not context.budget.take(4):
            return None if h == slope.h else "wrong"
        rounding = 8 * L.rounding / min(h, STEP)
        look = L.look_closer(tensor.t, u, h)
        slack = 3e-6 * S + rounding if along_direction else 1e-5 * S
        if (look.kink or along_direction) and look.low - slack <= slope.yours <= look.high + slack:
            return "kink" if look.kink else "right"
        if not look.kink:
            slope.expected = look.refined
        if min(abs(slope.yours - look.refined), abs(slope.yours - look.close)) <= allowed(look.refined, S, rtol) + rounding:
            return "right"
        if abs(slope.yours - slope.expected) > 0.01 * S:
            break
    return "wrong"


def unit(shape, index):
    """The direction of one element."""
    u = np.zeros(shape)
    u[index] = 1.0
    return u
