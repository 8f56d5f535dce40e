"""One way to judge a solution, behind all routes: the command line, `check` in a notebook, pytest, the grader."""

import contextlib
import inspect
import io
import os
import random
import time
import traceback
import warnings
from dataclasses import dataclass, replace

import numpy as np

from minigrad.coursework.cases import build, labels_of, moded, values, x_of
from minigrad.coursework.source import is_blank, plant
from minigrad.gradcheck import Finding, Report, check_layer

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OTHERS = (PACKAGE, os.path.dirname(np.__file__), "<__array_function__", "<frozen")  # code that is not the solution's
PRINTED = 10_000  # characters of what a solution prints that are kept


@dataclass(frozen=True)
class Result:
    """status: "passes", "wrong", or "not started". earned of possible points. reports: one for each case, as the checker makes them.
    output: what the solution printed."""

    exercise: str
    status: str
    earned: float
    possible: float
    reports: tuple
    output: str = ""

    @property
    def failing(self):
        """The first report of a case that did not pass, or None."""
        return next((report for report in self.reports if not report.ok), None)

    @property
    def cause(self):
        """One sentence: why it is not full marks, or ""."""
        return cause_of(self.failing)


class Blank(Exception):
    """Something is not written yet."""


def cause_of(report):
    if report is None:
        return ""
    if report.status == "not started":
        return (report.notes or ("not written yet",))[0]
    return report.cause or next((finding.sentence for finding in report.findings), "")


def run(exercise, solution, cases=None, seed=0):
    """Try a solution, a class or function, with cases, by default the public ones -> Result. Prints nothing and raises nothing that the
    solution does. None is a solution that is not there."""
    cases, notes = exercise.cases if cases is None else tuple(cases), []
    missing = [name for name in exercise.write if not written(exercise, solution, name)]
    with quiet(notes) as printed:
        if missing:
            words = f"{exercise.id} is not written yet" if solution is not None else f"there is no {exercise.source.__name__} yet"
            reports = [Report("not started", title(exercise, case), seed, 0.0, notes=(words,)) for case in cases]
        else:
            whole = completed(exercise, solution)
            reports = [judge(exercise, whole, case, seed, notes) for case in cases]
    total = sum(case.weight for case in cases)
    passed = sum(case.weight for case, report in zip(cases, reports, strict=True) if report.ok)
    blank = all(report.status == "not started" for report in reports)
    status = "not started" if blank else "passes" if passed == total else "wrong"
    earned = exercise.points * passed / total if not blank and total else 0.0
    return Result(exercise.id, status, round(earned, 4), exercise.points, tuple(reports), printed.getvalue())


def title(exercise, case):
    return f"{exercise.id} · {case.name}"


def written(exercise, solution, name):
    """Whether a function that was to be written holds more than a blank."""
    function = getattr(solution, name, None) if inspect.isclass(exercise.source) else solution
    return callable(function) and not is_blank(function)


def completed(exercise, solution):
    """The solution with the model's functions in place of blanks that belong to other exercises, so that nobody is blocked."""
    if not inspect.isclass(solution):
        return solution
    model = plant(exercise.source)
    lent = {
        name: function
        for name, function in vars(model).items()
        if inspect.isfunction(function) and name not in exercise.write and is_blank(getattr(solution, name, None))
    }
    return type(solution.__name__, (solution,), {**lent, "__module__": solution.__module__}) if lent else solution


def judge(exercise, solution, case, seed, notes):
    """The report of one case."""
    start, said = time.perf_counter(), len(notes)
    try:
        if case.kind == "gradients":
            report = by_gradients(exercise, solution, case, seed)
        else:
            report = by_values(exercise, solution, case, seed)
    except Blank as blank:
        report = Report("not started", title(exercise, case), seed, 0.0, notes=(str(blank),))
    except SystemExit:
        sentence = "The solution ends the program (sys.exit or quit): raise an error, or return."
        report = Report("error", title(exercise, case), seed, 0.0, findings=(Finding("contract", "raises", "", sentence),), cause=sentence)
    more = tuple(dict.fromkeys([*report.notes, *notes[said:]]))
    return replace(report, notes=more, seconds=time.perf_counter() - start)


