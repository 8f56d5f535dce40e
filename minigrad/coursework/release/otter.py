"""A homework for otter: NAME.ipynb, the master notebook for `otter assign`, which makes the students' and the autograder from it; and what
only the autograder gets: this project's files, and NAME.ini, from which the hidden tests have the seed."""

from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.release.archive import archive_files
from minigrad.coursework.release.files import write, write_worksheets
from minigrad.coursework.release.notebooks import as_text, by_source, cell, cell_id, class_text, heading, introduction, names_asked


def write_system(homework, folder):
    """Write the master notebook, the files of blanks that it hands out, and those for the autograder."""
    own = {name: content for name, content in archive_files(homework).items() if name.startswith("minigrad/")}
    own[f"{homework.name}.ini"] = homework.path.read_bytes()
    for name, content in own.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    handed_out, kept = ("\n".join(f"  - {name}" for name in names) for names in ([f"{group}.py" for group in homework.groups], own))
    config = f"# ASSIGNMENT CONFIG\nname: {homework.name}\ntests:\n  ok_format: false\n"
    config += f"files:\n{handed_out}\nautograder_files:\n{kept}\nrequirements:\n  - numpy>=2.0\n  - threadpoolctl>=3.5\n"
    cells = [cell("raw", "config", config), cell("markdown", "title", heading(homework))]
    for source, exercises in by_source(homework.exercises).items():
        cells += question(homework, source, exercises)
    write(folder / f"{homework.name}.ipynb", as_text(cells))
    write_worksheets(homework, folder)


def question(homework, source, exercises):
    """The cells of one class: otter reads the raw ones."""
    id = cell_id(exercises)
    tests = [
        cell("code", f"{cell_id([exercise])}-{name.replace('_', '-')}", text)
        for exercise in exercises
        for name, text in tests_of(homework, exercise).items()
    ]
    return [
        cell("raw", f"{id}-question", f"# BEGIN QUESTION\nname: {id}"),
        cell("markdown", f"{id}-text", introduction(exercises)),
        cell("raw", f"{id}-begin", "# BEGIN SOLUTION"),
        cell("code", id, class_text(source, exercises, "markers", names_asked(homework))),
        cell("raw", f"{id}-end", "# END SOLUTION"),
        cell("raw", f"{id}-tests", "# BEGIN TESTS"),
        *tests,
        cell("raw", f"{id}-tests-end", "# END TESTS"),
        cell("raw", f"{id}-question-end", "# END QUESTION"),
    ]


def tests_of(homework, exercise):
    """name -> the text of a cell that tests an exercise. "public" tries the class that otter hands over, and gives no points; those that
    students do not see ask the judge outside about the notebook's file, and share the points as the cases' weights do.

    otter calls a test function with the class, by the name of its argument; what it needs it must import itself."""
    name, file = exercise.source.__name__, f"{homework.name}.ini"
    tests = {"public": test_text(exercise, "public", 0, name, f'check("{exercise.id}", {name}, graded=True)')}
    for number, points in points_of_cases(homework, exercise).items():
        label, more = ("hidden", "") if number is None else (f"hidden_{number + 1}", f", case={number}")
        call = f'check_file("{exercise.id}", "{file}"{more})'
        tests[label] = test_text(exercise, label, points, "", call)
    return tests


def points_of_cases(homework, exercise):
    """index of a case -> its share of the exercise's points; {None: all of them} where they are not divided."""
    total = homework.points[exercise.id]
    if not homework.partial:
        return {None: total}
    weights = [case.weight for case in exercise.cases + hidden_cases(exercise, homework.seed)]
    points = [round(total * weight / sum(weights), 4) for weight in weights[:-1]]
    return dict(enumerate([*points, round(total - sum(points), 4)]))


def test_text(exercise, label, points, argument, call):
    return (
        f'""" # BEGIN TEST CONFIG\npoints: {points:g}\nhidden: {"false" if label == "public" else "true"}\n""" # END TEST CONFIG\n'
        f"def test_{exercise.id.replace('.', '_')}_{label}({argument}):\n"
        f"    from minigrad.coursework import {call.partition('(')[0]}\n\n"
        f"    {call}\n"
    )
