"""From a homework to what students get and what the teacher keeps; and the proof that the one holds nothing of the other."""

import ast
import csv
import importlib.metadata
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from minigrad.coursework.exercises import hidden
from minigrad.coursework.homework import HomeworkError, read_homework
from minigrad.coursework.runner import run
from minigrad.coursework.solutions import attempt, heading, parts_of
from minigrad.coursework.source import definitions, file_text, functions_in, import_lines, only_blank, plant

KINDS = (".py", ".ipynb", ".md")  # what students get
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".whl")
REFUSED = ("__pycache__", ".ipynb_checkpoints", ".git", ".gitignore", ".gitattributes", ".hg", ".pytest_cache")
MARKERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS")
LONG = 25  # characters of a line of a solution that are no accident
ROOT = Path(__file__).resolve().parents[2]


def release(ini, out, forms=()):
    """Write student/, instructor/ and the forms asked for into a new folder -> lines that say what there is.

    Raises HomeworkError for a bad homework, for a folder that is not empty, and when the proof fails; then nothing is left behind."""
    homework, out = read_homework(ini), Path(out)
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
        for form in dict.fromkeys(forms):
            FORMS[form](homework, building)
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
        *(f"{out / form}: for {form}" for form in dict.fromkeys(forms)),
        "The release is proved: students get no solution, no marker, no hidden case; all they get is not started.",
    ]


# ---- what students get


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def write_student(homework, folder):
    for group, exercises in homework.groups.items():
        write(folder / f"{group}.py", file_text(heading(exercises, "."), parts_of(exercises)))
    write(folder / "homework.ipynb", notebook_text(homework, "blank"))
    write(folder / "README.md", readme(homework))


def readme(homework):
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


# ---- notebooks


def cell(kind, id, source, metadata=None):
    made = {"cell_type": kind, "id": id[:64], "metadata": metadata or {}, "source": source.strip("\n").splitlines(keepends=True)}
    return made | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def as_text(cells):
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def sources_of(exercises):
    """source -> its exercises, in order."""
    found = {}
    for exercise in exercises:
        found.setdefault(exercise.source, []).append(exercise)
    return found


def cell_id(exercises):
    """conv2d-backward; conv2d-forward-backward."""
    words = [word for exercise in exercises for word in exercise.id.replace("_", "-").split(".")]
    return "-".join(dict.fromkeys(words))


def class_text(source, exercises, form):
    """A cell that holds all that its class needs: imports and definitions."""
    functions = dict(parts_of(exercises))[source]
    return "\n".join(import_lines([source])) + "\n\n\n" + definitions(source, functions, form).rstrip()


def prose(exercises):
    lines = [f"**{e.id}** {e.title} ({e.minutes} minutes)" for e in exercises]
    return "\n\n".join([*lines, f"`python -m minigrad.coursework explain {exercises[0].group}` derives what is wanted."])


def check_text(exercise):
    return f'from minigrad.coursework import check\n\ncheck("{exercise.id}", {exercise.source.__name__})'


def notebook_text(homework, form):
    """The notebook of a homework, its exercises blank or solved."""
    due = f"\n\nDue: {homework.due}" if homework.due else ""
    cells = [cell("markdown", "title", f"# {homework.title}{due}\n\nRun a cell with Shift and Enter. Below each class a cell checks it.")]
    for source, exercises in sources_of(homework.exercises).items():
        id = cell_id(exercises)
        cells.append(cell("markdown", f"{id}-text", prose(exercises)))
        cells.append(cell("code", id, class_text(source, exercises, form)))
        cells += [cell("code", f"{cell_id([exercise])}-check", check_text(exercise)) for exercise in exercises]
    return as_text(cells)


# ---- what the teacher keeps


def write_instructor(homework, folder):
    for group, exercises in homework.groups.items():
        write(folder / "solutions" / f"{group}.py", file_text(heading(exercises, "."), parts_of(exercises), "solution"))
    write(folder / "homework.ipynb", notebook_text(homework, "solution"))
    shutil.copy(homework.path, folder / homework.path.name)
    write(folder / "hidden.json", json.dumps(hidden_cases(homework), indent=1, default=plain_data) + "\n")
    rows = []
    for exercise in homework.exercises:
        result = run(exercise, plant(exercise.source), exercise.cases + hidden(exercise, homework.seed))
        if result.status != "passes":
            raise HomeworkError(f"the model of {exercise.id} does not pass: {result.cause} Choose another seed in {homework.path}")
        rows.append((exercise.id, f"{homework.points[exercise.id]:g}", f"{homework.points[exercise.id]:g}", result.status))
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("exercise", "earned", "possible", "status"), *rows])
    write(folder / "model.csv", table.getvalue())


