"""Grading one submission: it is unpacked in one process, each exercise judged in another, with the first file that is more than a blank."""

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

from minigrad.coursework.exercises import ALL, find
from minigrad.coursework.grade import unpacking
from minigrad.coursework.grade.submissions import candidates, mentions
from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.judge.answer import shown
from minigrad.coursework.judge.ending import end, started, wait
from minigrad.coursework.judge.process import judge_in_process
from minigrad.coursework.judge.request import NOT_GRADED
from minigrad.coursework.judge.runner import untried
from minigrad.coursework.judge.verdict import verdict_of

TIME_TO_UNPACK = 60  # seconds
STOP = threading.Event()  # set: no further process is started


class Stopped(Exception):
    """The run is being ended."""


def grade_submission(submission, homework, sandbox, only=None):
    """Verdicts on the exercises of the homework, in its order. sandbox: "bwrap" or "off". only: ids of those that are graded; None: all.

    Beside what a verdict holds, each has "file", the name of the file that counted, or ""; "days_late"; "points", what it earns in this
    homework; and "public", the number of its public cases, which come first. Raises Stopped."""
    verdicts = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        files, problems = unpacked(submission, folder)
        for group, exercises in homework.groups.items():
            found = []
            if files:
                names = {exercise.source.__name__ for exercise in exercises}
                others = [other for other in homework.groups if other != group]
                found = candidates(submission, files, folder, group, names, others, ("homework", homework.name))
            for exercise in exercises:
                if only is None or exercise.id in only:
                    verdict, counted = first_that_counts(found, exercise, homework, sandbox)
                    if (verdict is None or verdict["status"] == "not started") and files:
                        if sentence := drawn_otherwise(exercise, submission, files, folder, homework):
                            verdict, counted = untried_verdict(exercise, homework, sentence, True), None
                    if verdict is None:
                        verdict = untried_verdict(exercise, homework, nothing_found(group, files, problems), bool(problems))
                    verdicts.append(with_points(verdict, counted, submission, exercise, homework))
    return verdicts


def with_points(verdict, counted, submission, exercise, homework):
    """The verdict with what this homework adds. counted: the candidate that counted, or None."""
    times = [counted.time] if counted else [entry.time for entry in submission.entries]
    days = days_late(datetime.fromtimestamp(max(times, default=0)), homework) if submission.submitted is None else 0
    if submission.submitted is not None:
        days = days_late(submission.submitted, homework)
    return in_homework(verdict, exercise, homework, counted.name if counted else "", days)


def in_homework(verdict, exercise, homework, file="", days=0):
    """The verdict with "points", "file", "days_late" and "public". file: the name of the one that counted; days: how many it was late."""
    share = verdict["earned"] / verdict["possible"] if homework.partial else float(verdict["status"] == "passes")
    points = round(share * max(0.0, 1 - homework.late * days) * homework.points[exercise.id], 2)
    return verdict | {"file": file, "days_late": days, "public": len(exercise.cases), "points": points}


def days_late(time, homework):
    """How many days, begun ones counted whole, lie between the homework's end and a time; 0 where it takes nothing off for them."""
    if not homework.late:
        return 0
    return max(0, math.ceil((time.replace(tzinfo=None) - homework.deadline).total_seconds() / 86_400))


# ---- which file counts


def first_that_counts(found, exercise, homework, sandbox):
    """-> (the verdict, its candidate) of the first that is neither blank nor fails as a whole, as a file that cannot be read does; else of
    the first that fails, else of the first. (None, None) if there are none."""
    tried = []
    for candidate in found:
        if STOP.is_set():
            raise Stopped
        verdict = grade_file(candidate.path, exercise, homework, sandbox)
        tried.append((verdict, candidate))
        if verdict["status"] == "passes" or (verdict["status"] == "wrong" and not fails_as_a_whole(verdict)):
            return tried[-1]
    failed = [pair for pair in tried if pair[0]["status"] == "wrong"]
    return (failed or tried or [(None, None)])[0]


def fails_as_a_whole(verdict):
    """Whether all cases say the same: the file is broken, or did not end."""
    return verdict["status"] != "passes" and len({case["cause"] for case in verdict["cases"]}) == 1


def drawn_otherwise(exercise, submission, files, folder, homework):
    """A sentence if there is work on what was drawn for others in place of this exercise, or "": the ids may be another roster's."""
    for id in homework.instead.get(exercise.id, ()):
        (other,) = find([id], ALL)
        names = {other.source.__name__}
        for candidate in candidates(submission, files, folder, other.group, names, (), ()):
            if mentions(candidate.path, names):
                drawn = f"{exercise.id} is drawn for {submission.id or submission.name!r}"
                return f"{NOT_GRADED}: {drawn}, but {candidate.name} is about {id}. Was it released with another --roster?"
    return ""


def nothing_found(group, files, problems):
    """Why there is no file to try, a sentence."""
    if problems:
        return problems[0] + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
    names = ", ".join(shown(name, 60) for _, name, _ in files[:5])
    return f"there is no {group}.py and no notebook" + (f", but {names}" if names else "")


def untried_verdict(exercise, homework, problem, is_wrong):
    """The verdict on an exercise of which there is no file to try. problem: a sentence."""
    cases = exercise.cases + hidden_cases(exercise, homework.seed)
    verdict = verdict_of(exercise, untried(exercise, cases, 0, problem), cases)
    return verdict | {"status": "wrong" if is_wrong else "not started"}


def grade_file(file, exercise, homework, sandbox):
    """The verdict on the exercise that a file holds, its hidden cases included."""
    request = {
        "impl": str(file),
        "exercise": exercise.id,
        "seed": 0,
        "secret": homework.seed,
        "again": f"python -m minigrad.coursework check {exercise.id} --case {{case}} --seed {{seed}}",
        "sandbox": sandbox,
        "forbidden": homework.forbidden,
    }
    return judge_in_process(request, exercise, exercise.cases + hidden_cases(exercise, homework.seed))


# ---- unpacking


def unpacked(submission, folder):
    """Unpack a submission into a folder -> files as `unpack` lists them, and sentences about what was not unpacked."""
    request = {"entries": [[entry.path, entry.file] for entry in submission.entries], "folder": folder}
    done = ask([str(Path(unpacking.__file__))], request, TIME_TO_UNPACK)
    try:
        files = [(i, str(name), str(path)) for i, name, path in done["files"]]
        kept = [file for file in files if 0 <= file[0] < len(submission.entries) and os.path.isfile(os.path.join(folder, file[2]))]
        return kept, [shown(problem, 400) for problem in done["problems"]]
    except (ValueError, KeyError, TypeError):
        names = ", ".join(entry.name for entry in submission.entries)
        return [], [f"{names} cannot be unpacked"]


def ask(command, request, seconds):
    """Run a script of Python's library alone in a process of its own: JSON in, JSON out; None if it gives none. Raises Stopped."""
    if STOP.is_set():
        raise Stopped
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out:
        source.write(json.dumps(request).encode())
        source.seek(0)
        process = started([sys.executable, "-I", "-S", *command], stdin=source, stdout=out, stderr=subprocess.DEVNULL)
        try:
            wait(process, seconds, time.monotonic())
        except subprocess.TimeoutExpired:
            return None
        finally:
            end(process)
        out.seek(0)
        try:
            return json.loads(out.read())
        except ValueError:
            return None
