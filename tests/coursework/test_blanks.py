"""Blanks: what is taken out of a text, and what counts as blank."""

import ast
import importlib.util
import sys

import numpy as np
import pytest

from minigrad.coursework.blanks import blank
from minigrad.coursework.judge.caged.blank import is_blank, only_blank
from minigrad.coursework.source import text_of


def made(text, thing):
    """The class that a text defines."""
    space = dict(vars(sys.modules[thing.__module__]))
    exec(text, space)
    return space["Thing"]


@pytest.mark.parametrize("name", ["one_line", "documented", "plain", "with_docstring", "nested", "empty", "decorated"])
def test_a_blank_is_signature_docstring_and_raise(thing, name):
    text = blank(thing, {name: f"thing.{name}"})
    node = next(n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef) and n.name == name)
    assert only_blank(node)
    function = made(text, thing).__dict__[name]
    function = function.fget if isinstance(function, property) else function
    original = thing.__dict__[name]
    original = original.fget if isinstance(original, property) else original
    assert function.__doc__ == original.__doc__
    assert function.__code__.co_varnames[: function.__code__.co_argcount] == original.__code__.co_varnames[: original.__code__.co_argcount]
    with pytest.raises(NotImplementedError, match=f"thing.{name} is not written yet"):
        function(*[1] * function.__code__.co_argcount)


def test_all_else_stays_as_it_was_written(thing):
    text, original = blank(thing, ["with_docstring"]), text_of(thing)
    gone = ["# A comment above the first statement.", "total = _doubled(x)", "for _ in range(2):", "total += 1", "return total"]
    kept = [line for line in original.splitlines() if line.strip() not in gone]
    assert [line for line in text.splitlines() if "raise" not in line and line.strip()] == [line for line in kept if line.strip()]
    assert "    def plain(self, x,\n              y=2):\n" in text


def test_comments_above_the_first_statement_belong_to_the_body(thing):
    assert "comment" not in blank(thing, ["plain", "with_docstring"])


def test_private_functions_that_only_the_solution_uses_are_dropped(thing):
    text = blank(thing, ["plain"])
    assert "_helper" not in text and "_deeper" not in text
    assert "def _kept" in text
    assert "def _kept" not in blank(thing, ["decorated"])
    assert "def _deeper" in blank(thing, ["decorated"])


def test_a_function_that_is_not_there(thing):
    with pytest.raises(ValueError, match="Thing has no function 'sideways' that could be left blank; it has one_line, documented"):
        blank(thing, ["sideways"])


def test_markers_keep_the_solution(thing):
    text = blank(thing, ["plain", "one_line", "documented"], markers=True)
    assert text.count("# BEGIN SOLUTION") == text.count("# END SOLUTION") == 5  # two private functions, too
    for line in text.splitlines():
        assert "SOLUTION" not in line or line.strip() in ("# BEGIN SOLUTION", "# END SOLUTION")
    solved = made(text, thing)()
    assert solved.plain(1) == 3 and solved.one_line() == 1 and solved.documented() == np.pi
    inside, kept = False, []
    for line in text.splitlines():  # what nbgrader and otter do
        inside = (inside or "BEGIN SOLUTION" in line) and "END SOLUTION" not in line
        kept += [] if inside or "END SOLUTION" in line else [line]
    assert "x + y" not in "\n".join(kept) and "_deeper" not in "\n".join(kept)


@pytest.mark.parametrize("body, expected", [
    ("raise NotImplementedError", True), ("raise NotImplementedError('x')", True), ("...", True), ("pass", True), ('"""Words."""', True),
    ("return None", True), ("return", True), ("return ...", True), ("return 0", False),
    ("raise ValueError", False), ("x = 1; raise NotImplementedError", False),
])  # fmt: skip
def test_what_counts_as_blank(body, expected, tmp_path):
    path = tmp_path / "written.py"
    path.write_text(f"def f(x):\n    {body}\n")
    spec = importlib.util.spec_from_file_location("written", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert is_blank(module.f) == expected


def test_blank_without_a_source_to_look_at():
    space = {}
    exec("def f(x):\n    raise NotImplementedError('f')\ndef g(x):\n    return x", space)
    assert is_blank(space["f"]) and not is_blank(space["g"])