def hidden_cases(homework):
    return {exercise.id: [asdict(case) for case in hidden(exercise, homework.seed)] for exercise in homework.exercises}


def plain_data(value):
    return value.tolist() if isinstance(value, np.ndarray) else str(value)


# ---- nbgrader, otter


def nbgrader(id, grade=False, solution=False, locked=False, **more):
    """A cell's metadata. grade: it gives points; solution: the student writes in it; locked: it may not be changed."""
    known = {"schema_version": 3, "grade_id": id, "grade": grade, "solution": solution, "locked": locked, "task": False}
    return {"nbgrader": known | more}


def nbgrader_test(homework, exercise):
    """Public cases, then what nbgrader hides. Its output is stdout alone, and its value None, or the points."""
    name, seed = exercise.source.__name__, homework.seed
    points = homework.points[exercise.id]
    if homework.partial:
        lines = [
            "from minigrad.coursework import score",
            "",
            f'score("{exercise.id}", {name}, points={points:g})',
            "### BEGIN HIDDEN TESTS",
            f'score("{exercise.id}", {name}, points={points:g}, hidden={seed})',
            "### END HIDDEN TESTS",
        ]
    else:
        lines = [
            "from minigrad.coursework import check",
            "",
            f'check("{exercise.id}", {name}, graded=True)',
            "### BEGIN HIDDEN TESTS",
            f'check("{exercise.id}", {name}, graded=True, hidden={seed}, feedback="{homework.feedback}")',
            "### END HIDDEN TESTS",
        ]
    return "\n".join(lines)


def write_nbgrader(homework, folder):
    """source/NAME/NAME.ipynb, as nbgrader's source folder holds it: solutions between markers, points in the metadata."""
    cells = [cell("markdown", "title", f"# {homework.title}", nbgrader("title", locked=True))]
    for source, exercises in sources_of(homework.exercises).items():
        id = cell_id(exercises)
        cells.append(cell("markdown", f"{id}-text", prose(exercises), nbgrader(f"{id}-text", locked=True)))
        cells.append(cell("code", id, class_text(source, exercises, "markers"), nbgrader(id, solution=True)))
        for exercise in exercises:
            test, points = f"{cell_id([exercise])}-check", homework.points[exercise.id]
            cells.append(cell("code", test, nbgrader_test(homework, exercise), nbgrader(test, grade=True, locked=True, points=points)))
    write(folder / "nbgrader" / "source" / homework.name / f"{homework.name}.ipynb", as_text(cells))


def otter_test(homework, exercise, secret):
    """A test function takes the class by its name and imports what it needs inside."""
    name, label = exercise.source.__name__, exercise.id.replace(".", "_")
    more = "" if secret is None else f', hidden={secret}, feedback="{homework.feedback}"'
    points = homework.points[exercise.id] / 2
    return (
        f'""" # BEGIN TEST CONFIG\npoints: {points:g}\nhidden: {"false" if secret is None else "true"}\n""" # END TEST CONFIG\n'
        f"def test_{label}_{'public' if secret is None else 'hidden'}({name}):\n"
        f"    from minigrad.coursework import check\n\n"
        f'    check("{exercise.id}", {name}, graded=True{more})\n'
    )


def write_otter(homework, folder):
    """NAME.ipynb, the master notebook for `otter assign`, which makes the students' and the autograder from it."""
    files = "\n".join(f"  - {group}.py" for group in homework.groups)
    config = f"# ASSIGNMENT CONFIG\nname: {homework.name}\ntests:\n  ok_format: false\nfiles:\n{files}\n"
    cells = [cell("raw", "config", config), cell("markdown", "title", f"# {homework.title}")]
    for source, exercises in sources_of(homework.exercises).items():
        id, points = cell_id(exercises), sum(homework.points[e.id] for e in exercises)
        cells.append(cell("raw", f"{id}-question", f"# BEGIN QUESTION\nname: {id}\npoints: {points:g}"))
        cells.append(cell("markdown", f"{id}-text", prose(exercises)))
        cells.append(cell("raw", f"{id}-begin", "# BEGIN SOLUTION"))
        cells.append(cell("code", id, class_text(source, exercises, "markers")))
        cells.append(cell("raw", f"{id}-end", "# END SOLUTION"))
        cells.append(cell("raw", f"{id}-tests", "# BEGIN TESTS"))
        for exercise in exercises:
            for secret in (None, homework.seed):
                test = f"{cell_id([exercise])}-{'public' if secret is None else 'hidden'}"
                cells.append(cell("code", test, otter_test(homework, exercise, secret)))
        cells.append(cell("raw", f"{id}-tests-end", "# END TESTS"))
        cells.append(cell("raw", f"{id}-question-end", "# END QUESTION"))
    write(folder / "otter" / f"{homework.name}.ipynb", as_text(cells))
    for group, exercises in homework.groups.items():
        write(folder / "otter" / f"{group}.py", file_text(heading(exercises, "."), parts_of(exercises)))


