"""The command `check`: which exercises and cases are meant, a verdict on each, and the debugger."""

import contextlib
import inspect
import os
import pdb
import shlex
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from minigrad.coursework.console import ASCII_MARKS, MARKS, UsageError, say, shows_marks
from minigrad.coursework.exercises import ALL, EXERCISES, find
from minigrad.coursework.judge.gradients import forward_and_backward
from minigrad.coursework.judge.inputs import build, in_mode
from minigrad.coursework.judge.loading import CannotLoad, NoSuchImpl, file_of, load
from minigrad.coursework.judge.outputs import values_of
from minigrad.coursework.judge.process import judge_in_process
from minigrad.coursework.judge.runner import attempt, fill_blanks
from minigrad.coursework.judge.verdict import verdict_of
from minigrad.coursework.source import plant


def check_exercises(ids, impl="student", case=None, seed=0, debug=False, fast=False):
    """Print a line for each exercise and the message of the first that is wrong -> the exit code: 0 if all pass, else 1.

    ids: of exercises, or their beginnings; none: those that the file `impl` is about, or all of the library. impl: what `load` takes.
    case: the name of the only case to try. debug: stop in the debugger instead. fast: only the first case of each kind.
    Raises UsageError."""
    exercises = exercises_named(ids) if ids else exercises_in(impl)
    tried = [(exercise, cases) for exercise in exercises if (cases := chosen_cases(exercise, case, fast))]
    if not tried:
        names = sorted({case.name for exercise in exercises for case in exercise.cases})
        raise UsageError(f"there is no case {case!r}; there are {', '.join(names)}")
    try:
        if debug:
            return debug_first_failure(tried, impl, seed)
        verdicts = judge_all(tried, impl, seed)
    except NoSuchImpl as error:
        raise UsageError(
            f"{error}: begin with `python -m minigrad.coursework new {exercises[0].group}`, or name your folder with --impl"
        ) from None
    print_verdicts(verdicts, tried[0][0], impl)
    return 0 if all(verdict["status"] == "passes" for verdict in verdicts) else 1


# ---- what is meant


def exercises_named(ids):
    """The exercises that these ids, or beginnings of ids, mean. Raises UsageError."""
    try:
        return find(ids, ALL)
    except ValueError as error:
        raise UsageError(str(error)) from None


def exercises_in(impl):
    """What is checked where no exercise is named: those of the group that the file is named after, or else those that the file defines;
    where impl is no file, all exercises of the library. Raises UsageError for a file that defines none."""
    path = Path(impl)
    if path.suffix != ".py" or not path.exists():
        return EXERCISES
    text = path.read_text(encoding="utf-8", errors="replace")
    named = [exercise for exercise in ALL if exercise.group == path.stem]
    defined = [e for e in ALL if f"class {e.source.__name__}" in text or f"def {e.source.__name__}(" in text]
    if not (named or defined):
        raise UsageError(f"{impl} defines nothing that an exercise asks for; name the exercise: check conv2d --impl {impl}")
    return named or defined


def chosen_cases(exercise, name=None, fast=False):
    """The public cases of this name, or all. fast: only the first of each kind."""
    cases = [case for case in exercise.cases if name in (None, case.name)]
    if fast:
        cases = list({case.kind: case for case in reversed(cases)}.values())[::-1]
    return cases


def is_path(impl):
    """Whether --impl names a file or folder, there or not, and no module."""
    return impl.endswith((".py", ".ipynb")) or Path(impl).is_dir() or "/" in impl or os.sep in impl


def impl_option(impl):
    """--impl as it is typed again; "" for the default."""
    return "" if impl.rstrip("/") == "student" else f" --impl {shlex.quote(impl)}"


# ---- verdicts


def judge_all(tried, impl, seed):
    """A verdict for each (exercise, cases); what is not the library's own is tried in processes of its own. Raises NoSuchImpl."""
    if is_path(impl) and not Path(impl).exists() or impl == "student" and not Path(impl).is_dir():
        raise NoSuchImpl(f"there is no {'file' if impl.endswith(('.py', '.ipynb')) else 'folder'} {impl}")
    if impl in ("reference", "blank"):
        return [judge_here(exercise, cases, impl, seed) for exercise, cases in tried]
    if not is_path(impl):
        with contextlib.suppress(CannotLoad):  # which the verdicts say
            load(impl, tried[0][0])
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda pair: judge_isolated(*pair, impl, seed), tried))


