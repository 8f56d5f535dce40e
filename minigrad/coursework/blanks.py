"""Blanks: the text of a class or function with the bodies of some functions taken out, for students to write.

The library carries no markers. What is taken out is found by `ast`, by line numbers, so that comments, spacing and docstrings stay as
they were written. In all functions below `lines` are the lines of a text, and `nodes` its functions: name -> node of `ast`."""

import ast
import textwrap

from minigrad.coursework.judge.caged.blank import docstring_of
from minigrad.coursework.source import private, text_of

BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"  # the markers of nbgrader and otter


def blank(source, functions, markers=False, later=None):
    """The text of a class or function in which these functions are blank: signature, docstring, `raise NotImplementedError`.

    functions: names; or a dict, name -> what the error calls it ("conv2d.backward"). markers: keep the bodies, between BEGIN and END.
    later: such a dict of functions that are blank with markers, too: later exercises ask for them.
    Private functions that only the bodies use are dropped (or marked). Raises ValueError for a function that is not there."""
    called = dict(functions) if isinstance(functions, dict) else {name: name for name in functions}
    later = later or {}
    called |= later
    text = text_of(source)
    lines, nodes = text.splitlines(), functions_in(ast.parse(text))
    for name in called:
        if name not in nodes:
            raise ValueError(f"{source.__name__} has no function {name!r} that could be left blank; it has {', '.join(nodes)}")
    replacements = {}
    for name, title in called.items():
        head, body, indent = split(lines, nodes[name])
        error = f'{indent}raise NotImplementedError("{title} is not written yet")'
        replacements[name] = [*head, indent + BEGIN, *body, indent + END] if markers and name not in later else [*head, error]
    for name in private_to_bodies(lines, nodes, called):
        indent = " " * nodes[name].col_offset
        replacements[name] = [indent + BEGIN, *lines_of(lines, nodes[name]), indent + END] if markers else []
    return "\n".join(replaced(lines, nodes, replacements)).rstrip() + "\n"


def private_to_bodies(lines, nodes, called):
    """The names of the private functions that nothing uses but the bodies of the functions `called`."""
    unused = [name for name in nodes if private(name) and name not in called]
    used = words_in(replaced(lines, nodes, {name: [] for name in (*called, *unused)}))
    while more := {name for name in unused if name in used}:  # what a given function uses stays, and what that uses
        unused = [name for name in unused if name not in more]
        used |= words_in(line for name in more for line in textwrap.dedent("\n".join(lines_of(lines, nodes[name]))).splitlines())
    return unused


# ---- functions in a text


def functions_in(tree):
    """name -> node of the functions at the top of a text and those of its classes."""
    nodes = [*tree.body, *(node for part in tree.body if isinstance(part, ast.ClassDef) for node in part.body)]
    return {node.name: node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def first_line(node):
    """The number of the line where a function or statement begins, decorators included."""
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])


def lines_of(lines, node):
    return lines[first_line(node) - 1 : node.end_lineno]


def replaced(lines, nodes, replacements):
    """The lines with some functions replaced. replacements: name -> lines; where there are none, the empty lines above go, too."""
    lines = list(lines)
    for name in sorted(replacements, key=lambda name: -nodes[name].lineno):
        start, end = first_line(nodes[name]) - 1, nodes[name].end_lineno
        while not replacements[name] and start and not lines[start - 1].strip():
            start -= 1
        lines[start:end] = replacements[name]
    return lines


def words_in(lines):
    """The names and attributes in some lines; none where they are not Python."""
    try:
        tree = ast.parse("\n".join(lines))
    except (IndentationError, SyntaxError):  # a class of which everything was taken out
        return set()
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


# ---- head and body of a function


def split(lines, node):
    """-> head, body, indent: the lines up to the docstring, with it; those of the body, with the comments above it; its indent.

    A body on the line of its `def` gets a line of its own."""
    first = node.body[0]
    on_its_own_line = first.lineno > node.lineno and lines[first.lineno - 1][: first.col_offset].strip() == ""
    return split_below(lines, node) if on_its_own_line else split_beside(lines, node)


def split_below(lines, node):
    """`split` for a function whose body begins below its `def`."""
    start, end, document, first = first_line(node) - 1, node.end_lineno, docstring_of(node), node.body[0]
    indent = " " * first.col_offset
    if document is not None:
        middle = document.end_lineno
        behind = after(lines[middle - 1], document).strip(" ;")
        if behind and not behind.startswith("#"):  # a statement behind the docstring, on its line
            head = lines[start : middle - 1] + [lines[middle - 1].encode()[: document.end_col_offset].decode()]
            return head, [indent + behind, *lines[middle:end]], indent
    else:
        middle = first_line(first) - 1
        while lines[middle - 1].strip().startswith("#"):
            middle -= 1
    return lines[start:middle], lines[middle:end], indent


def split_beside(lines, node):
    """`split` for a function whose body begins on the line of its `def`."""
    start, end, document, first = first_line(node) - 1, node.end_lineno, docstring_of(node), node.body[0]
    indent = " " * (node.col_offset + 4)
    signature = lines[first.lineno - 1].encode()[: first.col_offset].decode().rstrip()
    head = [*lines[start : first.lineno - 1], signature]
    if document is None:
        return head, [indent + lines[first.lineno - 1].encode()[first.col_offset :].decode().strip(), *lines[first.lineno : end]], indent
    head.append(indent + ast.get_source_segment("\n".join(lines), document))
    behind, below = after(lines[document.end_lineno - 1], document).strip(" ;"), lines[document.end_lineno : end]
    return head, [indent + behind, *below] if behind else below, indent


def after(line, node):
    """What follows a statement on its last line. `ast` counts in bytes."""
    return line.encode()[node.end_col_offset :].decode()
