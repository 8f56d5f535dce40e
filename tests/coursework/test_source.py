"""Blanks, solutions and planted mistakes are cut out of one text, the model's own."""

import ast
import importlib.util
import sys

import numpy as np
import pytest

from minigrad import plain
from minigrad.coursework import tasks
from minigrad.coursework.source import Mistake, blank, file_text, helpers, is_blank, only_blank, plant, text_of

MODULE = '''
import math
import numpy as np
from collections import OrderedDict


def _doubled(x):
    """Twice x."""
    return _once(x) + _once(x)


def _once(x):
    return x


def _given(x):
    return x


def shared(x):
    return np.asarray(x)


class Thing:
    """A thing."""

    def one_line(self): return 1
    def documented(self): "What it does."; return math.pi

    def plain(self, x,
              y=2):
        # This comment belongs to the body.
        # So does this one.
        z = x + y  # and this

        return self._helper(z)

    def with_docstring(self, x):
        """The sum
        over two lines."""

        # A comment above the first statement.
        total = _doubled(x)
        for _ in range(2):
            total += 1
        return total

    @property
    def decorated(self):
        """A property."""
        return self._kept()

    def nested(self):
        @staticmethod
        def inner():
            return "ü"

        return inner, shared(3)

    def _helper(self, z):
        return self._deeper(z)

    def _deeper(self, z):
        return z

    def _kept(self):
        return _given(1)

    def empty(self):
        """Nothing but words."""
'''


@pytest.fixture(scope="module")
def thing(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "a_module.py"
    path.write_text(MODULE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("a_module", path)
    module = sys.modules["a_module"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.Thing
    del sys.modules["a_module"]


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


def test_helpers_of_the_module_in_the_order_of_the_file(thing):
    assert [helper.__name__ for helper in helpers(thing)] == ["_doubled", "_once", "_given", "shared"]


def test_a_file_has_the_imports_and_the_helpers_that_it_needs(thing):
    text = file_text("A file.", [(thing, {"plain": "thing.plain"})], "solution")
    assert "import math\nimport numpy as np\n" in text and "OrderedDict" not in text
    assert "from minigrad.coursework import shared" in text
    given = file_text("A file.", [(thing, {"with_docstring": "thing.with_docstring"})])
    assert "_given" in given and "_doubled" not in given and "_once" not in given


def test_what_the_given_part_uses_is_given_too():
    """Only backward is blank: forward needs its private helper."""
    text = file_text("", [(plain.LocalResponseNorm, {"backward": "lrn.backward"})])
    space = {"__name__": "somewhere"}
    exec(text, space)
    x = np.random.default_rng(0).standard_normal((2, 3, 7))
    np.testing.assert_array_equal(space["LocalResponseNorm"]().forward(x), plain.LocalResponseNorm().forward(x))
    assert "_window_sum" not in file_text("", [(plain.LocalResponseNorm, {"forward": "lrn.forward", "backward": "lrn.backward"})])


@pytest.mark.parametrize("form", ["blank", "markers", "solution"])
@pytest.mark.parametrize("source", [plain.Conv2d, plain.im2col, plain.SGD, tasks.stages, tasks.windows], ids=lambda s: s.__name__)
def test_files_can_be_imported(source, form):
    functions = {name: name for name in ("forward", "backward", "step") if name in vars(source)} or {source.__name__: source.__name__}
    space = {"__name__": "somewhere"}
    exec(file_text("", [(source, functions)], form), space)
    written = space[source.__name__]
    assert is_blank(getattr(written, next(iter(functions)), written)) == (form == "blank")


@pytest.mark.parametrize("body, expected", [
    ("raise NotImplementedError", True), ("raise NotImplementedError('x')", True), ("...", True), ("pass", True), ('"""Words."""', True),
    ("return None", False), ("raise ValueError", False), ("x = 1; raise NotImplementedError", False),
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


# ---- planting


def test_a_planted_mistake_changes_a_copy():
    mistake = Mistake("sign", "return dy @", "return -dy @", "The sign.")
    wrong = plant(plain.Linear, mistake)
    layers = [cls(3, 2, rng=np.random.default_rng(0)) for cls in (plain.Linear, wrong)]
    x, dy = np.ones((1, 3), np.float32), np.ones((1, 2), np.float32)
    dx = [layer.forward(x) is not None and layer.backward(dy) for layer in layers]
    np.testing.assert_array_equal(dx[0], -dx[1])


def test_a_mistake_may_lie_in_a_helper():
    wrong = plant(plain.LocalResponseNorm, Mistake("x", "size // 2, size // 2)", "0, size - 1)"))
    x = np.arange(7.0)[None]
    assert not np.array_equal(wrong().forward(x), plain.LocalResponseNorm().forward(x))


@pytest.mark.parametrize("old, times", [("self.nothing", 0), ("self.W", 3)])
def test_the_text_of_a_mistake_occurs_exactly_once(old, times):
    with pytest.raises(ValueError, match=f"occurs {times} times in the model, not once"):
        plant(plain.Linear, Mistake("x", old, ""))


def test_errors_in_planted_code_show_their_line():
    wrong = plant(plain.ReLU, Mistake("raises", "return dy * self.positive", "raise KeyError(dy)"))
    import traceback

    try:
        wrong().backward(1)
    except KeyError as error:
        assert traceback.extract_tb(error.__traceback__)[-1].line == "raise KeyError(dy)"
