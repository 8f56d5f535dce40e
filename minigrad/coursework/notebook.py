"""`check` and `score`, for the cell below a class."""

import inspect

from minigrad.coursework.exercises import ALL, find
from minigrad.coursework.feedback import feedback_on
from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.judge.runner import run
from minigrad.coursework.judge.verdict import verdict_of


class CheckFailed(AssertionError):
    """A solution is wrong; str(error) is the message. In a notebook nothing else is shown: the frames are the checker's."""

    def _render_traceback_(self):
        return str(self).splitlines()


def check(id, solution, *, case=None, seed=0, graded=False, hidden=None, feedback="hint"):
    """Try a class or function with the public cases of an exercise, and say in one line that they pass or that it is not started.

    id: "conv2d.backward". solution: the class or function itself. case: the name of the only case to try. seed: of the inputs.
    graded: raise CheckFailed for what is not started, too. hidden: a secret, an int, whose cases are tried in place of the public ones;
    feedback says how much is told about them: "full", "hint", "category" or "none".

    Returns None. Raises CheckFailed if the solution is wrong, with the message of the first case that does not pass; ValueError for an
    unknown exercise or case, TypeError for something that is no class or function."""
    verdict = verdict_on(id, solution, case, seed, hidden)
    if verdict["output"]:
        print(verdict["output"].rstrip())
    number, kind = len(verdict["cases"]), "public" if hidden is None else "hidden"
    if verdict["status"] == "passes":
        more = "; hidden ones use other shapes and seeds" if hidden is None and not graded else ""
        print(f"{id}: {number} {kind} case{'s' * (number > 1)} passed{more}")
        return
    if verdict["status"] == "not started":
        if graded:
            raise CheckFailed(f"{id}: not started") from None
        print(f"{id}: not started")
        return
    failing = next(case_verdict for case_verdict in verdict["cases"] if case_verdict["status"] != "passes")
    raise CheckFailed(feedback_on(failing, "full" if hidden is None else feedback, hidden is not None) or f"{id}: wrong") from None


def score(id, solution, points=None, *, seed=0, hidden=None):
    """The points, a float from 0 to `points` (None: the exercise's own), in proportion to the cases that pass. Never raises.

    The other arguments are those of `check`. As the last line of a cell it is what nbgrader takes for the grade."""
    try:
        verdict = verdict_on(id, solution, None, seed, hidden)
        share = verdict["earned"] / verdict["possible"]
        points = verdict["possible"] if points is None else points
        print(f"{id}: {verdict['status']}, {round(share * points, 2):g} of {points:g} points")
        failing = next((case_verdict for case_verdict in verdict["cases"] if case_verdict["status"] == "wrong"), None)
        if failing is not None and hidden is None:
            print(failing["message"])
        return float(min(max(round(share * points, 4), 0.0), points))
    except Exception as error:
        print(f"{id}: 0 points: {error}")
        return 0.0


def verdict_on(id, solution, case, seed, secret):
    """The verdict on a solution in this process. Raises ValueError and TypeError as `check` does."""
    exercise = find([id], ALL)[0]
    if exercise.id != id:
        raise ValueError(f"there is no exercise {id!r}; did you mean {exercise.id}?")
    if not callable(solution) or inspect.isclass(exercise.source) and not inspect.isclass(solution):
        wanted = f"the class {exercise.source.__name__}" if inspect.isclass(exercise.source) else f"the function {exercise.source.__name__}"
        raise TypeError(f"check: hand over {wanted} itself, not {type(solution).__name__}")
    cases = exercise.cases if secret is None else hidden_cases(exercise, secret)
    if case is not None:
        cases = tuple(c for c in cases if c.name == case)
        if not cases:
            raise ValueError(f"{id} has no case {case!r}; there are {', '.join(c.name for c in exercise.cases)}")
    again = f'check("{id}", {exercise.source.__name__}, case="{{case}}", seed={{seed}})'
    return verdict_of(exercise, run(exercise, solution, cases, seed), cases, again)