# ---- Gradescope, Autolab: our package and the homework, packed; a script that grades one submission


def package_files():
    """(name in the archive, path) of what grading needs: the package's Python files. No data."""
    found = [(f"minigrad/{path.relative_to(ROOT / 'minigrad').as_posix()}", path) for path in (ROOT / "minigrad").rglob("*.py")]
    found += [("alexnet.py", ROOT / "alexnet.py")] if (ROOT / "alexnet.py").exists() else []
    return sorted(found)


def requirements():
    """The versions with which the model got full marks."""
    lines = []
    for name in ("numpy", "threadpoolctl"):
        try:
            lines.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(name)
    return "\n".join(lines) + "\n"


GRADESCOPE_SETUP = """\
#!/usr/bin/env bash
# Runs once, when the image is built; grading itself needs no network.
set -euo pipefail
apt-get install -y python3 python3-pip python3-venv
python3 -m venv /autograder/venv
/autograder/venv/bin/pip install -r /autograder/source/requirements.txt
"""

GRADESCOPE_RUN = """\
#!/usr/bin/env bash
set -euo pipefail
cd /autograder/source
/autograder/venv/bin/python -m minigrad.coursework grade /autograder/submission --homework homework.ini \\
    --for gradescope --json /autograder/results/results.json
"""

AUTOLAB_MAKEFILE = """\
all:
\ttar -xf autograde.tar
\tcd autograde && python3 -m minigrad.coursework grade ../handin --homework homework.ini --for autolab
"""


def scripts(homework, more):
    """Everything a grading archive holds: name -> bytes."""
    files = {name: path.read_bytes() for name, path in package_files()}
    files |= {"homework.ini": homework.path.read_bytes(), "requirements.txt": requirements().encode()}
    return files | {name: text.encode() for name, text in more.items()}


