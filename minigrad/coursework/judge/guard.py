"""What a graded solution may not use: its text is scanned for it. What a scan cannot see is not there: the solution's process has no copy
of the model solution, nor of the library's (library.py), and refuses imports (caged/fences.py)."""

import ast
import sys

from minigrad.coursework.judge.caged.modules import CannotLoad, texts_in

FORBIDDEN = ("torch", "jax", "tensorflow", "autograd", "scipy.signal", "scipy.ndimage")
ALLOWED = ("minigrad", "minigrad.coursework", "minigrad.gradcheck")  # the project's modules that may be imported from
DYNAMIC = ("__import__", "exec", "eval", "compile")


def refusal(path, exercise, forbidden=()):
    """Why a solution is refused for its text, in one sentence, or "". path: of its file; the files beside it, which it may import, count,
    too. forbidden: imports that are refused besides the usual ones."""
    return next((found for text in texts_of(path) if (found := scan(text, exercise, forbidden))), "")


# ---- the text


def texts_of(path):
    """The text of the file with the solution first (of a notebook: of its cells), then those of the files beside it."""
    for file in (path, *sorted(file for file in path.parent.glob("*.py") if file != path)):
        try:
            yield from texts_in(file)
        except CannotLoad:  # it is refused elsewhere, if anybody imports it
            continue


def scan(text, exercise, forbidden=()):
    """Why this text is refused, in one sentence, or "". A text that is not Python is refused elsewhere."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    banned, imported = (*FORBIDDEN, *forbidden), {}  # imported: a name in the text -> what it was imported as
    for node in nodes:
        if sentence := objection_to_import(node, exercise, banned, imported) or objection_to_builtin(node):
            return sentence
    for node in nodes:
        name = dotted_name(node, imported)
        if name and inside(name, ["minigrad", *banned]) and (sentence := objection(name, node.lineno, exercise, banned)):
            return sentence
    return ""


def objection_to_import(node, exercise, banned, imported):
    """What is wrong with an import, or "". Adds the names that it makes to `imported`."""
    names = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
        for alias in node.names:
            name = alias.name if alias.asname else alias.name.split(".")[0]
            imported[alias.asname or name] = name
    elif isinstance(node, ast.ImportFrom) and not node.level:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        if any(alias.name == "*" for alias in node.names) and inside(node.module, ["minigrad"]):
            return f"line {node.lineno} imports everything from {node.module}: name what is needed."
        imported |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for name in names:
        if name.split(".")[0] == "importlib":
            return f"line {node.lineno} uses importlib, which is not allowed here: use import."
        if sentence := objection(name, node.lineno, exercise, banned):
            return sentence
    return ""


def objection_to_builtin(node):
    """What is wrong with a name that Python itself has, or ""."""
    name = node.id if isinstance(node, ast.Name) else ""
    attribute = node.attr if isinstance(node, ast.Attribute) else ""
    if name in DYNAMIC or attribute == "__subclasses__":
        return f"line {node.lineno} uses {name or attribute}, which is not allowed here."
    return ""


def objection(name, line, exercise, banned):
    """Why this full name, "minigrad.layers.Conv2d", may not be used, or ""."""
    if inside(name, banned):
        return f"line {line} uses {name}, which is not allowed here: write it with NumPy."
    if name in solution_names(exercise):
        return f"line {line} uses {name}, which is the solution: write your own."
    if inside(name, ["minigrad", "alexnet"]) and name not in ALLOWED:
        module = name.rpartition(".")[0]  # a name of an allowed module is fine, unless it is a module itself
        if module not in ALLOWED or name in sys.modules:
            return f"line {line} uses {name}; from this project only minigrad and minigrad.coursework may be imported."
    return ""


def inside(name, packages):
    """Whether a full name is one of these packages, or lies in one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


def solution_names(exercise):
    """The full names under which the exercise's own solution and the library's version of it can be had: a set."""
    name = exercise.source.__name__
    names = {f"{exercise.source.__module__}.{name}", f"minigrad.{name}", f"minigrad.coursework.{name}", *exercise.library}
    return names | {f"minigrad.{twin.rsplit('.', 1)[-1]}" for twin in exercise.library}


def dotted_name(node, imported):
    """The full name of an attribute such as `minigrad.layers.Conv2d`, where its first part was imported; or ""."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not parts or not isinstance(node, ast.Name) or node.id not in imported:
        return ""
    return ".".join([imported[node.id], *reversed(parts)])
