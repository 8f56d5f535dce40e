"""Grading one exercise of one notebook, in a process of its own that from_file.py starts from within another system."""

import contextlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from minigrad.coursework.exercises import ALL, find
from minigrad.coursework.feedback import feedback_on
from minigrad.coursework.grade.judging import grade_file, in_homework
from minigrad.coursework.grade.results import exercise_feedback
from minigrad.coursework.homework import HomeworkError, read_homework
from minigrad.coursework.judge.cage import sandbox_for
from minigrad.coursework.judge.ending import adopt_orphans


def judged(notebook, file, id):
    """What the student may see of an exercise, as Gradescope has it, and "cases": of each [whether it passes, what the student may see]; or
    {"error": a sentence}.

    notebook: its path; modules beside it may be imported. file: the homework's."""
    try:
        homework, exercise = read_homework(file), find([id], ALL)[0]
        if id not in homework.points:
            raise HomeworkError(f"{Path(file).name} has no exercise {id}")
    except (HomeworkError, ValueError) as error:
        return {"error": str(error)}
    with tempfile.TemporaryDirectory() as folder, adopt_orphans():
        for path in (notebook, *notebook.parent.glob("*.py")):  # and nothing else: the homework's file may lie beside them
            with contextlib.suppress(OSError):
                shutil.copy(path, folder, follow_symlinks=False)
        verdict = grade_file(Path(folder, notebook.name), exercise, homework, sandbox_for("auto"))
    test = exercise_feedback(in_homework(verdict, exercise, homework), homework, reveal=False)
    hidden = [i >= len(exercise.cases) for i in range(len(verdict["cases"]))]
    told = [feedback_on(case, homework.feedback, is_hidden) for case, is_hidden in zip(verdict["cases"], hidden, strict=True)]
    return test | {"cases": [[case["status"] == "passes", text] for case, text in zip(verdict["cases"], told, strict=True)]}


def main():
    """sys.argv: notebook, homework's file, id. The last line on stdout is what `judged` says, as JSON."""
    notebook, file, id = sys.argv[1:]
    line = json.dumps(judged(Path(notebook), file, id))
    sys.stdout.write(f"\n{line}\n")
    sys.stdout.flush()
    os._exit(0)
