"""The process in which a solution runs: reads a request from stdin, writes a verdict to stdout. Started as a script by `apart`."""

import contextlib
import json
import os
import sys


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[0] = os.path.dirname(os.path.dirname(here))  # the package's home, not its folder of modules
    request = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    answer = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # whatever a solution writes past Python, and asks for, goes nowhere
        os.dup2(nowhere, stream)
    text = json.dumps(judge(request))
    os.write(answer, b"\n")
    with os.fdopen(answer, "wb") as out:
        out.write(text.encode("utf-8"))
        out.flush()
        os._exit(0)  # threads that a solution has left running do not keep the process


def judge(request):
    """request: place, exercise, cases (names of public ones, or null for all), seed, again, path (where modules are); and for
    grading: secret, guard, forbidden, memory."""
    from minigrad.coursework import guard
    from minigrad.coursework.exercises import find, hidden
    from minigrad.coursework.solutions import attempt, failed, verdict
    from minigrad.coursework.variants import ALL

    sys.path += request.get("path", [])
    exercise = find([request["exercise"]], ALL)[0]
    cases = [case for case in exercise.cases if request.get("cases") is None or case.name in request["cases"]]
    if request.get("secret") is not None:
        cases += hidden(exercise, request["secret"])
    if request.get("memory"):
        limit_memory(request["memory"])
    place, seed = request["place"], request["seed"]
    graded = guard.watching(exercise, place, request.get("forbidden", ())) if request.get("guard") else contextlib.nullcontext()
    with graded as refused:
        result = failed(exercise, cases, seed, refused) if refused else attempt(place, exercise, cases, seed)
    return verdict(exercise, result, cases, request.get("again", ""))


def limit_memory(size):
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


if __name__ == "__main__":
    main()