def write_gradescope(homework, folder):
    """autograder.zip, to be uploaded as it is."""
    target = folder / "gradescope"
    target.mkdir()
    with zipfile.ZipFile(target / "autograder.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in scripts(homework, {"setup.sh": GRADESCOPE_SETUP, "run_autograder": GRADESCOPE_RUN}).items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o755 if name in ("setup.sh", "run_autograder") else 0o644) << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)


def write_autolab(homework, folder):
    """autograde.tar and autograde-Makefile, as a lab of Autolab has them."""
    target = folder / "autolab"
    target.mkdir()
    with tarfile.open(target / "autograde.tar", "w") as archive:
        for name, content in scripts(homework, {}).items():
            entry = tarfile.TarInfo(f"autograde/{name}")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    write(target / "autograde-Makefile", AUTOLAB_MAKEFILE)


FORMS = {"nbgrader": write_nbgrader, "otter": write_otter, "gradescope": write_gradescope, "autolab": write_autolab}

# ---- the proof


def prove(folder, homework):
    """Why this folder must not be given to students: a list of sentences, empty if it may."""
    problems = []
    secrets = secret_lines(homework.exercises)
    cases = {normalised(json.dumps(rows, default=plain_data)) for rows in hidden_cases(homework).values()}
    for path in sorted(Path(folder).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if any(part in REFUSED or part.startswith(".git") for part in path.relative_to(folder).parts):
            problems.append(f"{name} does not belong into a release")
        elif path.is_file():
            problems += [f"{name}: {words}" for words in look_at(path.name, path.read_bytes(), secrets, cases, homework)]
            if path.suffix not in KINDS + ARCHIVES:
                problems.append(f"{name} is of a kind that no release holds ({', '.join(KINDS)})")
    return problems or not_blank(folder, homework)


def look_at(name, content, secrets, cases, homework):
    """What is wrong with one file. Archives are opened."""
    suffix = Path(name).suffix
    if suffix in (".pyc", ".so", ".pyd", ".dll"):
        return ["compiled code, which may hold solutions"]
    if suffix in ARCHIVES:
        return [words for inner, data in members(name, content) for words in within(inner, data, secrets, cases, homework)]
    text, problems = content.decode("utf-8", "replace"), []
    blanks = []
    if suffix == ".ipynb":
        try:
            notebook = json.loads(text)
            problems += notebook_problems(notebook)
            sources = ["".join(c["source"]) for c in notebook["cells"]]
            blanks = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
            outputs = json.dumps([c.get("outputs", []) for c in notebook["cells"]], ensure_ascii=False)
            text = "\n".join([*sources, outputs.replace("\\n", "\n"), json.dumps(notebook.get("metadata", {}))])
        except (ValueError, KeyError, TypeError):
            return ["no notebook that can be read"]
    elif suffix == ".py":
        blanks = [text]
    problems += [f"the marker {marker!r} is left" for marker in MARKERS if marker in text]
    lines = {normalised(line) for line in text.splitlines()}
    found = sorted(line for line in secrets if line in lines or any(line in other for other in lines if len(other) > len(line)))
    problems += [f"a line of a solution: {found[0][:60]}"] if found else []
    problems += ["the hidden seed"] if re.search(rf"(?<!\d){homework.seed}(?!\d)", text) else []
    whole = normalised(text)
    problems += ["hidden cases"] if "hidden-1" in text or any(case in whole for case in cases) else []
    return problems + [words for source in blanks for words in more_than_blank(source, homework)]


def within(inner, data, secrets, cases, homework):
    parts = Path(inner).parts
    if any(part in REFUSED or part.startswith(".git") for part in parts):
        return [f"{inner} does not belong into a release"]
    return [f"{inner}: {words}" for words in look_at(parts[-1], data, secrets, cases, homework)] if parts else []


def members(name, content):
    """(name, bytes) of the files in an archive; one that cannot be opened counts as compiled code."""
    try:
        if name.endswith((".zip", ".whl")):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return [(info.filename, archive.read(info)) for info in archive.infolist() if not info.is_dir()]
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            return [(info.name, archive.extractfile(info).read()) for info in archive.getmembers() if info.isfile()]
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError):
        return [("(unreadable).so", b"")]


def notebook_problems(notebook):
    problems = []
    paired = {"jupytext", "nbconvert"} & set(notebook.get("metadata", {}))
    problems += [f"metadata of {sorted(paired)[0]}, which may write solutions beside it"] if paired else []
    for c in notebook["cells"]:
        if c["cell_type"] == "code" and (c.get("outputs") or c.get("execution_count")):
            problems.append(f"the cell {c.get('id', '')} has outputs")
    return problems


def normalised(line):
    """A line without comment marks, quotes and spaces that change nothing."""
    return re.sub(r"\s+", "", line.strip().lstrip("#").rstrip(","))


def secret_lines(exercises):
    """The lines of the solutions, normalised, that are long enough to be no accident and do not stand in what is given."""
    secret, given = set(), set()
    for source, functions in parts_of(exercises):
        secret |= {normalised(line) for line in definitions(source, functions, "solution").splitlines()}
        given |= {normalised(line) for line in definitions(source, functions, "blank").splitlines()}
    return {line for line in secret - given if len(line) >= LONG}


def more_than_blank(source, homework):
    """Functions of the homework in a text that hold more than a docstring and `raise`."""
    try:
        tree = ast.parse("\n".join(line for line in source.splitlines() if not line.startswith(("%", "!"))))
    except SyntaxError as error:
        return [f"line {error.lineno} is no Python"]
    found = []
    for exercise in homework.exercises:
        name = exercise.source.__name__
        if isinstance(exercise.source, type):
            classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
            nodes = functions_in(classes[0]) if classes else {}
        else:
            nodes = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        found += [f"{exercise.id} is more than a blank" for part in exercise.write if part in nodes and not only_blank(nodes[part])]
    return found


def not_blank(folder, homework):
    """What the public suite says of the students' files other than "not started"."""
    problems = []
    for exercise in homework.exercises:
        if not (Path(folder) / f"{exercise.group}.py").exists():
            problems.append(f"{exercise.group}.py is missing")
            continue
        result = attempt(str(folder), exercise)
        if result.status != "not started":
            problems.append(f"{exercise.id} should be not started but is {result.status}{result.cause and ': '}{result.cause}")
    return problems
