"""`check_file` and `score_file`, for cells that nbgrader and otter run: the notebook is judged from its file, as `grade` does it.

These systems run students' code in the process that runs the cells. So a cell knows the name of the homework's file and no more: neither
the seed nor a hidden case is in a process that a student's code shares, in a cell's text, or in what is printed. What is decided there lies
in grade/one_file.py."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from minigrad.coursework.judge.ending import end, started
from minigrad.coursework.notebook import CheckFailed

HOME = str(Path(__file__).resolve().parents[2])  # the folder that holds the package
CHILD = "import sys; sys.path.insert(0, sys.argv.pop(1)); from minigrad.coursework.grade.one_file import main; main()"
JUDGED = {}  # (id, the notebook's bytes) -> what was said about it


def score_file(id, homework):
    """The points that this exercise of the notebook earns, a float; prints what the student may see. As the last line of a cell it is what
    nbgrader takes for the grade.

    homework: the name of the homework's file, which lies in the notebook's folder or in one above it. Raises CheckFailed if it does not, or
    if there is no notebook."""
    judged = judged_notebook(id, homework)
    print(judged["output"])
    return float(judged["score"])


def check_file(id, homework, case=None):
    """Raise CheckFailed, with what the student may see, unless this exercise of the notebook passes. case: the index of the only case that
    counts, public ones first. homework: as for `score_file`."""
    judged = judged_notebook(id, homework)
    passed, told = (judged["status"] == "passed", judged["output"]) if case is None else judged["cases"][case]
    if not passed:
        raise CheckFailed(f"{id}: {told or 'wrong'}") from None


def judged_notebook(id, homework):
    """What grade/one_file.py says about the notebook in this folder, a dict. Raises CheckFailed."""
    notebook, file = notebook_in(Path.cwd(), homework), file_above(Path.cwd(), homework)
    key = id, notebook.read_bytes()
    if key not in JUDGED:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", CHILD, HOME, str(notebook), str(file), id]
            process = started(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL)
            try:
                process.wait()
            finally:
                end(process)
            out.seek(0)
            line = out.read().decode("utf-8", "replace").rstrip().rpartition("\n")[2]
        try:
            JUDGED[key] = json.loads(line)
        except ValueError:
            raise CheckFailed(f"{id}: there is no verdict on {notebook.name}") from None
    if "error" in JUDGED[key]:
        raise CheckFailed(JUDGED[key]["error"])
    return JUDGED[key]


def notebook_in(folder, homework):
    """The notebook that is graded: the one that is called as the homework, or else the only one. Raises CheckFailed."""
    found = sorted(folder.glob("*.ipynb"))
    found = [path for path in found if path.stem == Path(homework).stem] or found
    if len(found) != 1:
        raise CheckFailed(f"there is no notebook {Path(homework).stem}.ipynb in {folder}")
    return found[0]


def file_above(folder, name):
    """The file of this name in a folder or one above it. Raises CheckFailed."""
    for place in (folder, *folder.parents):
        if (place / name).is_file():
            return place / name
    raise CheckFailed(f"there is no {name} in {folder} or a folder above it; the homework's release has it")
