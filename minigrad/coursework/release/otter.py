"""A homework for otter: NAME.ipynb, the master notebook for `otter assign`, which makes the students' and the autograder from it."""

from minigrad.coursework.release.files import write, write_worksheets
from minigrad.coursework.release.notebooks import as_text, by_source, cell, cell_id, class_text, introduction


def write_system(homework, folder):
    """Write the master notebook, and the files of blanks that it hands out."""
    files = "\n".join(f"  - {group}.py" for group in homework.groups)
    config = f"# ASSIGNMENT CONFIG\nname: {homework.name}\ntests:\n  ok_format: false\nfiles:\n{files}\n"
    cells = [cell("raw", "config", config), cell("markdown", "title", f"# {homework.title}")]
    for source, exercises in by_source(homework.exercises).items():
        cells += question(homework, source, exercises)
    write(folder / f"{homework.name}.ipynb", as_text(cells))
    write_worksheets(homework, folder)


def question(homework, source, exercises):
    """The cells of one class: otter reads the raw ones."""
    id, points = cell_id(exercises), sum(homework.points[e.id] for e in exercises)
    tests = [
        cell("code", f"{cell_id([exercise])}-{'public' if secret is None else 'hidden'}", test_text(homework, exercise, secret))
        for exercise in exercises
        for secret in (None, homework.seed)
    ]
    return [
        cell("raw", f"{id}-question", f"# BEGIN QUESTION\nname: {id}\npoints: {points:g}"),
        cell("markdown", f"{id}-text", introduction(exercises)),
        cell("raw", f"{id}-begin", "# BEGIN SOLUTION"),
        cell("code", id, class_text(source, exercises, "markers")),
        cell("raw", f"{id}-end", "# END SOLUTION"),
        cell("raw", f"{id}-tests", "# BEGIN TESTS"),
        *tests,
        cell("raw", f"{id}-tests-end", "# END TESTS"),
        cell("raw", f"{id}-question-end", "# END QUESTION"),
    ]


def test_text(homework, exercise, secret):
    """The cell that tests an exercise, with half of its points. secret: None for the public cases, else the seed of the hidden ones.

    otter calls the test function with the class, by the name of its argument; what it needs it must import itself."""
    name, label = exercise.source.__name__, exercise.id.replace(".", "_")
    more = "" if secret is None else f', hidden={secret}, feedback="{homework.feedback}"'
    points = homework.points[exercise.id] / 2
    return (
        f'""" # BEGIN TEST CONFIG\npoints: {points:g}\nhidden: {"false" if secret is None else "true"}\n""" # END TEST CONFIG\n'
        f"def test_{label}_{'public' if secret is None else 'hidden'}({name}):\n"
        f"    from minigrad.coursework import check\n\n"
        f'    check("{exercise.id}", {name}, graded=True{more})\n'
    )
