"""The text of a model solution with its helpers, and mistakes planted in copies of it."""

import traceback

import numpy as np
import pytest

from minigrad import plain
from minigrad.coursework.source import Mistake, helpers, plant


def test_helpers_of_the_module_in_the_order_of_the_file(thing):
    assert [helper.__name__ for helper in helpers(thing)] == ["_doubled", "_once", "_given", "shared"]


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
    try:
        wrong().backward(1)
    except KeyError as error:
        assert traceback.extract_tb(error.__traceback__)[-1].line == "raise KeyError(dy)"
