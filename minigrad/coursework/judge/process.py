"""Judging a solution in a process of its own, so that one that hangs, crashes or ends the process costs nothing but its own points."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from minigrad.coursework.judge.runner import run, untried
from minigrad.coursework.judge.verdict import verdict_of
from minigrad.coursework.source import plant

TIME_LIMIT = 20  # seconds for a solution; more only where the model solution itself is slow
CHILD = Path(__file__).with_name("child.py")
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def judge_in_process(request, exercise, cases, time_limit=TIME_LIMIT):
    """Judge a solution in a fresh process -> its verdict. A solution that hangs, crashes or ends the process is wrong, with a sentence.

    request: what `minigrad.coursework.judge.request.judge` takes. exercise, cases: those that it names. time_limit: seconds; a solution
    has these, or ten times what the model takes, whichever is more."""
    process = start()
    try:
        out, err = output_of(process, request, exercise, cases, time_limit)
    except subprocess.TimeoutExpired as expired:
        return failed_verdict(request, exercise, cases, f"It did not end within {expired.timeout:.0f} seconds: is there an endless loop?")
    finally:
        kill(process)
    try:
        return json.loads(out.decode("utf-8").rstrip().rsplit("\n", 1)[-1])
    except (ValueError, UnicodeDecodeError):
        last_line = (err.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
        how = f"was ended by signal {-process.returncode}" if process.returncode < 0 else f"ended itself with code {process.returncode}"
        sentence = f"The solution's process {how} before there was a result{': ' + last_line if last_line else ''}."
        return failed_verdict(request, exercise, cases, sentence)


def failed_verdict(request, exercise, cases, sentence):
    """The verdict on a solution whose process gave none."""
    return verdict_of(exercise, untried(exercise, cases, request["seed"], sentence), cases, request.get("again", ""))


def start():
    """The process, with BLAS on one thread, in a session of its own where there are sessions."""
    return subprocess.Popen(
        [sys.executable, str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | ONE_THREAD | {"PYTHONIOENCODING": "utf-8"},
        start_new_session=os.name == "posix",
    )


def output_of(process, request, exercise, cases, time_limit):
    """What the process writes to stdout and stderr, two bytes objects. Raises TimeoutExpired with the limit that was not met."""
    try:
        return process.communicate(json.dumps(request).encode(), timeout=time_limit)
    except subprocess.TimeoutExpired:
        begin = time.perf_counter()  # the model is timed only now, when it matters
        run(exercise, plant(exercise.source), cases, request["seed"])
        limit = max(time_limit, 10 * (time.perf_counter() - begin))
    try:
        return process.communicate(timeout=max(0.1, limit - time_limit))
    except subprocess.TimeoutExpired:
        raise subprocess.TimeoutExpired(process.args, limit) from None


def kill(process):
    """End a process and all processes of its session, and read the rest of its pipes."""
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass
    process.communicate()
