"""Verdicts: results as plain data, which go from process to process and into files.

A verdict is a dict of JSON types: exercise, status, earned, possible, cause, output as in `Result`, and "cases", a list with a dict for
each case: name, kind, weight, status ("passes", "wrong", "not started"), cause, hint, message, and ascii, the message in ASCII signs."""

import inspect
from dataclasses import replace

import numpy as np

from minigrad.coursework.cases import Array
from minigrad.coursework.judge.comparison import short
from minigrad.coursework.judge.runner import cause_of
from minigrad.coursework.judge.values import known

MOST_LINES = 24  # of a message, after its first line


def verdict_of(exercise, result, cases, again=""):
    """A `Result` as a verdict. again: the command that repeats a case, in which {case} and {seed} are replaced; "": nothing is said."""
    hints, case_verdicts = dict.fromkeys(mistake.hint for mistake in known(exercise)), []
    for case, report in zip(cases, result.reports, strict=True):
        cause, is_hidden = cause_of(report), case.name.startswith("hidden-")
        command = again.format(case=case.name, seed=report.seed) if again and not is_hidden else None  # nobody can repeat a hidden case
        # What may be said of a hidden case: known mistakes' hints or a rule of the contract, but no numbers.
        is_rule = any(f.check != "values" and f.sentence == cause for f in report.findings)
        case_verdicts.append(
            {
                "name": case.name,
                "kind": case.kind,
                "weight": case.weight,
                "status": status_of(report),
                "cause": cause,
                "hint": cause if is_rule else " ".join(hint for hint in hints if hint in cause),
                "message": message(exercise, case, report, command),
                "ascii": message(exercise, case, report, command, ascii_only=True),
            }
        )
    fields = ("exercise", "status", "earned", "possible", "cause", "output")
    return {name: getattr(result, name) for name in fields} | {"cases": case_verdicts}


def status_of(report):
    return {"passed": "passes", "not started": "not started"}.get(report.status, "wrong")


def message(exercise, case, report, again=None, ascii_only=False):
    """The report on a case as text, with what the case tries, without times. again: the command that repeats it, if there is one."""
    head, *lines = replace(report, seconds=0.0).text(again=again, plain=ascii_only).splitlines()
    if not again:
        lines = [line for line in lines if not line.startswith("  again:")]
    if report.status in ("failed", "error") and case.kind != "property":
        lines = [f"  {described(exercise.source, case)}", *lines][-MOST_LINES:]
    return "\n".join([head, *lines])


def described(source, case):
    """What a case tries, in a line: "Conv2d(in_channels=2, out_channels=5, kernel_size=3), x (3, 5, 4, 2)"."""
    x = f"x = {short(np.array(case.x).tolist())}" if case.inputs in ("numbers", "as is") else f"x {case.x}"
    labels = f", labels {list(case.labels)}" if case.labels else ""
    names, is_class = list(inspect.signature(source).parameters), inspect.isclass(source)
    values = dict(zip(names if is_class else names[1:], case.args, strict=False)) | case.kwargs
    arguments = [f"{name} {v.shape}" if isinstance(v, (Array, np.ndarray)) else f"{name}={short(v)}" for name, v in values.items()]
    if not is_class:
        return f"{source.__name__}({', '.join([x] * (case.x != ()) + arguments)})"
    return f"{source.__name__}({', '.join(arguments)}), {x}{labels}{', after training' * (case.mode == 'eval')}"
