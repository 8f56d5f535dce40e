"""An examination: the rules applied to two draws of one layer, in the order in which each makes sense.

The second draw has the same parameters, one image fewer, the last axis reversed and another dy."""

import numpy as np

from minigrad.gradcheck.comparison import largest
from minigrad.gradcheck.context import Context
from minigrad.gradcheck.interruptions import Blank, Raised, Stopped
from minigrad.gradcheck.report import Finding
from minigrad.gradcheck.rules.alias import alias
from minigrad.gradcheck.rules.contract import contract_rules
from minigrad.gradcheck.rules.dtype import dtype
from minigrad.gradcheck.rules.errors import errors
from minigrad.gradcheck.rules.first_pass import first_pass
from minigrad.gradcheck.rules.layout import layout
from minigrad.gradcheck.rules.values import values

ATTEMPTS = 20  # at choosing parameters


def examine(settings, draws=2):
    """Examine a layer with up to so many draws, until something is found -> the `Context`, its status set.

    Raises TypeError for a layer without forward or backward, ValueError for a budget too small."""
    context = Context(settings)
    try:
        choose_parameters(context)
        for number in range(draws):
            examine_draw(context, context.draw(number))
            if context.findings:
                break
    except Blank as blank:
        context.findings, context.entries, context.notes, context.status = [], [], [str(blank)], "not started"
        return context
    except Raised as raised:
        context.findings.append(Finding("contract", "raises", "", f"{raised}."))
        context.raised = type(raised.error).__name__, str(raised.error)
    except Stopped as stopped:
        context.findings.append(stopped.finding)
    context.status = "error" if context.raised else "failed" if context.findings else "passed"
    return context


def choose_parameters(context):
    """Make the first instance; change parameters whose gradient vanishes in either draw, as where all of a few ReLUs are dead."""
    subject = context.subject
    for attempt in range(ATTEMPTS):
        subject.base, dead = subject.new(), set()
        for draw in (context.draw(0), context.draw(1)):
            layer = subject.fresh()
            subject.accept_output(subject.forward(layer, draw.x.copy(), draw), draw)
            gradients = subject.backward_gradients(layer, draw)
            dead |= {name for name, gradient in gradients.items() if name != "x" and vanishes(gradient, draw)}
        if not dead or not context.budget.take(2):
            return
        subject.attempts |= dict.fromkeys(dead, attempt + 1)


def vanishes(gradient, draw):
    return gradient is not None and gradient.dtype != object and largest(gradient) < 1e-6 * np.linalg.norm(draw.dy)


def examine_draw(context, draw):
    """All checks of one draw; those come first without which the others mean nothing."""
    checks, subject = context.settings.checks, context.subject
    apply(first_pass, context, draw)
    context.results.append(draw.results)
    for rule in contract_rules(context, draw) if "contract" in checks else ():
        if not context.findings:
            apply(rule, context, draw)
    if draw.number == 0 and {"alias", "contract"} & set(checks) and not context.findings:
        apply(alias, context, draw)
    if "values" in checks:
        apply(values, context, draw)
    if draw.number == 1 and context.findings and subject.random:
        context.notes.append("The second batch ran on the layer that had done the first: is something of that left?")
    if draw.number == 1 or context.findings:
        return
    for check, rule in (("dtype", dtype), ("layout", layout), ("errors", errors)):
        if check in checks:
            apply(rule, context, draw)
    if "contract" in checks and subject.random:
        # Each forward has a new mask, so comparing cannot reveal a stale one: the second draw runs on a layer that has done the first.
        used = subject.fresh()
        subject.one_pass(used, draw)
        subject.base = used


def apply(rule, context, draw):
    """Add the rule's findings one by one: those before an interruption count."""
    for finding in rule(context, draw):
        context.findings.append(finding)
