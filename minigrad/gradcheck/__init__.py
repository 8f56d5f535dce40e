"""The gradient checker: is `backward` the derivative of `forward`? If not, what is wrong, and where?

A layer is known by its methods `forward`, `backward`, `parameters` and `astype`, nothing else; the package imports nothing of minigrad.
L = sum(dy * forward(x)) with a random dy. The gradients that backward(dy) leaves must be the slopes of L, which central differences give
to nine digits in float64. Beside the values there is a contract: arrays handed in are never written to, backward overwrites its
gradients, and no batch influences the next.

    differences.py     the numerical gradient, one element at a time
    slopes.py          slopes along directions of a large tensor, and kinks
    rules/             the rules, one file for each check; rules/__init__.py lists them all
    explanation.py     names the cause; patterns.py describes how a gradient is wrong
    report.py          what was found, as data; message.py prints it
    check.py           check_layer and assert_gradients: checks the arguments, returns or raises the report
    examination.py     the order in which the rules are applied; context.py is what each rule is handed
    subject.py         the layer under examination; its code is called from there
    budget.py          how many evaluations of forward each tensor may take
    verdicts.py        right, wrong or a kink
    comparison.py      how far two arrays differ
    interruptions.py   the exceptions that end an examination early

Letters, in all files: t a tensor (x or a parameter); a its analytic gradient, which backward gives ("yours"); n its numerical gradient
("expected"); S the largest |n| of a tensor; u a direction, an array of the shape of t; h a step; N the number of images. A draw is an
input x together with a dy; a pass is one forward and one backward."""

from minigrad.gradcheck.check import assert_gradients, check_layer
from minigrad.gradcheck.differences import kink_free, numerical_gradient
from minigrad.gradcheck.report import Entry, Finding, GradientError, Report
from minigrad.gradcheck.rules import ALL_CHECKS, CHECKS

__all__ = [
    "ALL_CHECKS",
    "CHECKS",
    "Entry",
    "Finding",
    "GradientError",
    "Report",
    "assert_gradients",
    "check_layer",
    "kink_free",
    "numerical_gradient",
]
