"""Cutting sources: blanks for students, solutions for teachers and planted mistakes, all from one text, the model's own.

The library carries no markers. What is cut out is found by `ast`, by line numbers, so that comments, spacing and docstrings stay as
they were written."""

import ast
import inspect
import linecache
import sys
import textwrap
from dataclasses import dataclass
from functools import cache

BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"


@dataclass(frozen=True)
class Mistake:
    """A planted bug: an edit of the model's source. `old` must occur there exactly once, so that a bug cannot quietly cease to be one.

    hint: the sentence for somebody who has made it; "" where nothing can be said but the place."""

    name: str
    old: str
    new: str
    hint: str = ""


# ---- what belongs to a source


@cache
def text_of(source):
    """The text of a class or function, as it was written."""
    return textwrap.dedent(inspect.getsource(source))


def module_of(source):
    return sys.modules[source.__module__]


def names_in(text):
    """All names that a text reads."""
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


@cache
def plant(source, mistake=None):
    """A copy of a class or function with a mistake in it; without one, just a copy, which nobody's changes to the original reach.

    The helpers that it uses belong to its text. Raises ValueError unless mistake.old occurs there exactly once."""
    text = "\n\n".join(text_of(part) for part in [*helpers(source), source])
    name = source.__name__
    if mistake is not None:
        if text.count(mistake.old) != 1:
            raise ValueError(
                f"{name}, mistake {mistake.name!r}: {mistake.old!r} occurs {text.count(mistake.old)} times in the model, not once"
            )
        text, name = text.replace(mistake.old, mistake.new), f"{name}, {mistake.name}"
    filename = f"<{name}>"
    linecache.cache[filename] = len(text), None, text.splitlines(keepends=True), filename
    space = dict(vars(module_of(source)))
    exec(compile(text, filename, "exec"), space)
    return space[source.__name__]


# ---- blanks


def functions_in(tree):
    """name -> node of the functions at the top of a text and those of its classes."""
    nodes = [*tree.body, *(node for part in tree.body if isinstance(part, ast.ClassDef) for node in part.body)]
    return {node.name: node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def docstring_of(node):
    """The statement that is a function's docstring, or None."""
    first = node.body[0]
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return first if is_text else None


def first_line(node):
    """Where a function or statement begins, decorators included."""
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])


def split(lines, node):
    """A function in three lists of lines: up to its docstring, with it; its body, with the comments above it; the indent of the body.

    A body on the line of its `def` gets a line of its own."""
    start, end = first_line(node) - 1, node.end_lineno
    document, body = docstring_of(node), node.body
    first = body[0]
    if first.lineno > node.lineno and lines[first.lineno - 1][: first.col_offset].strip() == "":
        indent = " " * first.col_offset
        if document is not None:
            cut = document.end_lineno
            rest = lines[cut - 1].encode()[document.end_col_offset :].decode().strip(" ;")
            if rest and not rest.startswith("#"):  # a statement behind the docstring, on its line
                head = lines[start : cut - 1] + [lines[cut - 1].encode()[: document.end_col_offset].decode()]
                return head, [indent + rest, *lines[cut:end]], indent
        else:
            cut = first_line(first) - 1
            while lines[cut - 1].strip().startswith("#"):
                cut -= 1
        return lines[start:cut], lines[cut:end], indent
    indent = " " * (node.col_offset + 4)
    before = lines[first.lineno - 1].encode()[: first.col_offset].decode().rstrip()
    head = [*lines[start : first.lineno - 1], before]
    rest = [lines[first.lineno - 1].encode()[first.col_offset :].decode(), *lines[first.lineno : end]]
    if document is not None:
        text = ast.get_source_segment("\n".join(lines), document)
        head.append(indent + text)
        rest = [lines[document.end_lineno - 1].encode()[document.end_col_offset :].decode().strip(" ;"), *lines[document.end_lineno : end]]
    return head, [indent + rest[0].strip(), *rest[1:]] if rest[0].strip() else rest[1:], indent


def blank(source, functions, markers=False):
    """The text of a class or function in which these functions are blank: signature, docstring, `raise NotImplementedError`.

    functions: names; or a dict, name -> what the error calls it ("conv2d.backward"). markers: keep the bodies, between the markers of
    nbgrader and otter. Private functions that only the bodies use are dropped (or marked). Raises ValueError for a function that is
    not there."""
    text = text_of(source)
    called = functions if isinstance(functions, dict) else {name: name for name in functions}
    lines, nodes = text.splitlines(), functions_in(ast.parse(text))
    for name in called:
        if name not in nodes:
            raise ValueError(f"{source.__name__} has no function {name!r} that could be left blank; it has {', '.join(nodes)}")
    parts = {}
    for name, words in called.items():
        head, body, indent = split(lines, nodes[name])
        kept = [indent + BEGIN, *body, indent + END] if markers else [f'{indent}raise NotImplementedError("{words} is not written yet")']
        parts[name] = head + kept
    secret = [name for name in nodes if private(name) and name not in called]
    alive = used(apply(lines, nodes, {name: [] for name in (*called, *secret)}))
    while more := {name for name in secret if name in alive}:  # what a given function uses stays, and what that uses
        secret = [name for name in secret if name not in more]
        alive |= used(line for name in more for line in textwrap.dedent("\n".join(extent(lines, nodes[name]))).splitlines())
    for name in secret:
        indent = " " * nodes[name].col_offset
        parts[name] = [indent + BEGIN, *extent(lines, nodes[name]), indent + END] if markers else []
    return "\n".join(apply(lines, nodes, parts)).rstrip() + "\n"


