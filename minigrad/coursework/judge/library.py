"""What a student's process gets of this project: the modules that `import minigrad` loads, with the solution of the exercise cut out of
them, and a `minigrad.coursework` that only offers what students' files import. No model solution, no case, no known mistake lies there."""

import ast
import importlib
import inspect
import shutil
import sys
from pathlib import Path

import minigrad
import minigrad.gradcheck  # noqa: F401 students may import it
from minigrad import plain
from minigrad.coursework.blanks import first_line

PACKAGE = Path(minigrad.__file__).parent
NEEDED = ("cuda", "device", "engine", "gradcheck", "layers")  # folders of the package
FILES = ("__init__", "optim", "towers", "network", "files", "interrupts")
OFFERED = ("four_sides", "output_size", "im2col", "col2im")  # functions of minigrad.plain that minigrad.coursework offers

CLASSROOM = '''"""What students' files import from here. `check` and the like say nothing while work is graded."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigrad.coursework.threads import AllReduce
from minigrad.layers import Layer, Parameter


class CheckFailed(AssertionError):
    pass


def check(*args, **kwargs):
    pass


def score(*args, **kwargs):
    return 0.0


check_file, score_file = check, score


'''


def write_library(folder, exercise):
    """Write the packages `minigrad` and `caged` into a folder that exists, for the process of somebody who solves this exercise."""
    folder = Path(folder)
    package = folder / "minigrad"
    package.mkdir()
    for name in NEEDED:
        if (PACKAGE / name).is_dir():
            shutil.copytree(PACKAGE / name, package / name, ignore=shutil.ignore_patterns("*.cu", "*.cuh"))
    for name in FILES:
        if (PACKAGE / f"{name}.py").exists():
            shutil.copy2(PACKAGE / f"{name}.py", package)
    shutil.copytree(Path(__file__).with_name("caged"), folder / "caged")
    (package / "coursework").mkdir()
    shutil.copy2(PACKAGE / "coursework" / "threads.py", package / "coursework")
    (package / "coursework" / "__init__.py").write_text(classroom(exercise), encoding="utf-8")
    for name in exercise.library:
        cut_out(package, name)


def classroom(exercise):
    """The text of the cage's minigrad.coursework, the solution cut out."""
    solutions = {exercise.source.__name__, *(name.rpartition(".")[2] for name in exercise.library)}
    texts = []
    for name in OFFERED:
        text = inspect.getsource(getattr(plain, name))
        texts.append(without_bodies(text, name, f"minigrad.coursework.{name}") if name in solutions else text)
    return CLASSROOM + "\n\n".join(texts)


def cut_out(package, name):
    """Take the bodies of a function, or of a class's functions, out of the copy of the file in which it is defined."""
    module, _, attribute = name.rpartition(".")
    try:
        thing = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):  # alexnet.py, where only the package is installed
        return
    defined = Path(sys.modules[thing.__module__].__file__)
    file = package / defined.relative_to(PACKAGE) if defined.is_relative_to(PACKAGE) else None
    if file is not None and file.exists():
        text = file.read_text(encoding="utf-8")
        file.write_text(without_bodies(text, thing.__name__, name), encoding="utf-8")
        for old in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            old.unlink()


def without_bodies(text, name, full_name):
    """A module's text in which the functions of a class, or a function, of this name raise ImportError instead of what they did."""
    lines = text.splitlines()
    top = next(n for n in ast.parse(text).body if isinstance(n, (ast.ClassDef, ast.FunctionDef)) and n.name == name)
    nodes = (
        [top]
        if isinstance(top, ast.FunctionDef)
        else [n for n in top.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("__")]
    )
    for node in reversed(nodes):
        indent = " " * node.col_offset
        words = f'raise ImportError("{full_name} is the solution: write your own")'
        lines[first_line(node) - 1 : node.end_lineno] = [f"{indent}def {node.name}(*args, **kwargs):", f"{indent}    {words}"]
    return "\n".join(lines) + "\n"
