"""Values: equal or not, and the sentence if not."""

import numpy as np
import pytest

from minigrad.coursework.exercises import find
from minigrad.coursework.judge.comparison import Value
from minigrad.coursework.judge.runner import run
from minigrad.coursework.source import plant


@pytest.mark.parametrize("yours, expected, said", [
    (np.ones(3), np.ones(4), "y has shape (3,), expected (4,)."),
    (np.array([1.0, 2.0]), np.array([1.0, 3.0]), "y[1]: yours 2, expected 3; 1 of 2 numbers are wrong."),
    (np.full(2, np.inf), np.ones(2), "y holds a nan or an infinity."),
    ("a", "b", "y: yours 'a', expected 'b'."), (True, False, "y: yours True, expected False."), (1e-3, 0.0, "y: yours"),
    (1.0, 1.0, ""), (0.0, 0.0, ""), (None, None, ""), ([1, 2], [1, 2], ""),
])  # fmt: skip
def test_values_say_what_is_wrong(yours, expected, said):
    assert Value("y", yours, expected).sentence().startswith(said)
    assert bool(said) == bool(Value("y", yours, expected).sentence())


@pytest.mark.parametrize("number", [10**400, -(10**400), 2**64], ids=["large", "small", "just too large"])
def test_a_number_that_no_dtype_holds_is_wrong_and_no_error(number):
    """Nor is it what a known mistake gives."""
    (loss,) = find(["loss.forward"])
    solution = type(loss.source.__name__, (plant(loss.source),), {"forward": lambda self, logits, labels: number})
    result = run(loss, solution)
    assert result.status == "wrong" and result.earned == 0 and result.cause
    assert not Value("y", number, 1.0).equals(Value("y", 1.0, 1.0)) and not Value("y", 1.0, 1.0).equals(Value("y", number, 1.0))
