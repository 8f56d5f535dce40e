"""Worksheets: the imports, helpers and definitions of a file in its three forms."""

import ast
import re

import numpy as np
import pytest

from minigrad import plain
from minigrad.coursework import tasks
from minigrad.coursework.blanks import BEGIN, END, functions_in, split
from minigrad.coursework.exercises import ALL, EXERCISES
from minigrad.coursework.judge.caged.blank import docstring_of, is_blank
from minigrad.coursework.release.proof import LONG, normalised
from minigrad.coursework.source import text_of
from minigrad.coursework.worksheets import parts_of, worksheet


def test_a_file_has_the_imports_and_the_helpers_that_it_needs(thing):
    text = worksheet("A file.", [(thing, {"plain": "thing.plain"})], "solution")
    assert "import math\nimport numpy as np\n" in text and "OrderedDict" not in text
    assert "from minigrad.coursework import shared" in text
    given = worksheet("A file.", [(thing, {"with_docstring": "thing.with_docstring"})])
    assert "_given" in given and "_doubled" not in given and "_once" not in given


def test_what_the_given_part_uses_is_given_too():
    """Only backward is blank: forward needs its private helper."""
    text = worksheet("", [(plain.LocalResponseNorm, {"backward": "lrn.backward"})])
    space = {"__name__": "somewhere"}
    exec(text, space)
    x = np.random.default_rng(0).standard_normal((2, 3, 7))
    np.testing.assert_array_equal(space["LocalResponseNorm"]().forward(x), plain.LocalResponseNorm().forward(x))


@pytest.mark.parametrize("form", ["blank", "markers", "solution"])
@pytest.mark.parametrize("source", [plain.Conv2d, plain.im2col, plain.SGD, tasks.stages, tasks.windows], ids=lambda s: s.__name__)
def test_files_can_be_imported(source, form):
    functions = {name: name for name in ("forward", "backward", "step") if name in vars(source)} or {source.__name__: source.__name__}
    space = {"__name__": "somewhere"}
    exec(worksheet("", [(source, functions)], form), space)
    written = space[source.__name__]
    assert is_blank(getattr(written, next(iter(functions)), written)) == (form == "blank")


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)
def test_what_is_handed_out_holds_no_later_solution(exercise):
    """An exercise alone: neither its file nor what nbgrader and otter leave of it has a line that it or a later exercise asks for."""
    place = ALL.index(exercise)
    secrets = bodies(ALL[place:]) - bodies(ALL[:place])  # a variant shares lines with what it varies
    for form in ("blank", "markers"):
        text = re.sub(rf"{BEGIN}.*?{END}", "", worksheet("", parts_of([exercise]), form), flags=re.S)
        lines = {normalised(line) for line in text.splitlines()}
        assert not any(secret in line for secret in secrets for line in lines), form


def bodies(exercises):
    """The long lines of what exercises ask for, normalised."""
    found = set()
    for exercise in exercises:
        lines, nodes = text_of(exercise.source).splitlines(), functions_in(ast.parse(text_of(exercise.source)))
        for name in exercise.write:
            found |= {normalised(line) for line in split(lines, nodes[name])[1]}
    return {line for line in found if len(line) >= LONG}


def test_what_forward_and_backward_share_is_given():
    """`new lrn` brings the sum over a window of channels, as notebook 05 does."""
    group = [exercise for exercise in ALL if exercise.group == "lrn"]
    assert "def _window_sum" in worksheet("", parts_of(group)) and "def _window_sum" in worksheet("", parts_of(group[:1]))


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_docstrings_fit_a_narrow_window(exercise):
    """100 columns, as wide as a notebook's cell."""
    text = worksheet("", parts_of([exercise]))
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and (document := docstring_of(node)):
            assert all(len(line) <= 100 for line in text.splitlines()[document.lineno - 1 : document.end_lineno])
