"""The text of a model solution, and copies of the model with a mistake planted in it.

A source is a class or function of this project, the model solution of an exercise. Its text is its own and that of the functions of its
module that it uses."""

import ast
import inspect
import linecache
import sys
import textwrap
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Mistake:
    """A planted bug: an edit of the model's text. `old` must occur there exactly once, so that a bug cannot quietly cease to be one.

    hint: the sentence for somebody who has made it; "" where only its position can be told. overwrites: a later window overwrites what an
    earlier one wrote; that is seen in whatever order the windows come."""

    name: str
    old: str
    new: str
    hint: str = ""
    overwrites: bool = False


# ---- the text of a source


@cache
def text_of(source):
    """The text of a class or function as it was written, not indented. Raises OSError where there is none."""
    return textwrap.dedent(inspect.getsource(source))


def module_of(source):
    return sys.modules[source.__module__]


def names_in(text):
    """The names in a text, those it reads and those it assigns; no attributes. Raises SyntaxError."""
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


def helpers(source):
    """The functions of the source's module that it uses, directly or through one another, in the order of the file."""
    module, found, waiting = module_of(source), {}, [source]
    while waiting:
        for name in names_in(text_of(waiting.pop())):
            helper = vars(module).get(name)
            if inspect.isfunction(helper) and helper.__module__ == module.__name__ and helper is not source and name not in found:
                found[name] = helper
                waiting.append(helper)
    return sorted(found.values(), key=lambda helper: helper.__code__.co_firstlineno)


def private(name):
    return name.startswith("_") and not name.startswith("__")


# ---- planting


@cache
def plant(source, mistake=None):
    """A copy of a class or function with a mistake in it; without one, just a copy, which no change to the original reaches.

    The helpers that it uses are copied too, and may hold the mistake. Raises ValueError unless mistake.old occurs exactly once."""
    text = "\n\n".join(text_of(part) for part in [*helpers(source), source])
    name = source.__name__
    if mistake is not None:
        if text.count(mistake.old) != 1:
            raise ValueError(
                f"{name}, mistake {mistake.name!r}: {mistake.old!r} occurs {text.count(mistake.old)} times in the model, not once"
            )
        text, name = text.replace(mistake.old, mistake.new), f"{name}, {mistake.name}"
    filename = f"<model {name}>"  # errors show no line of such files
    linecache.cache[filename] = len(text), None, text.splitlines(keepends=True), filename
    space = dict(vars(module_of(source)))
    exec(compile(text, filename, "exec"), space)
    return space[source.__name__]
