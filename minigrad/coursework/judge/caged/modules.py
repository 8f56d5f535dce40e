"""A student's file as a module: a .py file as Python reads it, a notebook as a kernel runs it, cell after cell."""

import __future__

import ast
import asyncio
import atexit
import functools
import importlib.util
import inspect
import io
import linecache
import sys
import threading
import tokenize
import types
from pathlib import Path

from .cells import CannotRead, code_cells, python_of
from .errors import error_sentence

FUTURES = {name: getattr(__future__, name).compiler_flag for name in __future__.all_feature_names}


class CannotLoad(Exception):
    """A file or module that cannot be imported: a sentence."""


def texts_in(path):
    """The Python in a file: one text, or one for each cell of a notebook. Raises CannotLoad."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CannotLoad(f"{path.name} cannot be read: {error.strerror}") from None
    if path.suffix == ".ipynb":
        try:
            return [python_of(cell) for cell in code_cells(path.name, content)]
        except CannotRead as error:
            raise CannotLoad(str(error)) from None
    return [decoded(path.name, content)]


def decoded(name, content):
    """The text of a file as Python reads it: with the coding that its first lines or bytes name, else UTF-8. Raises CannotLoad."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return io.TextIOWrapper(io.BytesIO(content), encoding).read()
    except (UnicodeDecodeError, LookupError):
        raise CannotLoad(f"{name} is not a text file in UTF-8") from None
    except SyntaxError as error:  # an unknown coding, or bytes that are no UTF-8 in the first lines
        unknown = "unknown encoding" in str(error.msg)
        raise CannotLoad(f"{name}: {error.msg}" if unknown else f"{name} is not a text file in UTF-8") from None


def import_file(path, as_main=False):
    """A file or notebook as a module, read anew at every call. It may import the files beside it. as_main: its __name__ is "__main__", as
    in a kernel. Raises CannotLoad."""
    path = Path(path).resolve()
    folder, before = str(path.parent), sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # nothing is written beside a student's file
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        texts = texts_in(path)
        name = f"_solution_{path.stem}"
        spec = importlib.util.spec_from_loader(name, loader=None, origin=str(path))
        module = importlib.util.module_from_spec(spec)
        module.__file__, module.get_ipython = str(path), Kernel  # which a notebook calls that was saved as a .py file
        sys.modules[name] = module
        if path.suffix == ".ipynb":
            run_cells(module, path.name, texts, as_main)
        else:
            run_file(module, path, texts[0])
    finally:
        sys.dont_write_bytecode = before
    return module


def run_file(module, path, text):
    try:
        exec(compile(text, str(path), "exec"), vars(module))
    except SyntaxError as error:
        raise CannotLoad(f"{path.name}, line {error.lineno or 1}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise CannotLoad(f"{path.name} cannot be imported: {error_sentence(error)}") from None
    except (Exception, SystemExit) as error:
        raise CannotLoad(f"{path.name} cannot be imported: {error_sentence(error)}") from None


def run_cells(module, name, texts, as_main):
    """Run the cells one after the other. As in a kernel, a cell that fails keeps none of the others from running; what was wrong is left in
    module.__problems__, a list of sentences."""
    space, flags = vars(module), ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    space |= {"display": lambda *args, **kwargs: None, "__problems__": []}
    if as_main:
        space["__name__"] = "__main__"
        sys.modules["__main__"] = module
    for number, text in enumerate(texts, 1):
        filename = f"{name}, cell {number}"
        linecache.cache[filename] = len(text), None, text.splitlines(keepends=True), filename
        try:
            code = compile(text, filename, "exec", flags, dont_inherit=True)
            flags |= sum({FUTURES[f] for f in FUTURES if code.co_flags & FUTURES[f]})
            run_cell(code, space)
        except SyntaxError as error:
            space["__problems__"].append(f"{filename}, line {error.lineno or 1}: {error.msg}")
        except (Exception, SystemExit) as error:
            space["__problems__"].append(f"{filename}: {error_sentence(error)}")


def run_cell(code, space):
    """Run a cell in the loop of all cells, as in a kernel, so that one may await what another has begun."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        kernel_loop(threading.get_ident()).run_until_complete(awaited(code, space))
    else:  # a notebook is loaded by a cell of another
        if inspect.iscoroutine(result := eval(code, space)):
            result.close()
            raise RuntimeError("await does not work in a notebook that another notebook loads")


async def awaited(code, space):
    result = eval(code, space)
    if code.co_flags & inspect.CO_COROUTINE:
        await result


@functools.cache
def kernel_loop(thread):
    """The loop of events of all cells that a thread runs; it is closed when Python ends, for what a solution keeps may wait in it."""
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop


class Kernel:
    """What get_ipython() gives: any method of it may be called and does nothing."""

    def __getattr__(self, name):
        return types.SimpleNamespace() if name == "config" else lambda *args, **kwargs: None
