"""Precision: float32 in, float32 out, and the same numbers as in float64 but for rounding."""

import numpy as np

from minigrad.gradcheck.interruptions import Raised
from minigrad.gradcheck.report import Finding
from minigrad.gradcheck.rules.agreement import disagreement
from minigrad.gradcheck.subject import gradient_name

ROUNDING = 2e-5  # of the largest number of an array


def dtype(context, draw):
    """Compared at a point that float32 holds exactly. No differences are taken in float32."""
    subject = context.subject
    single, double = subject.fresh(), subject.fresh()
    single = subject.astype(single, np.float32)
    if any(p.value.dtype != np.float32 for p in subject.parameters(single)):
        context.notes.append("astype(float32) leaves parameters in float64: float32 was not checked.")
        return
    for p in subject.parameters(double):
        p.value[...] = p.value.astype(np.float32)
    rounded = draw.variant(*(np.asarray(v).astype(np.float32).astype(np.float64) for v in (draw.x, draw.dy)))
    try:
        results = subject.one_pass(single, rounded, dtype=np.float32)
    except Raised as raised:
        yield Finding("dtype", "precision", "", f"With float32, {raised}.")
        return
    arrays = ({} if draw.loss else {"y": results.y}) | results.gradients
    others = {name: array.dtype for name, array in arrays.items() if array is not None and array.dtype != np.float32}
    if others:
        names = ", ".join(gradient_name(name) for name in others)
        words = f"float32 went in, but {names} came out as {[*others.values()][0]}: one np.float64 scalar is enough."
        yield Finding("dtype", "precision", [*others][0], words)
        return
    words = "differs in float32 by more than rounding"
    name = disagreement(context, draw, results, subject.one_pass(double, rounded), ROUNDING, words)
    if name is not None:
        yield Finding("dtype", "rounding", name, f"{gradient_name(name)} {words}.")
