"""Trying a solution with the cases of an exercise. All ways in end here: the command line, `check` in a notebook, pytest, the grader."""

import inspect
import time
from dataclasses import dataclass, replace

import numpy as np

from minigrad.coursework.judge.caged.blank import is_blank
from minigrad.coursework.judge.capture import captured
from minigrad.coursework.judge.comparison import Value
from minigrad.coursework.judge.errors import error_sentence
from minigrad.coursework.judge.inputs import build, in_mode, labels_of, x_of
from minigrad.coursework.judge.loading import CannotLoad, load
from minigrad.coursework.judge.outputs import values_of
from minigrad.coursework.source import plant
from minigrad.gradcheck import Finding, Report, check_layer


@dataclass(frozen=True)
class Result:
    """What a solution of one exercise is worth.

    exercise: its id. status: "passes", "wrong", or "not started". earned, possible: points. reports: one for each case, in their order,
    as the gradient checker makes them. output: what the solution printed."""

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


class NotWritten(Exception):
    """A part of the solution is still blank."""


def cause_of(report):
    """One sentence: why a report, or None, is not "passed"; "" if it is."""
    if report is None:
        return ""
    if report.status == "not started":
        return (report.notes or ("not written yet",))[0]
    return report.cause or next((finding.sentence for finding in report.findings), "")


def report_title(exercise, case):
    return f"{exercise.id} · {case.name}"


# ---- a whole exercise


def attempt(impl, exercise, cases=None, seed=0):
    """Load the solution that --impl names (see `load`) and try it -> Result. A file that is broken or missing is a result, too.

    Raises NoSuchImpl where --impl names nothing."""
    cases, notes = exercise.cases if cases is None else tuple(cases), []
    with captured(notes) as output:
        try:
            solution, problem = load(impl, exercise), ""
        except CannotLoad as error:
            problem = str(error)
    if problem:
        return untried(exercise, cases, seed, problem, output.getvalue())
    result = run(exercise, solution, cases, seed)
    return replace(result, output=output.getvalue() + result.output)


def untried(exercise, cases, seed, sentence, output=""):
    """The result of a solution that could not be tried: every case is wrong, and the sentence says why."""
    reports = tuple(error_report(exercise, case, seed, sentence) for case in cases)
    return Result(exercise.id, "wrong", 0.0, exercise.points, reports, output)


def error_report(exercise, case, seed, sentence):
    finding = Finding("contract", "raises", "", sentence)
    return Report("error", report_title(exercise, case), seed, 0.0, findings=(finding,), cause=sentence)


def run(exercise, solution, cases=None, seed=0):
    """Try a solution, a class or function, with cases, by default the public ones -> Result.

    solution None: there is none. Points are in proportion to the weights of the cases that pass. Prints nothing, and raises nothing
    that the solution raises."""
    cases, notes = exercise.cases if cases is None else tuple(cases), []
    missing = [name for name in exercise.write if not is_written(exercise, solution, name)]
    with captured(notes) as output:
        if missing:
            sentence = f"{exercise.id} is not written yet" if solution is not None else f"there is no {exercise.source.__name__} yet"
            reports = [Report("not started", report_title(exercise, case), seed, 0.0, notes=(sentence,)) for case in cases]
        else:
            complete = fill_blanks(exercise, solution)
            reports = [run_case(exercise, complete, case, seed, notes) for case in cases]
    total = sum(case.weight for case in cases)
    passed = sum(case.weight for case, report in zip(cases, reports, strict=True) if report.ok)
    not_started = all(report.status == "not started" for report in reports)
    status = "not started" if not_started else "passes" if passed == total else "wrong"
    earned = exercise.points * passed / total if not not_started and total else 0.0
    return Result(exercise.id, status, round(earned, 4), exercise.points, tuple(reports), output.getvalue())


def is_written(exercise, solution, name):
    """Whether a function that was to be written holds more than a blank."""
    function = getattr(solution, name, None) if inspect.isclass(exercise.source) else solution
    return callable(function) and not is_blank(function)


def fill_blanks(exercise, solution):
    """The solution with the model's functions in place of blanks that belong to other exercises, so that nobody is blocked."""
    if not inspect.isclass(solution):
        return solution
    model = plant(exercise.source)
    filled_in = {
        name: function
        for name, function in vars(model).items()
        if inspect.isfunction(function) and name not in exercise.write and is_blank(getattr(solution, name, None))
    }
    return type(solution.__name__, (solution,), {**filled_in, "__module__": solution.__module__}) if filled_in else solution


# ---- one case


