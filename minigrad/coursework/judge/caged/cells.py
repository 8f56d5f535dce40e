"""The cells of a notebook as Python: what a kernel takes out of a cell before it is compiled (`%` and `!` lines, help lines) becomes
`pass`.

Only a line at which a statement may begin is such a line; inside brackets and strings `%` is what Python says it is."""

import ast
import json
import re

SKIPPED = (
    "bash",
    "sh",
    "script",
    "html",
    "HTML",
    "javascript",
    "js",
    "latex",
    "markdown",
    "svg",
    "SVG",
    "perl",
    "ruby",
    "cmd",
    "system",
    "sx",
)
SHELL = re.compile(r"(pip3?|conda|mamba|ls|cd|pwd|mkdir|cat|rm|cp|mv)(\s+[-\w./~][^=(]*)?$")
MAGIC = re.compile(r"(?P<indent>\s*)(?P<name>[\w.,\s\[\]]+=\s*)?(?P<mark>%%?[A-Za-z_]|!|\?)")
TIMED = re.compile(r"\s*%time\s+(?P<statement>.+)")
RUN = re.compile(r"%run\s+(?:-i\s+)?(?:\./)?(?P<module>[A-Za-z_]\w*)(?:\.py)?\s*")
PYLAB = "import numpy; np = numpy; from numpy import *"  # of what %pylab does, what is not for pictures
HELP = re.compile(r"\s*[\w.\[\]'\"%*()]+\s*\?\??\s*(#.*)?$")


class CannotRead(Exception):
    """A notebook whose code cannot be read: a sentence."""


def code_cells(name, content):
    """The texts of the code cells. name: the notebook's, for the sentence; content: bytes. Raises CannotRead."""
    try:
        notebook = json.loads(content)  # finds out which UTF it is
        cells = notebook["cells"] if "cells" in notebook else [c for sheet in notebook["worksheets"] for c in sheet["cells"]]
        texts = [cell.get("source", cell.get("input", "")) for cell in cells if cell["cell_type"] == "code"]
        return [text if isinstance(text, str) else "".join(text) for text in texts]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CannotRead(f"{name} is not a notebook") from None


def python_of(cell):
    """The Python of a cell, with as many lines. A cell in another language is empty."""
    lines = re.split(r"\r\n|\r|\n", cell)
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if re.match(r"%%\w", lines[first]):
        if lines[first][2:].split()[0] in SKIPPED:
            return ""
        lines[first] = ""
    text = "\n".join(lines)
    return text if is_python(text) else "\n".join(without_magics(lines))


def is_python(text):
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def without_magics(lines):
    """The lines, those that only a kernel understands replaced."""
    state, found, goes_on = State(), [], False
    for line in lines:
        if goes_on:  # a magic line that ends in a backslash
            goes_on = line.endswith("\\")
            found.append("")
            continue
        replaced = kernel_line(line) if state.at_start else None
        if replaced is None:
            state.read(line)
        else:
            goes_on = line.endswith("\\")
        found.append(line if replaced is None else replaced)
    return found


def kernel_line(line):
    """What stands in for a line that only a kernel understands, or None for any other."""
    match = MAGIC.match(line)
    indent = line[: len(line) - len(line.lstrip())]
    if (timed := TIMED.match(line)) and is_python(timed["statement"]):  # what it assigns stays
        return indent + timed["statement"]
    if run := RUN.fullmatch(line):
        return f"from {run['module']} import *"
    if line.startswith("%pylab"):
        return PYLAB
    if match and match["mark"] != "?":
        return f"{indent}{match['name']}None" if match["name"] else f"{indent}pass"
    if line.lstrip().startswith("?") or HELP.match(line) or SHELL.match(line.strip()) and not is_python(line.strip()):
        return f"{indent}pass"
    return None


class State:
    """Where a reader of Python stands after some lines: in a string, in brackets, behind a backslash, or where a statement begins."""

    def __init__(self):
        self.quote, self.depth, self.continued = "", 0, False

    @property
    def at_start(self):
        return not (self.quote or self.depth or self.continued)

    def read(self, line):
        i, self.continued = 0, False
        while i < len(line):
            if self.quote:
                if line[i] == "\\":
                    i += 2
                    continue
                if line.startswith(self.quote, i):
                    i += len(self.quote)
                    self.quote = ""
                    continue
            elif line[i] == "#":
                return
            elif line[i] in "'\"":
                self.quote = line[i] * 3 if line.startswith(line[i] * 3, i) else line[i]
                i += len(self.quote)
                continue
            elif line[i] in "([{":
                self.depth += 1
            elif line[i] in ")]}":
                self.depth = max(0, self.depth - 1)
            elif line[i] == "\\" and i == len(line) - 1:
                self.continued = True
            i += 1
        if len(self.quote) == 1 and not line.endswith("\\"):
            self.quote = ""  # a string on one line ends there, or is an error
