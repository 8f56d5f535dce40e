"""Ways in which students write the exercises, right ones and wrong ones, and what the checker has to say about each: student_ways.txt.

There each way has a line `### exercise | what is said`, and below it the body of the function that is to be written. A line `# forward` or
`# backward` begins the body of another function. What is said of a wrong way: the names of known mistakes, whose hints must be the cause;
"~ ..." is a pattern of words instead, in the cause or in what was found; " & " stands between several. "no known mistake": no hint may be
given. Whatever is said, no hint of another mistake may stand in any cause."""

import ast
import functools
import linecache
import re
import textwrap
import zlib
from pathlib import Path

from minigrad.coursework.exercises import ALL, find
from minigrad.coursework.source import helpers, module_of, text_of


def ways():
    """[(id of the exercise, what is said, body)]"""
    text = (Path(__file__).parent / "student_ways.txt").read_text(encoding="utf-8")
    found = re.findall(r"^### (\S+) \| (.*)\n((?:(?!### ).*\n)*)", text, re.MULTILINE)
    return [(id, said, body.rstrip() + "\n") for id, said, body in found]


def exercise_of(id):
    return find([id], ALL)[0]


def text_with(id, body):
    """The text of the exercise's class or function with this body in place of the model's; with the functions that it uses."""
    exercise = exercise_of(id)
    parts = re.split(r"^# (forward|backward)\n", body, flags=re.MULTILINE)
    bodies = {exercise.write[0]: parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))
    text = "\n\n\n".join(text_of(part) for part in [*helpers(exercise.source), exercise.source])
    lines = text.splitlines()
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef) and node.name in bodies]
    for node in sorted(found, key=lambda node: -node.lineno):
        indent = " " * node.body[0].col_offset
        lines[node.body[0].lineno - 1 : node.end_lineno] = textwrap.indent(bodies[node.name], indent).splitlines()
    return "\n".join(lines) + "\n"


@functools.cache
def written(id, body):
    """The exercise's class or function with this body."""
    exercise, text = exercise_of(id), text_with(id, body)
    filename = f"student_{exercise.group}_{zlib.crc32(body.encode())}.py"  # messages show lines of it
    linecache.cache[filename] = len(text), None, text.splitlines(keepends=True), filename
    space = dict(vars(module_of(exercise.source)))
    exec(compile(text, filename, "exec"), space)
    return space[exercise.source.__name__]


def is_said(id, said, reports):
    """Whether the reports on a wrong solution say what they should, and name no other known mistake: "" or what is wrong with them."""
    hints = {mistake.name: mistake.hint for mistake in reversed(exercise_of(id).mistakes + exercise_of(id).others) if mistake.hint}
    causes = [report.cause for report in reports if not report.ok]
    texts = causes + [finding.sentence for report in reports for finding in report.findings]
    wanted = said.split(" & ") if said != "no known mistake" else []
    expected = {hints[name] for name in wanted if not name.startswith("~")}
    patterns = [name[1:] for name in wanted if name.startswith("~")]
    named = {hint for hint in hints.values() if any(hint in cause for cause in causes)}
    missing = [hint for hint in expected if hint not in named] + [p for p in patterns if not any(re.search(p, text) for text in texts)]
    false = [hint for hint in named - expected if not any(re.search(p, hint) for p in patterns if p)]
    return f"missing {missing}, false {false}, said {causes}" if missing or false else ""
