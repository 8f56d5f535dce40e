"""A request to judge a solution, plain data, and the verdict on it. This is what the process of its own does; see process.py."""

import contextlib
import sys

from minigrad.coursework.exercises import ALL, find
from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.judge import guard
from minigrad.coursework.judge.runner import attempt, untried
from minigrad.coursework.judge.verdict import verdict_of


def judge(request):
    """The verdict on a request, a dict of JSON types:

    impl         where the solution is: what `load` takes
    exercise     its id
    cases        names of public cases; missing or None: all of them
    seed         of the numbers
    again        the command that repeats a case ("")
    import_path  folders where modules are found besides sys.path ([])
    secret       the seed of the hidden cases, which are tried too; missing or None: no hidden cases
    guarded      whether `guard` refuses what a graded solution may not use (False)
    forbidden    imports that it refuses besides the usual ones (())
    memory_limit bytes of address space, or None for no limit. It holds for the rest of the process

    Raises ValueError for an unknown exercise, NoSuchImpl."""
    sys.path += request.get("import_path", [])
    exercise = find([request["exercise"]], ALL)[0]
    cases = [case for case in exercise.cases if request.get("cases") is None or case.name in request["cases"]]
    if request.get("secret") is not None:
        cases += hidden_cases(exercise, request["secret"])
    if request.get("memory_limit"):
        limit_memory(request["memory_limit"])
    impl, seed = request["impl"], request["seed"]
    guarded = guard.watching(exercise, impl, request.get("forbidden", ())) if request.get("guarded") else contextlib.nullcontext()
    with guarded as refused:
        result = untried(exercise, cases, seed, refused) if refused else attempt(impl, exercise, cases, seed)
    return verdict_of(exercise, result, cases, request.get("again", ""))


def limit_memory(size):
    """Limit the address space of this process to so many bytes, where the system can."""
    try:
        import resource  # missing on Windows, which has no such limit
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):  # macOS refuses limits below what it maps into every process
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
