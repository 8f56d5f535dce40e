"""Worksheets: the Python files of a group of exercises. Students get them blank, teachers solved, nbgrader and otter with markers."""

import ast
import inspect

from minigrad.coursework.blanks import BEGIN, END, blank, functions_in
from minigrad.coursework.exercises import ALL
from minigrad.coursework.source import helpers, module_of, names_in, private, text_of


def parts_of(exercises):
    """Each source of the exercises once, in order: a list of (source, {function to write: id of its exercise})."""
    parts = {}
    for exercise in exercises:
        parts.setdefault(exercise.source, {}).update({name: exercise.id for name in exercise.write})
    return list(parts.items())


def written_later(source, functions):
    """name -> id of the functions of a source that exercises behind these ask for: what is handed out must not hold them.

    functions: name -> id, as in `parts_of`."""
    places = {exercise.id: place for place, exercise in enumerate(ALL) if exercise.source is source}
    last = max((places[id] for id in functions.values() if id in places), default=len(ALL))
    later = [exercise for exercise in ALL if places.get(exercise.id, -1) > last]
    return {name: exercise.id for exercise in later for name in exercise.write if name not in functions}


def tools(source, own):
    """The names of the private helpers `own` that more than one function of a source uses: they belong to no single solution."""
    tree = ast.parse(text_of(source))
    used = [names_in(ast.unparse(node)) for node in functions_in(tree).values()]
    return {helper.__name__ for helper in own if sum(helper.__name__ in names for names in used) > 1}


def heading(exercises, impl="student"):
    """The docstring of a file of blanks. impl: what --impl must name to check it."""
    lines = [f"{exercises[0].group}: write what is blank.", ""]
    lines += [f"{e.id:22} {e.title} ({e.minutes} minutes; {e.reading})".replace("\\", "") for e in exercises]
    option = "" if impl == "student" else f" --impl {impl}"
    lines += ["", f"Check it with   python -m minigrad.coursework check {exercises[0].group}{option}"]
    return "\n".join(lines)


def worksheet(title, parts, form="blank"):
    """The text of a Python file. title: its docstring. parts: as `parts_of` gives them. form: "blank", "markers" or "solution"."""
    sources = [source for source, _ in parts]
    bodies = [definitions(source, functions, form) for source, functions in parts]
    return f'"""{title}"""\n\n' + "\n".join(import_lines(sources)) + "\n\n\n" + "\n\n".join(bodies)


def import_lines(sources, beside=()):
    """The imports that a file with these sources needs, as lines: NumPy, and those of their modules whose names they use.

    beside: names that the text around defines, so that none of them is imported over what a student wrote.

    What comes from this project is imported from minigrad, or else from minigrad.coursework, which offers it."""
    own = {source.__name__ for source in sources} | set(beside)
    lines, from_coursework, from_minigrad = {"import numpy as np"}, set(), set()
    for source in sources:
        module, parts = module_of(source), [source, *(h for h in helpers(source) if private(h.__name__))]
        used = set().union(*(names_in(text_of(part)) for part in parts)) - own
        from_coursework |= {helper.__name__ for helper in helpers(source) if not private(helper.__name__)} - own
        for node in ast.parse(inspect.getsource(module)).body:
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            aliases = [alias for alias in node.names if (alias.asname or alias.name) in used]
            if isinstance(node, ast.Import):
                lines |= {ast.unparse(ast.Import([alias])) for alias in aliases}
            elif node.module == "minigrad":
                from_minigrad |= {alias.name for alias in aliases}
            elif node.module.startswith("minigrad."):
                from_coursework |= {alias.name for alias in aliases}
            elif aliases:
                lines.add(f"from {node.module} import {', '.join(alias.name for alias in aliases)}")
    ours = [f"from minigrad import {', '.join(sorted(from_minigrad))}"] if from_minigrad else []
    ours += [f"from minigrad.coursework import {', '.join(sorted(from_coursework))}"] if from_coursework else []
    theirs = sorted(lines, key=lambda line: (line.startswith("from"), line))
    return [*theirs, *([""] if theirs and ours else []), *ours]


def definitions(source, functions, form="blank"):
    """The text of one source in a file. functions: as in `parts_of`. form: "blank", "markers" or "solution".

    With a blank, what later exercises ask for is blank as well. Private helpers of its module come along: all of them with a solution,
    with a blank those that the given part uses and those that more than one function uses."""
    own = [helper for helper in helpers(source) if private(helper.__name__)]
    if form == "solution":
        return "\n\n".join(text_of(part) for part in [*own, source])
    later = written_later(source, functions)
    given, waiting = set(), names_in(blank(source, functions, later=later)) | tools(source, own)
    while more := {helper.__name__ for helper in own} & waiting - given:
        given |= more
        waiting = set().union(*(names_in(text_of(helper)) for helper in own if helper.__name__ in more))
    texts = [text_of(helper) for helper in own if helper.__name__ in given]
    if form == "markers":
        texts += [f"{BEGIN}\n{text_of(helper)}{END}\n" for helper in own if helper.__name__ not in given]
    return "\n\n".join([*texts, blank(source, functions, form == "markers", later)])
