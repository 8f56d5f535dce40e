"""The cause of what was found, in one sentence: a known mistake, a broken rule, or a pattern in a wrong gradient; else none."""

import dataclasses
import numbers

from minigrad.gradcheck.examination import examine
from minigrad.gradcheck.patterns import factor
from minigrad.gradcheck.subject import Results


def explanation(context, suspects):
    """The one cause that is certain, or "". suspects: (hint, factory or number) pairs, see `check_layer`; they are tried first."""
    if context.status not in ("failed", "error"):
        return ""
    for hint, suspect in suspects:
        if scaled_by(context, suspect) if isinstance(suspect, numbers.Real) else resembles(context, suspect):
            return hint
    broken_rules = [finding.sentence for finding in context.findings if finding.rule != "wrong"]
    return next(iter(broken_rules + context.patterns), "")


def scaled_by(context, number):
    """Whether all gradients that are wrong are wrong by this factor."""
    factors = [factor(gradient.a, gradient.n, gradient.kinks) for gradient in context.wrong.values()]
    return bool(factors) and all(c is not None and abs(c - number) <= 1e-6 * abs(number) for c in factors)


def resembles(context, suspect):
    """Whether a known mistake gives the same gradients, to 1e-9, and breaks the same rules. suspect: a function that makes a layer."""
    checks = tuple(check for check in context.settings.checks if check != "values")
    other = examine(dataclasses.replace(context.settings, make=suspect, checks=checks), draws=max(1, len(context.results)))
    mine, theirs = ([(f.check, f.rule, f.tensor) for f in c.findings if f.check != "values"] for c in (context, other))
    if mine != theirs or context.raised != other.raised or len(context.results) != len(other.results):
        return False
    pairs = zip(context.results, other.results, strict=True)
    return all(Results(one.y, two.gradients).differing(one, 1e-9) is None for one, two in pairs)  # y itself is not compared
