"""What a rule is handed: the layer, the settings, the budget, random numbers; and where it leaves what is no finding."""

import collections.abc
import dataclasses

import numpy as np

from minigrad.gradcheck.budget import Budget
from minigrad.gradcheck.subject import Draw, Subject

# Each purpose has random numbers of its own, so that no rule changes those of another. `Subject` has 2, 3 for dy and 10, 11 for parameters.
STREAMS = {"rounding": 4, "ties": 5, "other points": 6, "directions": 7, "order": 8}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What `check_layer` was asked, its arguments checked. make: gives an instance of the layer; factory: whether it was the caller's own
    function, or else copies a layer that may have been used; x: float64, (N, ...); reference: see `check_layer`."""

    make: collections.abc.Callable
    factory: bool
    x: np.ndarray
    args: tuple
    wrt_x: bool
    seed: int
    rtol: float
    budget: int
    checks: tuple
    reference: collections.abc.Callable | None = None


@dataclasses.dataclass(frozen=True)
class WrongGradient:
    """A gradient of which every element was tried and some are wrong. a, n: analytic, numerical; kinks: where it stands at a kink."""

    a: np.ndarray
    n: np.ndarray
    kinks: np.ndarray


class Context:
    """One examination.

    subject, settings, budget: what rules work with. plan: see `Budget.plan`.
    entries, notes: what they add to, beside the findings that they yield. wrong: name -> `WrongGradient`. patterns: sentences that
    describe how a gradient is wrong, the likeliest cause first.
    findings: what rules have yielded so far; results: of the first pass of each draw; raised: (type, words) of the
    layer's error, two strings, or None; status: "" while it goes on, then that of the report."""

    def __init__(self, settings):
        self.settings, self.subject = settings, Subject(settings.make, settings.wrt_x, settings.seed)
        self.budget, self.plan = Budget(settings.budget), {}
        self.entries, self.notes, self.wrong, self.patterns = [], [], {}, []
        self.findings, self.results, self.raised, self.status = [], [], None, ""

    def rng(self, purpose, *more):
        """The random generator for this seed and purpose, one of STREAMS. more: further integers of its seed."""
        return np.random.default_rng((self.settings.seed, STREAMS[purpose], *more))

    def draw(self, number):
        """Draw 0 has the caller's x. Draw 1 has one image fewer if there are three, the last axis reversed, and another dy.

        Arrays of length N among args are shortened with x."""
        x, args = self.settings.x, self.settings.args
        if number == 0:
            return Draw(x.copy(), list(args))
        N = len(x)
        fewer = N - 1 if N > 2 else N
        args = [v[:fewer] if isinstance(v, np.ndarray) and v.ndim and len(v) == N else v for v in args]
        return Draw(x[:fewer][..., ::-1].copy(), args, number=number)
