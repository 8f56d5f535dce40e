"""A homework for nbgrader: source/NAME/NAME.ipynb, with solutions between markers, and points in the metadata of the cells; and NAME.ini,
from which the hidden tests have the seed, to lie in the course's folder."""

import shutil

from minigrad.coursework.release.files import write
from minigrad.coursework.release.notebooks import as_text, by_source, cell, cell_id, class_text, heading, introduction, names_asked


def write_system(homework, folder):
    """Write what nbgrader's source folder holds, and the homework's file for the folder above it."""
    cells = [cell("markdown", "title", heading(homework), metadata("title", locked=True))]
    for source, exercises in by_source(homework.exercises).items():
        id = cell_id(exercises)
        cells.append(cell("markdown", f"{id}-text", introduction(exercises), metadata(f"{id}-text", locked=True)))
        cells.append(cell("code", id, class_text(source, exercises, "markers", names_asked(homework)), metadata(id, solution=True)))
        for exercise in exercises:
            test, points = f"{cell_id([exercise])}-check", homework.points[exercise.id]
            cells.append(cell("code", test, test_text(homework, exercise), metadata(test, locked=True, points=points)))
    write(folder / "source" / homework.name / f"{homework.name}.ipynb", as_text(cells))
    shutil.copy(homework.path, folder / f"{homework.name}.ini")


def metadata(id, solution=False, locked=False, points=None):
    """A cell's metadata. solution: the student writes in it; locked: it may not be changed; points: what it gives, if it is a test."""
    known = {"schema_version": 3, "grade_id": id, "grade": points is not None, "solution": solution, "locked": locked, "task": False}
    return {"nbgrader": known if points is None else known | {"points": points}}


def test_text(homework, exercise):
    """The cell that tests an exercise: public cases, then, where nbgrader hides it, the judge outside, with all cases.

    nbgrader gives no points for a cell that writes to stderr, and takes the value of its last line, if it is a number, for the points.
    What is called here prints to stdout alone; `check` and `check_file` return None, `score` and `score_file` the points."""
    name, points, file = exercise.source.__name__, homework.points[exercise.id], f"{homework.name}.ini"
    if homework.partial:
        public, function, call = "score", "score_file", f'score("{exercise.id}", {name}, points={points:g})'
    else:
        public, function, call = "check", "check_file", f'check("{exercise.id}", {name}, graded=True)'
    lines = [
        f"from minigrad.coursework import {public}",
        "",
        call,
        "### BEGIN HIDDEN TESTS",
        f"from minigrad.coursework import {function}",
        f'{function}("{exercise.id}", "{file}")',
        "### END HIDDEN TESTS",
    ]
    return "\n".join(lines)
