"""`check` and `score`, for the cell below a class."""

import inspect

from minigrad.coursework.exercises import find, hidden
from minigrad.coursework.homework import shown
from minigrad.coursework.runner import run
from minigrad.coursework.solutions import verdict
from minigrad.coursework.variants import ALL


class CheckFailed(AssertionError):
    """A solution is wrong; str(error) is the message. In a notebook that is all that is shown: the frames are the checker's."""

    def _render_traceback_(self):
        return str(self).splitlines()


def check(id, solution, *, case=None, seed=0, graded=False, hidden=None, feedback="hint"):
    """Try a class or function with the public cases of an exercise, and say in one line that they pass or that it is not started.

    Raises CheckFailed if it is wrong, with the message of the first case that does not pass; ValueError for an unknown exercise or
    case, TypeError for something that is no class or function. Returns None.
    graded: raise CheckFailed for what is not started, too. hidden: a secret, whose cases are tried in place of the public ones;
    feedback says how much is told about them: "full", "hint", "category" or "none"."""
    found = judged(id, solution, case, seed, hidden)
    if found["output"]:
        print(found["output"].rstrip())
    number, kind = len(found["cases"]), "public" if hidden is None else "hidden"
    if found["status"] == "passes":
        more = "; hidden ones use other shapes and seeds" if hidden is None and not graded else ""
        print(f"{id}: {number} {kind} case{'s' * (number > 1)} passed{more}")
        return
    if found["status"] == "not started":
        if graded:
            raise CheckFailed(f"{id}: not started") from None
        print(f"{id}: not started")
        return
    row = next(row for row in found["cases"] if row["status"] != "passes")
    raise CheckFailed(shown(row, "full" if hidden is None else feedback, hidden is not None) or f"{id}: wrong") from None


def score(id, solution, points=None, *, seed=0, hidden=None):
    """The points, a float from 0 to `points` (by default the exercise's own), in proportion to the cases that pass. Never raises.

    As the last line of a cell it is what nbgrader takes for the grade."""
    try:
        found = judged(id, solution, None, seed, hidden)
        share = found["earned"] / found["possible"]
        points = found["possible"] if points is None else points
        print(f"{id}: {found['status']}, {round(share * points, 2):g} of {points:g} points")
        return float(min(max(round(share * points, 4), 0.0), points))
    except Exception as error:
        print(f"{id}: 0 points: {error}")
        return 0.0


def judged(id, solution, case, seed, secret):
    """The verdict on a solution in this process."""
    exercise = find([id], ALL)[0]
    if exercise.id != id:
        raise ValueError(f"there is no exercise {id!r}; did you mean {exercise.id}?")
    if not callable(solution) or inspect.isclass(exercise.source) and not inspect.isclass(solution):
        wanted = f"the class {exercise.source.__name__}" if inspect.isclass(exercise.source) else f"the function {exercise.source.__name__}"
        raise TypeError(f"check: hand over {wanted} itself, not {type(solution).__name__}")
    cases = exercise.cases if secret is None else hidden(exercise, secret)
    if case is not None:
        cases = tuple(c for c in cases if c.name == case)
        if not cases:
            raise ValueError(f"{id} has no case {case!r}; there are {', '.join(c.name for c in exercise.cases)}")
    again = f'check("{id}", {exercise.source.__name__}, case="{{case}}", seed={{seed}})'
    return verdict(exercise, run(exercise, solution, cases, seed), cases, again)