def run_case(exercise, solution, case, seed, notes):
    """Try a solution with one case -> Report. notes: the list to which `captured` appends warnings; those of this case are reported."""
    start, notes_before = time.perf_counter(), len(notes)
    try:
        if case.kind == "gradients":
            report = by_gradients(exercise, solution, case, seed)
        else:
            report = by_values(exercise, solution, case, seed)
    except NotWritten as blank:
        report = Report("not started", report_title(exercise, case), seed, 0.0, notes=(str(blank),))
    except SystemExit:
        report = error_report(exercise, case, seed, "The solution ends the program (sys.exit or quit): raise an error, or return.")
    all_notes = tuple(dict.fromkeys([*report.notes, *notes[notes_before:]]))
    return replace(report, notes=all_notes, seconds=time.perf_counter() - start)


def by_values(exercise, solution, case, seed, only=None):
    """Compare what comes out, value by value -> Report. only: what the names of the values that count begin with; None: all count.

    Raises NotWritten."""
    values, error = collect(solution, exercise, case, seed, only)
    sentences = [(value.name, sentence) for value in values if (sentence := value.sentence())]
    most = 1 if case.kind == "forward" else 3  # where there is one output, the first sentence says it all
    findings = [Finding("values", "wrong", name, sentence) for name, sentence in sentences[:most]]
    if error is not None:
        findings.append(Finding("contract", "raises", "", error_sentence(error)))
    cause = ""
    if findings:
        cause = hint_for(exercise, values, error, case, seed, only) or findings[0].sentence
    status = "error" if error is not None else "failed" if findings else "passed"
    return Report(status, report_title(exercise, case), seed, 0.0, findings=tuple(findings), cause=cause, evaluations=len(values))


def collect(solution, exercise, case, seed, only=None):
    """The values of a solution, and the error that ended them, or None. Raises NotWritten."""
    values = []
    try:
        for value in values_of(solution, plant(exercise.source), case, seed):
            if value.yours is ... or (value.yours is None and value.expected is not None):
                raise NotImplementedError(f"{value.name} is {value.yours}: {exercise.id} is not written yet")
            if only is None or value.name.startswith(only):
                values.append(value)
    except NotImplementedError as blank:
        raise NotWritten(str(blank) or f"{exercise.id} is not written yet") from None
    except Exception as error:
        return values, error
    return values, None


def hint_for(exercise, values, error, case, seed, only):
    """The hint of the known mistake that gives exactly these values and this error, or ""."""
    for mistake in exercise.mistakes + exercise.others:
        if mistake.hint:
            others, other_error = collect(plant(exercise.source, mistake), exercise, case, seed, only)
            if (type(error).__name__, str(error)) != (type(other_error).__name__, str(other_error)) or len(values) != len(others):
                continue
            if all(value.equals(other) for value, other in zip(values, others, strict=True)):
                return mistake.hint
    return ""


def by_gradients(exercise, solution, case, seed):
    """Compare what forward gives, then ask the gradient checker -> Report. Known mistakes are its suspects. Raises NotWritten."""
    if not exercise.random:
        report = by_values(exercise, solution, case, seed, only="y")
        if not report.ok:
            return report

    def factory(cls):
        return lambda: in_mode(build(cls, case, seed), case, seed)

    suspects = [(m.hint, factory(plant(exercise.source, m))) for m in exercise.mistakes + exercise.others if m.hint]
    report = check_layer(
        factory(solution) if case.mode == "train" else factory(solution)(),  # what has trained already has done a forward
        x_of(case, seed),
        *labels_of(case),
        seed=seed,
        suspects=suspects,
        reference=factory(plant(exercise.source)),
        budget=case.budget,
        title=report_title(exercise, case),
    )
    if report.status == "error" and report.cause not in [suspect for suspect, _ in suspects]:
        try:
            forward_and_backward(factory(solution)(), case, seed)
        except Exception as error:  # the solution's own line, where the checker shows that of a helper which it calls
            report = replace(report, findings=(Finding("contract", "raises", "", error_sentence(error)),), cause="")
    if report.ok and exercise.random and case.mode == "train":
        return by_mask(exercise, factory(solution)(), case, seed) or report
    return report


def by_mask(exercise, layer, case, seed):
    """A layer that drops numbers multiplies x by a mask, and dy by the same: a report if that is not so, else None.

    Its forward is random, so nothing else says that the forward whose slopes were taken is the one that is wanted."""
    x = x_of(case, seed)
    y = np.asarray(layer.forward(x.copy()))
    dy = np.random.default_rng(seed).standard_normal(y.shape)
    value = Value("dx", layer.backward(dy.copy()), dy * (y / x), 1e-9)
    if not (sentence := value.sentence()):
        return None
    return Report("failed", report_title(exercise, case), seed, 0.0, findings=(Finding("values", "wrong", "dx", sentence),), cause=sentence)


def forward_and_backward(layer, case, seed):
    """Call forward and backward once, as the case wants it."""
    y = layer.forward(x_of(case, seed), *labels_of(case))
    layer.backward(*([] if np.ndim(y) == 0 else [np.random.default_rng(seed).standard_normal(np.shape(y))]))
