"""Writes a release: folders for students, for the teacher and for other systems; nothing at all unless the proof succeeds."""

import csv
import io
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from minigrad.coursework.grade.roster import read_roster
from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.homework import HomeworkError, read_homework
from minigrad.coursework.judge.runner import run
from minigrad.coursework.release import autolab, container, gradescope, nbgrader, otter
from minigrad.coursework.release.address import how_to_install, source_address
from minigrad.coursework.release.files import hidden_cases_of, plain_data, write, write_worksheets
from minigrad.coursework.release.notebooks import notebook_text
from minigrad.coursework.release.proof import prove
from minigrad.coursework.source import plant

SYSTEMS = {
    "nbgrader": nbgrader.write_system,
    "otter": otter.write_system,
    "gradescope": gradescope.write_system,
    "autolab": autolab.write_system,
    "container": container.write_system,
}


def release(ini, out, systems=(), roster=None):
    """Write student/, instructor/ and a folder for each of the systems into a new folder -> lines that say what there is.

    ini: the homework's file. systems: names in SYSTEMS. roster: a .csv file; where the homework has exercises of which each student gets
    one, student/ has a folder for each student, named by id.

    Raises HomeworkError for a bad homework or roster, for a folder that is not empty, and when the proof fails; then
    nothing is left behind."""
    homework, out, systems = read_homework(ini), Path(out), list(dict.fromkeys(systems))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise HomeworkError(f"{out} exists already, and nothing is overwritten: name a new folder with --out")
    people = drawn_for(homework, systems, roster)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".release-", dir=out.parent))
    except OSError as error:
        raise HomeworkError(f"{out} cannot be written to: {error.strerror}; name another folder with --out") from None
    try:
        students = write_students(homework, people, building / "student")
        write_instructor(homework, building / "instructor")
        for system in systems:
            SYSTEMS[system](homework, building / system)
        problems = [problem for folder, own in students for problem in prove(folder, own)]
        if problems:
            raise HomeworkError("the release is refused: " + "; ".join(problems))
        if out.exists():
            out.rmdir()
        building.rename(out)
        os.chmod(out, 0o755)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    names = sorted(path.name for path in (out / "student").iterdir())
    return [
        f"{out / 'student'}: for students: {f'{len(names)} folders, named by id' if people else ', '.join(names)}",
        f"{out / 'instructor'}: for you: solutions, hidden cases; the model passes all {len(homework.points)} exercises",
        *(f"{out / system}: for {system}" for system in systems),
        "The release is proved: students get no solution, no marker, no hidden case; all they get is not started.",
    ]


# ---- what students get


def drawn_for(homework, systems, roster):
    """The ids of the students for whom exercises are drawn; none where everybody gets the same. Raises HomeworkError."""
    if not homework.choices:
        return []
    if others := [system for system in systems if system != "container"]:
        raise HomeworkError(f"{others[0]} gives everybody the same: leave --for out where exercises are drawn for each student")
    if not roster:
        raise HomeworkError("this homework draws exercises for each student: name the class's .csv file with --roster")
    ids = [person.id for person in read_roster(roster)]
    if odd := next((id for id in ids if not re.fullmatch(r"[\w@+-][\w.@+-]*", id)), None):
        raise HomeworkError(f"{roster}: the id {odd!r} cannot be the name of a folder")
    return ids


def write_students(homework, ids, folder):
    """Write student/, or a folder for each id in it -> (folder, the homework that it holds) of those to be proved: one of each kind."""
    if not ids:
        write_student(homework, folder)
        return [(folder, homework)]
    kinds = {}
    for id in ids:
        own = homework.of(id)
        write_student(own, folder / id)
        kinds.setdefault(tuple(own.points), (folder / id, own))
    return list(kinds.values())


def write_student(homework, folder):
    """A file of blanks for each group, a notebook with the same blanks, a README."""
    write_worksheets(homework, folder)
    write(folder / "homework.ipynb", notebook_text(homework, "blank"))
    write(folder / "README.md", readme(homework))


def readme(homework):
    """The README for students."""
    rows = [
        f"| `{e.id}` | {e.title} | {homework.points[e.id]:g}{' (bonus)' * (e.id in homework.bonus)} | {e.minutes} |"
        for e in homework.exercises
    ]
    groups = " ".join(homework.groups)
    due = f"Due: {homework.due}\n\n" if homework.due else ""
    due += f"Each day that begins after it takes {100 * homework.late:g} % of the points off.\n\n" if homework.late else ""
    return (
        f"# {homework.title}\n\n{due}Write what is blank, in the notebook `homework.ipynb` or in the files, and hand in either.\n"
        f"{how_to_install(source_address())}\n\n"
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
