"""Error messages: a library's layer refuses an x that it cannot take, in a sentence that names the layer and both numbers."""

import re

import numpy as np

from minigrad.gradcheck.report import Finding


def errors(context, draw):
    """An x of integers is refused, and so is a wrong number of channels, if the layer expects one."""
    message = refusal(context, draw, draw.x.astype(np.int64))
    if message is None:
        yield Finding("errors", "errors", "x", "An x of integers is accepted; a sentence should say that it has no gradient.")
    elif not message:
        yield Finding("errors", "errors", "x", "For an x of integers the error should be a sentence that names the layer.")
    C, too_many = draw.x.shape[-1], draw.x.shape[-1] + 20
    wider = np.resize(draw.x, (*draw.x.shape[:-1], too_many))
    message = refusal(context, draw, wider)
    if message is not None:
        named = {int(number) for number in re.findall(r"\d+", message)}
        if not ({C, too_many} <= named or {draw.x[0].size, wider[0].size} <= named):
            words = f"For {too_many} channels in place of {C} the error should be a sentence that names the layer and both numbers."
            yield Finding("errors", "errors", "x", words)


def refusal(context, draw, x):
    """The message of the error that forward raises, if it names the layer; "" if it does not, or None if there is no error."""
    context.subject.evaluations += 1
    try:
        context.subject.fresh().forward(x, *draw.args)
    except Exception as error:
        layer_named = re.search(rf"\b{context.subject.name}\b|\bin \w+, the \d+\w\w layer\b", str(error))
        return str(error) if layer_named and isinstance(error, (TypeError, ValueError)) else ""
    return None
