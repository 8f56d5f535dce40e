"""Worksheets: the imports, helpers and definitions of a file in its three forms."""

import numpy as np
import pytest

from minigrad import plain
from minigrad.coursework import tasks
from minigrad.coursework.blanks import is_blank
from minigrad.coursework.worksheets import worksheet


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
    assert "_window_sum" not in worksheet("", [(plain.LocalResponseNorm, {"forward": "lrn.forward", "backward": "lrn.backward"})])


@pytest.mark.parametrize("form", ["blank", "markers", "solution"])
@pytest.mark.parametrize("source", [plain.Conv2d, plain.im2col, plain.SGD, tasks.stages, tasks.windows], ids=lambda s: s.__name__)
def test_files_can_be_imported(source, form):
    functions = {name: name for name in ("forward", "backward", "step") if name in vars(source)} or {source.__name__: source.__name__}
    space = {"__name__": "somewhere"}
    exec(worksheet("", [(source, functions)], form), space)
    written = space[source.__name__]
    assert is_blank(getattr(written, next(iter(functions)), written)) == (form == "blank")
