"""Writes a release: folders for students, for the teacher and for other systems; nothing at all unless the proof succeeds."""

import csv
import io
import json
import os
import shutil
import tempfile
from pathlib import Path

from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.homework import HomeworkError, read_homework
from minigrad.coursework.judge.runner import run
from minigrad.coursework.release import autolab, gradescope, nbgrader, otter
from minigrad.coursework.release.files import hidden_cases_of, plain_data, write, write_worksheets
from minigrad.coursework.release.notebooks import notebook_text
from minigrad.coursework.release.proof import prove
from minigrad.coursework.source import plant

SYSTEMS = {
    "nbgrader": nbgrader.write_system,
    "otter": otter.write_system,
    "gradescope": gradescope.write_system,
    "autolab": autolab.write_system,
}


def release(ini, out, systems=()):
    """Write student/, instructor/ and a folder for each of the systems into a new folder -> lines that say what there is.

    ini: the homework's file. systems: names in SYSTEMS. Raises HomeworkError for a bad homework, for a folder that is not empty, and when
    the proof fails; then nothing is left behind."""
    homework, out, systems = read_homework(ini), Path(out), list(dict.fromkeys(systems))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise HomeworkError(f"{out} exists already, and nothing is overwritten: name a new folder with --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".release-", dir=out.parent))
    except OSError as error:
        raise HomeworkError(f"{out} cannot be written to: {error.strerror}; name another folder with --out") from None
    try:
        write_student(homework, building / "student")
        write_instructor(homework, building / "instructor")
        for system in systems:
            SYSTEMS[system](homework, building / system)
        problems = prove(building / "student", homework)
        if problems:
            raise HomeworkError("the release is refused: " + "; ".join(problems))
        if out.exists():
            out.rmdir()
        building.rename(out)
        os.chmod(out, 0o755)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    total = sum(homework.points.values())
    return [
        f"{out / 'student'}: for students: {', '.join(sorted(path.name for path in (out / 'student').iterdir()))}",
        f"{out / 'instructor'}: for you: solutions, hidden cases; the model gets {total:g} of {total:g} points",
        *(f"{out / system}: for {system}" for system in systems),
        "The release is proved: students get no solution, no marker, no hidden case; all they get is not started.",
    ]


# ---- what students get


def write_student(homework, folder):
    """A file of blanks for each group, a notebook with the same blanks, a README."""
    write_worksheets(homework, folder)
    write(folder / "homework.ipynb", notebook_text(homework, "blank"))
    write(folder / "README.md", readme(homework))


def readme(homework):
    """The README for students."""
    rows = [f"| `{e.id}` | {e.title} | {homework.points[e.id]:g} | {e.minutes} |" for e in homework.exercises]
    groups = " ".join(homework.groups)
    due = f"Due: {homework.due}\n\n" if homework.due else ""
    return (
        f"# {homework.title}\n\n{due}Write what is blank, in the notebook `homework.ipynb` or in the files, and hand in either.\n\n"
        "| exercise | | points | minutes |\n|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "In this folder:\n\n```\n"
        f"python -m minigrad.coursework check {groups} --impl .\n"
        f"python -m minigrad.coursework explain {groups}\n```\n\n"
        "The first says what is right and what is wrong; the second derives what is wanted. Hidden cases, of other shapes and numbers,\n"
        "decide on the points together with the public ones. NumPy is all that is needed, and all that is allowed.\n"
    )


# ---- what the teacher keeps


def write_instructor(homework, folder):
    """Solutions, the homework's file, the hidden cases, and the model's grades. Raises HomeworkError if the model does not pass."""
    write_worksheets(homework, folder / "solutions", "solution")
    write(folder / "homework.ipynb", notebook_text(homework, "solution"))
    shutil.copy(homework.path, folder / homework.path.name)
    write(folder / "hidden.json", json.dumps(hidden_cases_of(homework), indent=1, default=plain_data) + "\n")
    rows = []
    for exercise in homework.exercises:
        result = run(exercise, plant(exercise.source), exercise.cases + hidden_cases(exercise, homework.seed))
        if result.status != "passes":
            raise HomeworkError(f"the model of {exercise.id} does not pass: {result.cause} Choose another seed in {homework.path}")
        rows.append((exercise.id, f"{homework.points[exercise.id]:g}", f"{homework.points[exercise.id]:g}", result.status))
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("exercise", "earned", "possible", "status"), *rows])
    write(folder / "model.csv", table.getvalue())
