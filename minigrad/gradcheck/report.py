"""What an examination found, as data: `Report` with its `Entry` for each tensor and its `Finding` for each broken rule.

message.py prints it."""

import dataclasses

import numpy as np

from minigrad.gradcheck import message


@dataclasses.dataclass(frozen=True)
class Entry:
    """One tensor in one draw.

    tensor: its name, "x" or a parameter's; shape: its shape; draw: 0 or 1.
    method: "elements", if every element was tried, or "directions": random directions and single elements.
    checked, wrong: how many of these. worst_error: the largest |yours - expected| over the largest |expected|.
    index, yours, expected: the element where that is, or the one that halving led to, its analytic and its numerical gradient;
    uncertainty: how far the numerical one may be off. kinks: how many elements were judged by their one-sided slopes."""

    tensor: str
    shape: tuple
    draw: int
    method: str
    checked: int
    wrong: int
    worst_error: float
    index: tuple
    yours: float
    expected: float
    uncertainty: float
    kinks: int


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something wrong: the check that found it, the rule that is broken, the tensor that breaks it ("" if none does), and a sentence."""

    check: str
    rule: str
    tensor: str
    sentence: str


@dataclasses.dataclass(frozen=True)
class Report:
    """What `check_layer` found. status: "passed", "failed", "not started" (a part is not written yet) or "error" (the layer raised).

    entries, findings: tuples of `Entry` and `Finding`; notes: sentences about what is not wrong.
    cause: one sentence, or "" if none is certain. kinks: their number in all entries. evaluations: how often forward was called.
    str(report) is a message of at most 25 lines."""

    status: str
    title: str
    seed: int
    rtol: float
    entries: tuple = ()
    findings: tuple = ()
    notes: tuple = ()
    cause: str = ""
    kinks: int = 0
    evaluations: int = 0
    seconds: float = 0.0

    @property
    def ok(self):
        return self.status == "passed"

    def __str__(self):
        return self.text()

    def text(self, again=None, plain=False):
        """The message. again: the command that repeats this check, if that is not `check_layer` itself. plain: with ASCII marks only,
        for consoles that know no others."""
        return message.text(self, again or f"check_layer(..., seed={self.seed})", plain)

    def to_dict(self):
        """All fields, and ok, as plain JSON types; nan and infinity, which JSON does not know, are None."""
        return as_json(dataclasses.asdict(self) | {"ok": self.ok})

    def _repr_html_(self):
        return message.as_html(self)


class GradientError(AssertionError):
    """A layer did not pass. report: the `Report`, whose message this error shows."""

    def __init__(self, report):
        super().__init__(str(report))
        self.report = report

    def __reduce__(self):
        return GradientError, (self.report,)


def as_json(value):
    if isinstance(value, dict):
        return {key: as_json(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(v) for v in value]
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    return value
