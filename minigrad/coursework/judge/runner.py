"""Trying a solution with the cases of an exercise. All ways in end here: the command line, `check` in a notebook, pytest, the grader."""

import inspect
from dataclasses import dataclass, replace

from minigrad.coursework.judge.agreement import agreed
from minigrad.coursework.judge.caged.blank import is_blank
from minigrad.coursework.judge.capture import captured
from minigrad.coursework.judge.loading import CannotLoad, load
from minigrad.coursework.judge.one_case import error_report, run_case
from minigrad.coursework.judge.values import report_title
from minigrad.coursework.source import plant
from minigrad.gradcheck import Report


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


def cause_of(report):
    """One sentence: why a report, or None, is not "passed"; "" if it is."""
    if report is None:
        return ""
    if report.status == "not started":
        return (report.notes or ("not written yet",))[0]
    return report.cause or next((finding.sentence for finding in report.findings), "")


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
            reports = agreed(exercise, complete, cases, [run_case(exercise, complete, case, seed, notes) for case in cases], seed)
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
