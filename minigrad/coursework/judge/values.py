"""A case whose values are compared with the model's, one by one; and the known mistake that gives the same values."""

import numpy as np

from minigrad.coursework.judge.errors import error_sentence
from minigrad.coursework.judge.inputs import build, x_of
from minigrad.coursework.judge.outputs import values_of
from minigrad.coursework.judge.summands import by_window, overwritten
from minigrad.coursework.source import plant
from minigrad.gradcheck import Finding, Report


class NotWritten(Exception):
    """A part of the solution is still blank."""


def report_title(exercise, case):
    return f"{exercise.id} · {case.name}"


def by_values(exercise, solution, case, seed, only=None):
    """Compare what comes out, value by value -> Report. only: what the names of the values that count begin with; None: all count.

    Raises NotWritten."""
    values, error = collect(solution, exercise, case, seed, only)
    wrong = [(value, sentence) for value in values if (sentence := value.sentence())]
    most = 1 if case.kind == "forward" else 3  # where there is one output, the first sentence says it all
    names = {sentence: value.name for value, sentence in reversed(wrong)}  # two values may have the same sentence
    shown = list(dict.fromkeys(sentence for _, sentence in wrong))[:most]
    findings = [Finding("values", "wrong", names[sentence], sentence) for sentence in shown]
    if error is not None:
        findings.append(Finding("contract", "raises", "", error_sentence(error)))
    cause = ""
    if findings:
        reasons = [value.reason or overwriting(exercise, case, value) for value, _ in wrong]
        cause = next(filter(None, [hint_for(exercise, values, error, case, seed, only), *reasons, findings[0].sentence]))
    status = "error" if error is not None else "failed" if findings else "passed"
    return Report(status, report_title(exercise, case), seed, 0.0, findings=tuple(findings), cause=cause, evaluations=len(values))


def collect(solution, exercise, case, seed, only=None):
    """The values of a solution, and the error that ended them, or None. Raises NotWritten."""
    values = []
    try:
        for value in values_of(solution, plant(exercise.source), case, seed):
            if value.yours is ...:
                raise NotImplementedError(f"{value.name} is {value.yours}: {exercise.id} is not written yet")
            if only is None or value.name.startswith(only):
                values.append(value)
    except NotImplementedError as blank:
        raise NotWritten(str(blank) or f"{exercise.id} is not written yet") from None
    except Exception as error:
        return values, error
    return values, None


def hint_for(exercise, values, error, case, seed, only):
    """The hint of the known mistake that gives exactly these values and this error; or the hints of several, if each wrong value is that of
    one of them; or ""."""
    wrong = [value for value in values if value.sentence()]
    fitting = {value.name: set() for value in wrong}
    for mistake in known(exercise):
        others, other_error = collect(plant(exercise.source, mistake), exercise, case, seed, only)
        if (type(error).__name__, str(error)) != (type(other_error).__name__, str(other_error)) or len(values) != len(others):
            continue
        pairs = list(zip(values, others, strict=True))
        if all(value.equals(other) for value, other in pairs):
            return mistake.hint
        for value, other in pairs:
            if value.name in fitting and value.equals(other):
                fitting[value.name].add(mistake.hint)
    gradients = case.kind == "worked" and all(name.startswith("d") for name in fitting)
    if gradients and len(fitting) > 1 and all(len(hints) == 1 for hints in fitting.values()):
        return " ".join(dict.fromkeys(hint for hints in fitting.values() for hint in hints))
    return ""


def known(exercise):
    """The mistakes that have a hint, those of what is to be written first."""
    return [mistake for mistake in exercise.mistakes + exercise.others if mistake.hint]


def overwriting(exercise, case, value):
    """The hint for a dx of a worked example in which one window overwrites what another one wrote, or ""."""
    hint = next((mistake.hint for mistake in known(exercise) if mistake.overwrites), "")
    if not hint or case.kind != "worked" or value.name != "dx":
        return ""
    layer, x = build(plant(exercise.source), case), x_of(case, 0)
    layer.forward(x)
    terms = by_window(layer.backward, np.array(case.dy, np.float64), len(x))
    return hint if overwritten(value.yours, terms) else ""
