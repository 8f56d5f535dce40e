"""The cause of what was found, in one sentence: a known mistake, a broken rule, or a pattern in a wrong gradient; else none."""

import dataclasses
import numbers

from minigrad.gradcheck.comparison import distance
from minigrad.gradcheck.examination import examine
from minigrad.gradcheck.patterns import factor
from minigrad.gradcheck.subject import Results


def explanation(context, suspects):
    """The one cause that is certain, or "". suspects: (hint, factory or number) pairs, see `check_layer`; they are tried first."""
    if context.status not in ("failed", "error"):
        return ""
    examined = []
    for hint, suspect in suspects:
        if isinstance(suspect, numbers.Real):
            if scaled_by(context, suspect):
                return hint
            continue
        other = examine_suspect(context, suspect)
        if resembles(context, other):
            return hint
        examined.append((hint, other))
    broken_rules = [finding.sentence for finding in context.findings if finding.rule != "wrong"]
    if broken_rules:
        return broken_rules[0]
    return several(context, examined) or next(iter(context.patterns), "")


def scaled_by(context, number):
    """Whether all gradients that are wrong are wrong by this factor."""
    factors = [factor(gradient.a, gradient.n, gradient.kinks) for gradient in context.wrong.values()]
    return bool(factors) and all(c is not None and abs(c - number) <= 1e-6 * abs(number) for c in factors)


def examine_suspect(context, make):
    """A suspect is tried as the layer was, but for differences. make: a function that makes it."""
    checks = tuple(check for check in context.settings.checks if check != "values")
    return examine(dataclasses.replace(context.settings, make=make, checks=checks), draws=max(1, len(context.results)))


def resembles(context, other):
    """Whether a known mistake gives the same gradients, to 1e-9, and breaks the same rules. other: its `Context`."""
    mine, theirs = ([(f.check, f.rule, f.tensor) for f in c.findings if f.check != "values"] for c in (context, other))
    if mine != theirs or context.raised != other.raised or len(context.results) != len(other.results):
        return False
    pairs = zip(context.results, other.results, strict=True)
    return all(Results(one.y, two.gradients).differing(one, 1e-9) is None for one, two in pairs)  # y itself is not compared


def several(context, examined):
    """The hints of several mistakes in one layer, each the only one with that wrong gradient; where a gradient is that of none, its pattern
    stands. "" if one is left without words, or none has a hint. examined: (hint, `Context`)."""
    wrong, words, named = {finding.tensor for finding in context.findings if finding.rule == "wrong"}, [], False
    for name in sorted(wrong):
        fitting = {hint for hint, other in examined if same_gradient(context, other, name)}
        named = named or len(fitting) == 1
        words += fitting if len(fitting) == 1 else [pattern for pattern in context.patterns if pattern.startswith(f"{name}: ")][:1] or [""]
    return " ".join(dict.fromkeys(words)) if named and all(words) else ""


def same_gradient(context, other, name):
    """Whether another layer that breaks no rule gives the same gradient of one tensor, to 1e-9."""
    if other.findings or other.raised or len(context.results) > len(other.results):
        return False
    pairs = zip(context.results, other.results, strict=False)
    return all(distance(two.gradients.get(name), one.gradients.get(name)) <= 1e-9 for one, two in pairs)
