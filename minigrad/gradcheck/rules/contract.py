"""The contract: what forward and backward may not do, even where their numbers are right."""

from minigrad.gradcheck.comparison import distance
from minigrad.gradcheck.interruptions import Blank, Raised
from minigrad.gradcheck.report import Finding
from minigrad.gradcheck.subject import Results, copied, gradient_name


def contract_rules(context, draw):
    """The rules that apply to this layer and draw, in the order in which they are tried: only up to the first that is broken."""
    rules = [repeatable]
    if not draw.loss:
        rules.append(linear)
    if draw.number == 0 and not context.subject.random:  # its masks differ from batch to batch, stale or not
        rules.append(not_stale)
    if draw.number == 0:
        rules.append(nothing_shared)
    if draw.number == 0 and context.settings.factory:  # a layer that was handed in may have done a forward before
        rules.append(forward_first)
    return rules


def repeatable(context, draw):
    """backward may be called twice, with the same gradients."""
    subject, first = context.subject, draw.results
    layer = subject.fresh()
    try:
        subject.one_pass(layer, draw)
        again = Results(first.y, subject.backward_gradients(layer, draw))
    except Raised as raised:
        yield Finding("contract", "not-repeatable", "", f"After a second backward: {raised}.")
        return
    name = again.differing(first)
    if name is not None:
        doubled = distance(again.gradients.get(name), 2 * first.gradients[name]) <= 1e-9
        words = "a second backward adds to it; backward overwrites" if doubled else "another one after a second backward"
        yield Finding("contract", "not-repeatable", name, f"{gradient_name(name)}: {words}.")


def linear(context, draw):
    """backward(-2 dy) is -2 backward(dy). With -2, not 2: a mask that is taken from dy would pass."""
    first = draw.results
    scaled = context.subject.one_pass(context.subject.fresh(), draw, factor=-2.0).gradients
    expected = {name: -2 * gradient for name, gradient in first.gradients.items()}
    name = Results(first.y, scaled).differing(Results(first.y, expected))
    if name is not None and distance(scaled.get(name), first.gradients[name]) <= 1e-12:
        yield Finding("contract", "ignores-dy", name, f"{gradient_name(name)} is the same for every dy.")
    elif name is not None:
        words = f"{gradient_name(name)} is not linear in dy: backward(-2 dy) is not -2 backward(dy)."
        yield Finding("contract", "not-linear", name, words)


def not_stale(context, draw):
    """The second draw gives the same on a layer that has done the first as on a fresh one."""
    subject, second = context.subject, context.draw(1)
    used, layer = subject.fresh(), subject.fresh()
    subject.accept_output(subject.forward(layer, second.x.copy(), second), second)
    expected = subject.one_pass(layer, second)
    subject.one_pass(used, draw)
    try:
        name = subject.one_pass(used, second).differing(expected)
    except Raised as raised:
        yield Finding("contract", "stale", "", f"After a batch of another size, {raised}.")
        return
    if name is not None:
        words = f"{gradient_name(name)} depends on the batch before: something that it left is used again."
        yield Finding("contract", "stale", name, words)


def nothing_shared(context, draw):
    """Two instances, forward of both and then backward of both, behave as each of them alone."""
    subject = context.subject
    draws = draw, draw.variant(draw.x[..., ::-1].copy(), -draw.dy)
    layers = [subject.new(shift) for shift in (0, 1)]
    alone = [subject.one_pass(subject.copy(layer), one) for layer, one in zip(layers, draws, strict=True)]
    try:
        ys = [copied(subject.forward(layer, one.x.copy(), one)) for layer, one in zip(layers, draws, strict=True)]
        together = [Results(y, subject.backward_gradients(layer, one)) for y, layer, one in zip(ys, layers, draws, strict=True)]
    except Raised as raised:
        yield Finding("contract", "shared-state", "", f"With another instance used in between, {raised}.")
        return
    for results, expected in zip(together, alone, strict=True):
        name = results.differing(expected)
        if name is not None:
            words = f"{gradient_name(name)} changes when another instance is used in between: they share something."
            yield Finding("contract", "shared-state", name, words)
            return


def forward_first(context, draw):
    """backward before forward raises an error; unless it needs nothing of forward, and its numbers are right."""
    first = draw.results
    try:
        early = Results(first.y, context.subject.backward_gradients(context.subject.new(), draw))
    except Raised as raised:
        if not str(raised.error):
            yield Finding("contract", "order", "", f"Before forward, {raised}: it should say what is wrong.")
        return
    except Blank:
        early = Results(first.y, {})
    if early.differing(first) is not None:
        words = "backward before forward should raise an error that says so; it gives numbers."
        yield Finding("contract", "order", "", words)
