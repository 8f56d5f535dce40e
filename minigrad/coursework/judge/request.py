"""A request to judge a solution, plain data, and the verdict on it. This is what the process of its own does; see process.py."""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from minigrad.coursework.exercises import ALL, find
from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.judge.cage import Cage, CageError, Ended
from minigrad.coursework.judge.caged.wire import Writer
from minigrad.coursework.judge.capture import captured
from minigrad.coursework.judge.guard import FORBIDDEN, refusal
from minigrad.coursework.judge.library import write_library
from minigrad.coursework.judge.remote import Session, remote_solution
from minigrad.coursework.judge.runner import attempt, run, untried
from minigrad.coursework.judge.verdict import verdict_of
from minigrad.coursework.worksheets import parts_of, worksheet

TIME_LIMIT = 20  # seconds of a solution's own time
STARTS, PAUSE = 3, 1  # how often a process that ends before it has seen anything of the solution is started; seconds before the second
NOT_GRADED = "It was not graded, for no fault of its own"  # the beginning of a sentence


def judge(request):
    """The verdict on a request, a dict of JSON types:

    impl         where the solution is: what `load` takes
    exercise     its id
    cases        names of public cases; missing or None: all of them
    seed         of the numbers
    again        the command that repeats a case ("")
    import_path  folders where modules are found besides sys.path ([])
    secret       the seed of the hidden cases, which are tried too; missing or None: no hidden cases
    sandbox      "bwrap" or "off": the solution is graded. It runs in a process of its own that holds nothing but it, and a scan of its text
                 refuses what it may not use. Missing or None: it runs in this process
    forbidden    imports that are refused besides the usual ones (())
    time_limit   seconds that a graded solution has (TIME_LIMIT)

    Raises ValueError for an unknown exercise, NoSuchImpl."""
    sys.path += request.get("import_path", [])
    exercise = find([request["exercise"]], ALL)[0]
    cases = [case for case in exercise.cases if request.get("cases") is None or case.name in request["cases"]]
    if request.get("secret") is not None:
        cases += hidden_cases(exercise, request["secret"])
    if request.get("sandbox"):
        try:
            result = from_outside(request, exercise, cases)
        except (Ended, CageError) as error:
            result = untried(exercise, cases, request["seed"], str(error))
    else:
        result = attempt(request["impl"], exercise, cases, request["seed"])
    return verdict_of(exercise, result, cases, request.get("again", ""))


def from_outside(request, exercise, cases):
    """The result of a solution that runs in a cage. Raises Ended, CageError."""
    path, seed, forbidden = Path(request["impl"]).resolve(), request["seed"], request.get("forbidden", ())
    if not path.exists():
        return run(exercise, None, cases, seed)
    if sentence := refusal(path, exercise, forbidden):
        return untried(exercise, cases, seed, sentence)
    seconds = (request.get("time_limit") or TIME_LIMIT) * (3 if path.suffix == ".ipynb" else 1)
    with tempfile.TemporaryDirectory() as library:
        write_library(library, exercise)
        session = opened(library, path.parent, request["sandbox"], seconds, forbidden)
        try:
            return conversation(session, path, exercise, cases, seed)
        finally:
            session.cage.close()


def opened(library, work, sandbox, seconds, forbidden):
    """The session of a new cage whose fences are up. What ends it before is a fault of this machine's: it is started again. Raises
    CageError."""
    for start in range(STARTS):
        time.sleep(start * PAUSE)
        session = Session(Cage(library, work, sandbox, seconds))
        try:
            session.ask(session.cage.fence_request((*FORBIDDEN, *forbidden)), Writer())
            return session
        except Ended as ended:
            session.cage.close()
            why = ended
        except BaseException:
            session.cage.close()
            raise
    raise CageError(f"{NOT_GRADED}: its process did not start. {why}")


def conversation(session, path, exercise, cases, seed):
    """Have the solution loaded, then try it -> Result. Raises Ended."""
    notes = []
    load = {
        "do": "load",
        "file": f"{session.cage.work}/{path.name}",
        "name": exercise.source.__name__,
        "write": list(exercise.write),
        "model": worksheet("", parts_of([exercise])),
    }
    with captured(notes) as output:
        about, _ = session.ask(load, Writer())
        if about.get("problem") and not about.get("absent"):
            return untried(exercise, cases, seed, str(about["problem"])[:2000], output.getvalue())
    solution = None if about.get("absent") else remote_solution(session, exercise, about)
    if solution is None and about.get("problem"):
        return untried(exercise, cases, seed, str(about["problem"])[:2000], output.getvalue())
    result = run(exercise, solution, cases, seed)
    return replace(result, output=output.getvalue() + result.output)
