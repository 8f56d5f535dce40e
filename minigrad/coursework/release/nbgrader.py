"""A homework for nbgrader: source/NAME/NAME.ipynb, with solutions between markers, and points in the metadata of the cells."""

from minigrad.coursework.release.files import write
from minigrad.coursework.release.notebooks import as_text, by_source, cell, cell_id, class_text, introduction


def write_system(homework, folder):
    """Write what nbgrader's source folder holds."""
    cells = [cell("markdown", "title", f"# {homework.title}", metadata("title", locked=True))]
    for source, exercises in by_source(homework.exercises).items():
        id = cell_id(exercises)
        cells.append(cell("markdown", f"{id}-text", introduction(exercises), metadata(f"{id}-text", locked=True)))
        cells.append(cell("code", id, class_text(source, exercises, "markers"), metadata(id, solution=True)))
        for exercise in exercises:
            test, points = f"{cell_id([exercise])}-check", homework.points[exercise.id]
            cells.append(cell("code", test, test_text(homework, exercise), metadata(test, locked=True, points=points)))
    write(folder / "source" / homework.name / f"{homework.name}.ipynb", as_text(cells))


def metadata(id, solution=False, locked=False, points=None):
    """A cell's metadata. solution: the student writes in it; locked: it may not be changed; points: what it gives, if it is a test."""
    known = {"schema_version": 3, "grade_id": id, "grade": points is not None, "solution": solution, "locked": locked, "task": False}
    return {"nbgrader": known if points is None else known | {"points": points}}


def test_text(homework, exercise):
    """The cell that tests an exercise: public cases, then those that nbgrader hides.

    nbgrader gives no points for a cell that writes to stderr, and takes the value of its last line, if it is a number, for the points.
    `check` and `score` print to stdout alone; `check` returns None, `score` the points."""
    name, points = exercise.source.__name__, homework.points[exercise.id]
    if homework.partial:
        function, public = "score", f'"{exercise.id}", {name}, points={points:g}'
        hidden = f"hidden={homework.seed}"
    else:
        function, public = "check", f'"{exercise.id}", {name}, graded=True'
        hidden = f'hidden={homework.seed}, feedback="{homework.feedback}"'
    lines = [
        f"from minigrad.coursework import {function}",
        "",
        f"{function}({public})",
        "### BEGIN HIDDEN TESTS",
        f"{function}({public}, {hidden})",
        "### END HIDDEN TESTS",
    ]
    return "\n".join(lines)
