"""Judging a solution in a process of its own, so that one that hangs, crashes or ends the process costs nothing but its own points."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from minigrad.coursework.judge import answer
from minigrad.coursework.judge.ending import TooMuch, end, started, wait
from minigrad.coursework.judge.runner import run, untried
from minigrad.coursework.judge.verdict import verdict_of
from minigrad.coursework.source import plant

TIME_LIMIT = 20  # seconds for a solution; more only where the model solution itself is slow
CHILD = Path(__file__).with_name("child.py")
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
TIMING = threading.Lock()


def judge_in_process(request, exercise, cases, time_limit=TIME_LIMIT):
    """Judge a solution in a fresh process -> its verdict. A solution that hangs, crashes or ends the process is wrong, with a sentence.

    request: what `minigrad.coursework.judge.request.judge` takes. exercise, cases: those that it names. time_limit: seconds; a solution
    has these, or ten times what the model takes, whichever is more. Where it is graded the judge itself keeps it to its time."""
    if request.get("sandbox"):
        request, time_limit = request | {"time_limit": time_limit}, 40 * time_limit + 100
    with Streams(request) as streams:
        process, begin = streams.start(), time.monotonic()
        try:
            try:
                wait(process, time_limit, begin)
            except subprocess.TimeoutExpired:  # the model is timed only now, when it matters
                wait(process, max(time_limit, 10 * seconds_of_model(exercise, request)), begin)
        except subprocess.TimeoutExpired as expired:
            sentence = f"It did not end within {expired.timeout:.0f} seconds: is there an endless loop?"
            return failed_verdict(request, exercise, cases, sentence)
        except TooMuch as error:
            return failed_verdict(request, exercise, cases, str(error))
        finally:
            end(process)
        verdict = answer.verdict_in(streams.beginning(streams.out), exercise, cases)
        last_line = (streams.beginning(streams.err).decode("utf-8", "replace").strip().splitlines() or [""])[-1]
    if verdict is not None:
        return verdict
    how = f"was ended by signal {-process.returncode}" if process.returncode < 0 else f"ended itself with code {process.returncode}"
    last_line = answer.shown(last_line, answer.LONGEST_CAUSE)
    sentence = f"The solution's process {how} before there was a result{': ' + last_line if last_line else ''}."
    return failed_verdict(request, exercise, cases, sentence)


def seconds_of_model(exercise, request):
    """How long the model solution takes with the public cases."""
    with TIMING:  # what is printed meanwhile is captured for the whole process, so one at a time
        begin = time.perf_counter()
        run(exercise, plant(exercise.source), None, request["seed"])
        return time.perf_counter() - begin


class Streams:
    """What a process reads and writes: files, not pipes, for nobody can sit on them, and what is read of them is bounded."""

    def __init__(self, request):
        self.request = request

    def __enter__(self):
        self.files = [tempfile.TemporaryFile() for _ in range(3)]
        self.source, self.out, self.err = self.files
        self.source.write(json.dumps(self.request).encode())
        self.source.seek(0)
        return self

    def __exit__(self, *error):
        for file in self.files:
            file.close()

    def start(self):
        """Start the process that judges, with BLAS on one thread."""
        environment = os.environ | ONE_THREAD | {"PYTHONIOENCODING": "utf-8"}
        return started([sys.executable, str(CHILD)], stdin=self.source, stdout=self.out, stderr=self.err, env=environment)

    def beginning(self, file):
        """What stands in a file, up to the size of the largest answer."""
        file.seek(0)
        return file.read(answer.LARGEST)


def failed_verdict(request, exercise, cases, sentence):
    """The verdict on a solution whose process gave none."""
    return verdict_of(exercise, untried(exercise, cases, request["seed"], sentence), cases, request.get("again", ""))
