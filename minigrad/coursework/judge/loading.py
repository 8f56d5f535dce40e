"""Where solutions come from, as --impl names it: the model solution, blanks, a file, a folder, a module."""

import importlib
import importlib.util
import os
from pathlib import Path

from minigrad.coursework.judge.caged.modules import CannotLoad, import_file
from minigrad.coursework.judge.errors import error_sentence
from minigrad.coursework.source import plant
from minigrad.coursework.worksheets import parts_of, worksheet


class NoSuchImpl(ValueError):
    """--impl names no file, folder or module: a sentence."""


def load(impl, exercise):
    """The class or function that solves an exercise, or None if there is none.

    impl: "reference" (the model solution), "blank", a .py file, a notebook, a folder with a file for each group, or the name of a
    module or package. Raises NoSuchImpl, CannotLoad."""
    if impl == "reference":
        return plant(exercise.source)
    if impl == "blank":
        space = {"__name__": "blank"}
        exec(compile(worksheet("", parts_of([exercise])), "<blank>", "exec"), space)
        return space[exercise.source.__name__]
    path = Path(impl)
    if path.suffix in (".py", ".ipynb") or path.is_dir() or os.sep in str(impl):
        if not path.exists():
            raise NoSuchImpl(f"there is no {'file' if path.suffix else 'folder'} {impl}")
        file = file_of(path, exercise)
        return getattr(import_file(file), exercise.source.__name__, None) if file.exists() else None
    return from_module(str(impl), exercise)


def file_of(path, exercise):
    """The file that holds an exercise: `path` itself, or, in a folder, the file named after the exercise's group."""
    return path / f"{exercise.group}.py" if path.is_dir() else path


def from_module(impl, exercise):
    """Of the modules impl.group and impl the first that has the class or function; None if neither has. Raises NoSuchImpl, CannotLoad."""
    for name in (f"{impl}.{exercise.group}", impl):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(error.name + ".")):
                continue
            raise CannotLoad(f"{name} cannot be imported: {error_sentence(error)}") from None
        except SyntaxError as error:
            raise CannotLoad(f"{os.path.basename(error.filename or name)}, line {error.lineno or 1}: {error.msg}") from None
        except (Exception, SystemExit) as error:
            raise CannotLoad(f"{impl} cannot be imported: {error_sentence(error)}") from None
        if hasattr(module, exercise.source.__name__):
            return getattr(module, exercise.source.__name__)
    if importlib.util.find_spec(impl.split(".")[0]) is None:
        raise NoSuchImpl(f"there is no file, folder or module {impl}")
    return None
