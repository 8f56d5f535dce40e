"""While work is graded: what a solution may not use. Code in one process is no sandbox; this stops what happens by accident or habit."""

import ast
import contextlib
import importlib
import inspect
import sys
from pathlib import Path

FORBIDDEN = ("torch", "jax", "tensorflow", "autograd", "scipy.signal", "scipy.ndimage")
ALLOWED = ("minigrad", "minigrad.coursework", "minigrad.gradcheck")  # the project's modules that may be imported from
DYNAMIC = ("__import__", "exec", "eval", "compile")


class Refused(ImportError):
    """Something that is not to be used."""


def inside(name, packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


def own(exercise):
    """The names under which the exercise's own solution and the library's version of it can be had."""
    name = exercise.source.__name__
    names = {f"{exercise.source.__module__}.{name}", f"minigrad.{name}", f"minigrad.coursework.{name}", *exercise.library}
    return names | {f"minigrad.{twin.rsplit('.', 1)[-1]}" for twin in exercise.library}


def scan(text, exercise, forbidden=()):
    """Why this text is refused, in one sentence, or "". A text that is no Python is for others to judge."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ""
    names, banned = {}, (*FORBIDDEN, *forbidden)

    def verdict(name, line):
        if inside(name, banned):
            return f"line {line} uses {name}, which is not allowed here: write it with NumPy."
        if name in own(exercise):
            return f"line {line} uses {name}, which is the solution: write your own."
        if inside(name, ["minigrad", "alexnet"]) and name not in ALLOWED:
            module = name.rpartition(".")[0]  # a name of an allowed module is fine, unless it is a module itself
            if module not in ALLOWED or name in sys.modules:
                return f"line {line} uses {name}; from this project only minigrad and minigrad.coursework may be imported."
        return ""

    for node in ast.walk(tree):
        found = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.split(".")[0]
                names[alias.asname or name] = name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found = [f"{node.module}.{alias.name}" for alias in node.names]
            if any(alias.name == "*" for alias in node.names) and inside(node.module, ["minigrad"]):
                return f"line {node.lineno} imports everything from {node.module}: name what is needed."
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Name) and node.id in DYNAMIC or isinstance(node, ast.Attribute) and node.attr == "__subclasses__":
            word = node.id if isinstance(node, ast.Name) else node.attr
            return f"line {node.lineno} uses {word}, which is not allowed here."
        for name in found:
            if name.split(".")[0] == "importlib":
                return f"line {node.lineno} uses importlib, which is not allowed here: use import."
            if sentence := verdict(name, node.lineno):
                return sentence
    for node in ast.walk(tree):
        dotted = dotted_name(node, names)
        if dotted and inside(dotted, ["minigrad", *banned]) and "." in dotted and (sentence := verdict(dotted, node.lineno)):
            return sentence
    return ""


def dotted_name(node, names):
    """The full name of `minigrad.layers.Conv2d` where minigrad is an import of that name; or ""."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not parts or not isinstance(node, ast.Name) or node.id not in names:
        return ""
    return ".".join([names[node.id], *reversed(parts)])


class Finder:
    """Refuses imports at the moment they happen, whoever asks."""

    def __init__(self, forbidden):
        self.forbidden = forbidden

    def find_spec(self, name, path=None, target=None):
        if inside(name, self.forbidden):
            raise Refused(f"{name} may not be used here: write it with NumPy")
        return None


def refusal(name):
    def refuse(*args, **kwargs):
        raise Refused(f"{name} is the solution: write your own")

    return refuse


@contextlib.contextmanager
def watching(exercise, place, forbidden=()):
    """Scan the file of a solution, and while it runs refuse imports and replace the model's and the library's functions.

    Yields a sentence if the scan has found something, or None."""
    sentence = next((s for file in files_of(place, exercise) if (s := scan(read(file), exercise, forbidden))), "")
    undo, finder = [], Finder((*FORBIDDEN, *forbidden))
    try:
        for owner, name in targets(exercise):
            undo.append((owner, name, vars(owner)[name]))
            setattr(owner, name, refusal(f"{owner.__name__}.{name}"))
        sys.meta_path.insert(0, finder)
        yield sentence or None
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
        for owner, name, function in reversed(undo):
            setattr(owner, name, function)


def files_of(place, exercise):
    """The file with the solution first, then those beside it, which it may import."""
    path = Path(str(place))
    if path.is_dir():
        first = path / f"{exercise.group}.py"
        return [file for file in (first, *sorted(path.glob("*.py"))) if file.exists()]
    return [path] if path.suffix == ".py" and path.exists() else []


def read(file):
    return file.read_text(encoding="utf-8", errors="replace")


def targets(exercise):
    """What is replaced: (class or module, name of a function of it). Planted copies have functions of their own and go on working."""
    from minigrad.coursework.source import plant

    plant(exercise.source)  # before its module changes
    for mistake in exercise.mistakes + exercise.others:
        plant(exercise.source, mistake)
    found = [f"{exercise.source.__module__}.{exercise.source.__name__}", *exercise.library]
    pairs = []
    for name in dict.fromkeys(found):
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