def judge_here(exercise, cases, impl, seed):
    """The verdict on a solution, which runs in this process."""
    return verdict_of(exercise, attempt(impl, exercise, cases, seed), cases, command_for(exercise, impl))


def judge_isolated(exercise, cases, impl, seed):
    """The verdict on a student's solution, which runs in a process of its own; where there is no file, there is nothing to run."""
    if is_path(impl) and not file_of(Path(impl), exercise).exists():
        return judge_here(exercise, cases, impl, seed)
    request = {
        "impl": os.path.abspath(impl) if is_path(impl) else impl,
        "exercise": exercise.id,
        "cases": [case.name for case in cases],
        "seed": seed,
        "again": command_for(exercise, impl),
        "import_path": [] if is_path(impl) else sys.path[:1],
    }
    return judge_in_process(request, exercise, cases)


def command_for(exercise, impl):
    """The command that repeats a case in the debugger; {case} and {seed} are to be replaced."""
    return f"python -m minigrad.coursework check {exercise.id}{impl_option(impl)} --case {{case}} --seed {{seed}} --pdb"


def print_verdicts(verdicts, first, impl):
    """Print a line for each verdict, and what the first wrong one says. first: the exercise of the first verdict."""
    marks, key, width = (MARKS, "message", 1) if shows_marks() else (ASCII_MARKS, "ascii", 5)
    for verdict in verdicts:
        say(f"{marks[verdict['status']]:{width}} {verdict['exercise']:22} {outcome(verdict)}".rstrip())
    wrong = next((verdict for verdict in verdicts if verdict["status"] == "wrong"), None)
    if wrong:
        say("\n" + next(case[key] for case in wrong["cases"] if case["status"] != "passes"))
        if wrong["output"]:
            say("\n  printed:\n" + wrong["output"].rstrip())
    elif len(verdicts) == 1 and verdicts[0]["status"] == "not started":
        say(f"\n  {how_to_start(first, impl)}")


def outcome(verdict):
    """What the line of an exercise says."""
    number = len(verdict["cases"])
    passed = f"{number} public case{'s' * (number > 1)} passed"
    return {"passes": passed, "wrong": verdict["cause"], "not started": "not started"}[verdict["status"]]


def how_to_start(exercise, impl):
    """What to do about an exercise that is not started."""
    path = file_of(Path(impl), exercise)
    if path.suffix == ".py" and not path.exists():
        return f"There is no {path} yet: `python -m minigrad.coursework new {exercise.group}` writes it."
    return f"`python -m minigrad.coursework explain {exercise.id}` says what is wanted."


# ---- the debugger


def debug_first_failure(tried, impl, seed):
    """Run the first case that does not pass again, in the debugger: it stops where the student's function begins -> exit code 1; 0 if
    all pass. Raises NoSuchImpl."""
    for exercise, cases in tried:
        verdict = verdict_of(exercise, attempt(impl, exercise, cases, seed), cases)
        failing = next((case for case in verdict["cases"] if case["status"] != "passes"), None)
        if failing is None:
            continue
        say(failing["message" if shows_marks() else "ascii"])
        case, solution = next(case for case in cases if case.name == failing["name"]), None
        with contextlib.suppress(CannotLoad):  # there is nothing to stop at
            solution = load(impl, exercise)
        if solution is not None:
            run_case_again(exercise, stopping(exercise, fill_blanks(exercise, solution)), case, seed)
        return 1
    say("All cases pass: there is nothing to stop at.")
    return 0


def stopping(exercise, solution):
    """The solution, with the debugger stopping at the beginning of each function that was to be written; of ranks that are threads, one."""
    debugger, looking = pdb.Pdb(), threading.Lock()

    def stops(function):
        def call(*args, **kwargs):
            if not looking.acquire(blocking=False):  # the debugger has one keyboard
                return function(*args, **kwargs)
            try:
                return debugger.runcall(function, *args, **kwargs)
            finally:
                looking.release()

        return call

    if inspect.isclass(exercise.source):
        return type(solution.__name__, (solution,), {name: stops(getattr(solution, name)) for name in exercise.write})
    return stops(solution)


def run_case_again(exercise, solution, case, seed):
    """Call the solution as the case does. Raises what the solution raises."""
    if case.kind == "gradients":
        forward_and_backward(in_mode(build(solution, case, seed), case, seed), case, seed)
    else:
        list(values_of(solution, plant(exercise.source), case, seed))