def by_values(exercise, solution, case, seed, only=None):
    """Compare what comes out, value by value. only: the first letters of the names that count."""
    mine = collect(solution, exercise, case, seed, only)
    found, error = mine
    sentences = [(value.name, sentence) for value in found if (sentence := value.sentence())]
    several = 1 if case.kind == "forward" else 3  # of one output the first says it all
    findings = [Finding("values", "wrong", name, sentence) for name, sentence in sentences[:several]]
    if error is not None:
        findings.append(Finding("contract", "raises", "", raised(error)))
    cause = ""
    if findings:
        cause = hint(exercise, mine, case, seed, only) or findings[0].sentence
    status = "error" if error is not None else "failed" if findings else "passed"
    return Report(status, title(exercise, case), seed, 0.0, findings=tuple(findings), cause=cause, evaluations=len(found))


def collect(solution, exercise, case, seed, only=None):
    """The values of a solution, and the error that ended them, or None."""
    found = []
    try:
        for value in values(solution, plant(exercise.source), case, seed):
            if value.yours is ... or (value.yours is None and value.expected is not None):
                raise NotImplementedError(f"{value.name} is {value.yours}: {exercise.id} is not written yet")
            if only is None or value.name.startswith(only):
                found.append(value)
    except NotImplementedError as blank:
        raise Blank(str(blank) or f"{exercise.id} is not written yet") from None
    except Exception as error:
        return found, error
    return found, None


def hint(exercise, mine, case, seed, only):
    """The hint of the known mistake that gives exactly these values, or ""."""
    found, error = mine
    for mistake in exercise.mistakes + exercise.others:
        if mistake.hint:
            other, other_error = collect(plant(exercise.source, mistake), exercise, case, seed, only)
            if (type(error), str(error)) != (type(other_error), str(other_error)) or len(found) != len(other):
                continue
            if all(a.equals(b) for a, b in zip(found, other, strict=True)):
                return mistake.hint
    return ""


def by_gradients(exercise, solution, case, seed):
    """What forward gives, then the gradient checker."""
    if not exercise.random:
        report = by_values(exercise, solution, case, seed, only="y")
        if not report.ok:
            return report

    def factory(cls):
        return lambda: moded(build(cls, case, seed), case, seed)

    suspects = [(m.hint, factory(plant(exercise.source, m))) for m in exercise.mistakes + exercise.others if m.hint]
    report = check_layer(
        factory(solution) if case.mode == "train" else factory(solution)(),  # what has trained already has done a forward
        x_of(case, seed),
        *labels_of(case),
        seed=seed,
        suspects=suspects,
        budget=case.budget,
        title=title(exercise, case),
    )
    if report.status == "error" and report.cause not in [suspect for suspect, _ in suspects]:
        try:
            rehearse(factory(solution)(), case, seed)
        except Exception as error:  # the solution's own line, where the checker shows that of a helper which it calls
            report = replace(report, findings=(Finding("contract", "raises", "", raised(error)),), cause="")
    return report


def rehearse(layer, case, seed):
    """forward and backward, once."""
    y = layer.forward(x_of(case, seed), *labels_of(case))
    layer.backward(*([] if np.ndim(y) == 0 else [np.random.default_rng(seed).standard_normal(np.shape(y))]))


def raised(error):
    """An error in a sentence, with the last line of the solution's own code."""
    words = (str(error).strip().splitlines() or ["(no message)"])[0]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(OTHERS)]
    place = f" (line {frames[-1].lineno} of {os.path.basename(frames[-1].filename)}: `{frames[-1].line}`)" if frames else ""
    return f"{type(error).__name__}: {words}{place}"


class Printed(io.TextIOBase):
    """Keeps the beginning of what is printed."""

    def __init__(self):
        self.kept, self.length = [], 0

    def writable(self):
        return True

    def write(self, text):
        if self.length < PRINTED:
            self.kept.append(text[: PRINTED - self.length])
        self.length += len(text)
        return len(text)

    def getvalue(self):
        more = f"\n… and {self.length - PRINTED:,} more characters\n" if self.length > PRINTED else ""
        return "".join(self.kept) + more


@contextlib.contextmanager
def quiet(notes):
    """Nothing reaches stdout or stderr; warnings become notes; random states, warning filters and NumPy's error handling come back."""
    numpy_state, python_state, printed = np.random.get_state(), random.getstate(), Printed()

    def note(message, category, filename, lineno, file=None, line=None):
        notes.append(f"warning: {message} (line {lineno} of {os.path.basename(filename)})")

    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), np.errstate(all="warn", under="ignore"):
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.showwarning = note
                yield printed
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
