"""While work is graded: what a solution may not use. Code in one process is no sandbox; this stops what happens by accident or habit.

First the text of the solution is scanned. Then, while it runs, imports are refused, and the model solution's and the library's functions
are replaced by ones that refuse."""

import ast
import contextlib
import importlib
import inspect
import sys
from pathlib import Path

from minigrad.coursework.source import plant

FORBIDDEN = ("torch", "jax", "tensorflow", "autograd", "scipy.signal", "scipy.ndimage")
ALLOWED = ("minigrad", "minigrad.coursework", "minigrad.gradcheck")  # the project's modules that may be imported from
DYNAMIC = ("__import__", "exec", "eval", "compile")


class Refused(ImportError):
    """A solution uses what it may not use."""


@contextlib.contextmanager
def watching(exercise, impl, forbidden=()):
    """Scan the files of a solution; inside the `with` block, refuse imports and the functions that solve the exercise.

    Yields a sentence if the scan has found something, or None. impl: what `load` takes. forbidden: imports that are refused besides the
    usual ones. Inside, an import or call that is refused raises Refused."""
    sentence = next((found for text in texts_of(impl, exercise) if (found := scan(text, exercise, forbidden))), None)
    replaced, finder = [], Finder((*FORBIDDEN, *forbidden))
    try:
        for owner, name in functions_to_replace(exercise):
            replaced.append((owner, name, vars(owner)[name]))
            setattr(owner, name, refusing(f"{owner.__name__}.{name}"))
        sys.meta_path.insert(0, finder)
        yield sentence
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
        for owner, name, function in reversed(replaced):
            setattr(owner, name, function)


# ---- the text


def texts_of(impl, exercise):
    """The text of the file with the solution first, then those of the files beside it, which it may import; none for a module."""
    path = Path(str(impl))
    if path.is_dir():
        first = path / f"{exercise.group}.py"
        files = [file for file in (first, *sorted(path.glob("*.py"))) if file.exists()]
    else:
        files = [path] if path.suffix == ".py" and path.exists() else []
    for file in files:
        yield file.read_text(encoding="utf-8", errors="replace")


def scan(text, exercise, forbidden=()):
    """Why this text is refused, in one sentence, or "". A text that is not Python is refused elsewhere."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
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


# ---- while it runs


class Finder:
    """Refuses imports at the moment they happen, whoever asks. It stands first in sys.meta_path."""

    def __init__(self, forbidden):
        self.forbidden = forbidden

    def find_spec(self, name, path=None, target=None):
        if inside(name, self.forbidden):
            raise Refused(f"{name} may not be used here: write it with NumPy")
        return None


def refusing(name):
    """A function that raises Refused."""

    def refuse(*args, **kwargs):
        raise Refused(f"{name} is the solution: write your own")

    return refuse


def functions_to_replace(exercise):
    """(class or module, name of a function of it), for all that solves the exercise. Planted copies have functions of their own and go on
    working."""
    plant(exercise.source)  # before its module changes
    for mistake in exercise.mistakes + exercise.others:
        plant(exercise.source, mistake)
    pairs = []
    for name in dict.fromkeys([f"{exercise.source.__module__}.{exercise.source.__name__}", *exercise.library]):
        module, _, attribute = name.rpartition(".")
        try:
            owner = importlib.import_module(module)
        except ImportError:  # alexnet.py, where only the package is installed
            continue
        thing = getattr(owner, attribute, None)
        if inspect.isclass(thing):
            pairs += [(thing, key) for key, value in vars(thing).items() if inspect.isfunction(value) and not key.startswith("__")]
        elif thing is not None:
            pairs.append((owner, attribute))
    return pairs
