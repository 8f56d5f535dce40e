"""The proof that a folder may be given to students: no solution in it, no marker, no hidden case; and all of it is not started."""

import ast
import io
import json
import re
import tarfile
import zipfile
from pathlib import Path

from minigrad.coursework.blanks import functions_in
from minigrad.coursework.judge.caged.blank import only_blank
from minigrad.coursework.judge.runner import attempt
from minigrad.coursework.release.files import hidden_cases_of, plain_data
from minigrad.coursework.worksheets import definitions, parts_of

SUFFIXES = (".py", ".ipynb", ".md")  # what students get
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".whl")
COMPILED = (".pyc", ".so", ".pyd", ".dll")
UNWANTED = ("__pycache__", ".ipynb_checkpoints", ".git", ".gitignore", ".gitattributes", ".hg", ".pytest_cache")
MARKERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS")
LONG = 25  # characters; a shorter line of a solution may stand in a text by accident


def prove(folder, homework):
    """Why this folder must not be given to students: a list of sentences, empty if it may."""
    problems, proof = [], Proof(homework)
    for path in sorted(Path(folder).rglob("*")):
        name = path.relative_to(folder)
        if is_unwanted(name.parts):
            problems.append(f"{name.as_posix()} does not belong in a release")
        elif path.is_file():
            problems += [f"{name.as_posix()}: {problem}" for problem in proof.file_problems(path.name, path.read_bytes())]
            if path.suffix not in SUFFIXES + ARCHIVES:
                problems.append(f"{name.as_posix()} is of a kind that no release holds ({', '.join(SUFFIXES)})")
    return problems or not_blank(folder, homework)


def is_unwanted(parts):
    """Whether a part of a path is what version control, Python or an editor leaves."""
    return any(part in UNWANTED or part.startswith(".git") for part in parts)


class Proof:
    """Looks for the secrets of a homework in files."""

    def __init__(self, homework):
        self.homework = homework
        self.solution_lines = solution_lines(homework.exercises)
        self.hidden = {normalised(json.dumps(rows, default=plain_data)) for rows in hidden_cases_of(homework).values()}

    def file_problems(self, name, content):
        """What is wrong with one file, a list of sentences. content: bytes. Archives are opened."""
        suffix = Path(name).suffix
        if suffix in COMPILED:
            return ["compiled code, which may hold solutions"]
        if suffix in ARCHIVES:
            return [problem for inner, data in archive_members(name, content) for problem in self.member_problems(inner, data)]
        text = content.decode("utf-8", "replace")
        problems, code = [], [text] if suffix == ".py" else []
        if suffix == ".ipynb":
            try:
                problems, text, code = inside_notebook(json.loads(text))
            except (ValueError, KeyError, TypeError):
                return ["not a notebook that can be read"]
        return problems + self.text_problems(text, code)

    def member_problems(self, name, content):
        """What is wrong with one file of an archive."""
        parts = Path(name).parts
        if is_unwanted(parts):
            return [f"{name} does not belong in a release"]
        return [f"{name}: {problem}" for problem in self.file_problems(parts[-1], content)] if parts else []

    def text_problems(self, text, code):
        """What is wrong with a text. code: the parts of it that are Python."""
        problems = [f"the marker {marker!r} is left" for marker in MARKERS if marker in text]
        lines = {normalised(line) for line in text.splitlines()}
        leaked = sorted(s for s in self.solution_lines if s in lines or any(s in line for line in lines if len(line) > len(s)))
        problems += [f"a line of a solution: {leaked[0][:60]}"] if leaked else []
        problems += ["the hidden seed"] if re.search(rf"(?<!\d){self.homework.seed}(?!\d)", text) else []
        whole = normalised(text)
        problems += ["hidden cases"] if "hidden-1" in text or any(cases in whole for cases in self.hidden) else []
        return problems + [problem for part in code for problem in more_than_blank(part, self.homework)]


def inside_notebook(notebook):
    """-> what is wrong with a notebook whatever its texts are, all of its texts in one, the texts of its code cells.

    Raises KeyError or TypeError for what is not a notebook."""
    problems, cells, metadata = [], notebook["cells"], notebook.get("metadata", {})
    paired = {"jupytext", "nbconvert"} & set(metadata)
    problems += [f"metadata of {sorted(paired)[0]}, which may write solutions beside it"] if paired else []
    for cell in cells:
        if cell["cell_type"] == "code" and (cell.get("outputs") or cell.get("execution_count")):
            problems.append(f"the cell {cell.get('id', '')} has outputs")
    texts = ["".join(cell["source"]) for cell in cells]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    outputs = json.dumps([cell.get("outputs", []) for cell in cells], ensure_ascii=False)
    return problems, "\n".join([*texts, outputs.replace("\\n", "\n"), json.dumps(metadata)]), code


def archive_members(name, content):
    """(name, bytes) of the files in an archive; one that cannot be opened counts as compiled code."""
    try:
        if name.endswith((".zip", ".whl")):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return [(info.filename, archive.read(info)) for info in archive.infolist() if not info.is_dir()]
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            return [(info.name, archive.extractfile(info).read()) for info in archive.getmembers() if info.isfile()]
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError):
        return [("(unreadable).so", b"")]


# ---- solutions


def normalised(line):
    """A line without comment marks, commas at its end and spaces, which change nothing."""
    return re.sub(r"\s+", "", line.strip().lstrip("#").rstrip(","))


def solution_lines(exercises):
    """The lines of the solutions, normalised, that are LONG at least and do not stand in what is given: a set."""
    solved, given = set(), set()
    for source, functions in parts_of(exercises):
        solved |= {normalised(line) for line in definitions(source, functions, "solution").splitlines()}
        given |= {normalised(line) for line in definitions(source, functions, "blank").splitlines()}
    return {line for line in solved - given if len(line) >= LONG}


def more_than_blank(code, homework):
    """A sentence for each function of the homework that is defined in a text and holds more than a docstring and `raise`."""
    try:
        tree = ast.parse("\n".join(line for line in code.splitlines() if not line.startswith(("%", "!"))))
    except SyntaxError as error:
        return [f"line {error.lineno} is not Python"]
    problems = []
    for exercise in homework.exercises:
        name = exercise.source.__name__
        if isinstance(exercise.source, type):
            classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
            nodes = functions_in(classes[0]) if classes else {}
        else:
            nodes = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        problems += [f"{exercise.id} is more than a blank" for part in exercise.write if part in nodes and not only_blank(nodes[part])]
    return problems


def not_blank(folder, homework):
    """A sentence for each exercise whose file is missing, or of which the public cases say something other than "not started"."""
    problems = []
    for exercise in homework.exercises:
        if not (Path(folder) / f"{exercise.group}.py").exists():
            problems.append(f"{exercise.group}.py is missing")
            continue
        result = attempt(str(folder), exercise)
        if result.status != "not started":
            problems.append(f"{exercise.id} should be not started but is {result.status}{result.cause and ': '}{result.cause}")
    return problems