def extent(lines, node):
    return lines[first_line(node) - 1 : node.end_lineno]


def apply(lines, nodes, parts):
    """The lines with some functions replaced; the empty lines above one that is gone go too."""
    lines = list(lines)
    for name in sorted(parts, key=lambda name: -nodes[name].lineno):
        start, end = first_line(nodes[name]) - 1, nodes[name].end_lineno
        while not parts[name] and start and not lines[start - 1].strip():
            start -= 1
        lines[start:end] = parts[name]
    return lines


def used(lines):
    """The names and attributes that lines read; an empty class body counts as one."""
    words = set()
    text = "\n".join(lines)
    try:
        tree = ast.parse(text)
    except (IndentationError, SyntaxError):  # everything in it was cut out
        return words
    for node in ast.walk(tree):
        words |= {node.id} if isinstance(node, ast.Name) else {node.attr} if isinstance(node, ast.Attribute) else set()
    return words


def is_blank(function):
    """Whether a function holds nothing but a docstring and `raise NotImplementedError`, `...` or `pass`."""
    try:
        node = ast.parse(text_of(function)).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return getattr(getattr(function, "__code__", None), "co_names", None) == ("NotImplementedError",)
    return hasattr(node, "body") and only_blank(node)


def only_blank(node):
    body = node.body[docstring_of(node) is not None :]
    return len(body) <= 1 and all(is_nothing(statement) for statement in body)


def is_nothing(statement):
    if isinstance(statement, ast.Raise) and statement.exc is not None:
        raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and statement.value.value is Ellipsis
    )


# ---- whole files


def import_lines(sources):
    """The imports that a file with these sources needs: NumPy, and those of their module whose names they use; what is the package's own
    comes from minigrad.coursework, or from minigrad."""
    own = {source.__name__ for source in sources}
    lines, offered, library = {"import numpy as np"}, set(), set()
    for source in sources:
        module, parts = module_of(source), [source, *(h for h in helpers(source) if private(h.__name__))]
        names = set().union(*(names_in(text_of(part)) for part in parts)) - own
        offered |= {helper.__name__ for helper in helpers(source) if not private(helper.__name__)} - own
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.Import):
                kept = [alias for alias in node.names if (alias.asname or alias.name) in names]
                lines |= {ast.unparse(ast.Import([alias])) for alias in kept}
            elif isinstance(node, ast.ImportFrom):
                kept = [alias for alias in node.names if (alias.asname or alias.name) in names]
                if node.module == "minigrad":
                    library |= {alias.name for alias in kept}
                elif node.module.startswith("minigrad."):
                    offered |= {alias.name for alias in kept}
                elif kept:
                    lines.add(f"from {node.module} import {', '.join(alias.name for alias in kept)}")
    ours = [f"from minigrad import {', '.join(sorted(library))}"] if library else []
    ours += [f"from minigrad.coursework import {', '.join(sorted(offered))}"] if offered else []
    theirs = sorted(lines, key=lambda line: (line.startswith("from"), line))
    return [*theirs, *([""] if theirs and ours else []), *ours]


def definitions(source, functions, form="blank"):
    """The text of one source in a file. form: "blank", "markers" or "solution".

    Private helpers of its module come along: all of them with a solution, with a blank only those that the given part uses."""
    own = [helper for helper in helpers(source) if private(helper.__name__)]
    if form == "solution":
        return "\n\n".join(text_of(part) for part in [*own, source])
    given, waiting = set(), names_in(blank(source, functions))
    while more := {helper.__name__ for helper in own} & waiting - given:
        given |= more
        waiting = set().union(*(names_in(text_of(helper)) for helper in own if helper.__name__ in more))
    texts = [text_of(helper) for helper in own if helper.__name__ in given]
    if form == "markers":
        texts += [f"{BEGIN}\n{text_of(helper)}{END}\n" for helper in own if helper.__name__ not in given]
    return "\n\n".join([*texts, blank(source, functions, markers=form == "markers")])


def file_text(title, parts, form="blank"):
    """A Python file. title: its docstring. parts: a list of (source, functions)."""
    sources = [source for source, _ in parts]
    bodies = [definitions(source, functions, form) for source, functions in parts]
    return f'"""{title}"""\n\n' + "\n".join(import_lines(sources)) + "\n\n\n" + "\n\n".join(bodies)
