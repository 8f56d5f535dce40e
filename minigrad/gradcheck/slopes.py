"""Slopes of L = sum(dy * f) along a direction: one difference for a whole tensor. And the question whether L has a kink there."""

import typing

import numpy as np

from minigrad.gradcheck.comparison import largest
from minigrad.gradcheck.differences import EPS, STEP, values_along


class CloserLook(typing.NamedTuple):
    """What four values of f along a direction tell. A gradient between low and high is right where there is a kink.

    low, high: the least and the greatest slope, with the left or the right one of each output. kink: whether any output has a kink.
    close: the slope from a step of h/8. refined: from h/8 and h by Richardson's extrapolation, for what is smooth but strongly curved."""

    low: float
    high: float
    kink: bool
    close: float
    refined: float


class WeightedSum:
    """L = sum(dy * f()), where f reads a tensor t that is changed in place. f returns a fresh array of the shape of dy.

    f is evaluated once to construct it."""

    def __init__(self, f, dy):
        self.f, self.dy, self.f0, self.dy_norm = f, dy, f(None), float(np.linalg.norm(dy))
        self.size = np.maximum(1, abs(self.f0))  # of each output
        self.rounding = 4 * EPS * self.dy_norm * float(self.size.max())  # error of L; that of a slope is this over its step

    def slope(self, t, u, h):
        """(slope of L along u by central differences, speed of the fastest output in units of its size)."""
        up, down = values_along(self.f, t, u, (h, -h))
        return float((self.dy * (up - down)).sum() / (2 * h)), largest((up - down) / self.size) / (2 * h)

    def step(self, t, u):
        """A step along u that moves no output by more than STEP of its size: there the rounding error is smallest."""
        moved = largest((values_along(self.f, t, u, (STEP,))[0] - self.f0) / self.size)
        return STEP / max(1.0, moved / STEP)

    def look_closer(self, t, u, h):
        """The `CloserLook` at L along u.

        At a kink every convention gives a slope between the left and the right one, for each output separately: dy has both signs, and
        one interval for their sum would be too narrow. Second differences at h/8 and h tell which outputs have a kink. From h/8 to h,
        that of a smooth function grows 64 times, 8 times in the units of h/8. That of a kink at t does not grow so; that of a kink
        between h/8 and h grows from nothing."""
        h = h / 8
        far_down, down, up, far_up = values_along(self.f, t, u, (-8 * h, -h, h, 8 * h))
        before, after = self.f0 - down, up - self.f0
        near, far = abs(after - before), abs(far_up - 2 * self.f0 + far_down) / 8
        kink = (np.maximum(near, far) > 200 * EPS * self.size) & ((near > far / 4) | (near < far / 32))
        ends = self.dy * before, self.dy * after
        close, wide = (self.dy * (up - down)).sum() / (2 * h), (self.dy * (far_up - far_down)).sum() / (16 * h)
        return CloserLook(
            low=np.minimum(*ends).sum() / h,
            high=np.maximum(*ends).sum() / h,
            kink=bool(kink.any()),
            close=float(close),
            refined=float((64 * close - wide) / 63),
        )
