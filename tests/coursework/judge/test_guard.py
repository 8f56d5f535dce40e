"""The guard: what the text of a graded solution may not use."""

import pytest

from minigrad.coursework.exercises import find
from minigrad.coursework.judge.guard import scan

(RELU,) = find(["relu.backward"])


@pytest.mark.parametrize("text, sentence", [
    ("import torch.nn as nn", "line 1 uses torch.nn, which is not allowed here: write it with NumPy."),
    ("def f():\n    from scipy import signal", "line 2 uses scipy.signal, which is not allowed here: write it with NumPy."),
    ("import pandas", "line 1 uses pandas, which is not allowed here: write it with NumPy."),
    ("from minigrad import *", "line 1 imports everything from minigrad: name what is needed."),
    ("import importlib.util", "line 1 uses importlib, which is not allowed here: use import."),
    ("x = eval('1')", "line 1 uses eval, which is not allowed here."),
    ("object.__subclasses__()", "line 1 uses __subclasses__, which is not allowed here."),
    ("from minigrad import ReLU", "line 1 uses minigrad.ReLU, which is the solution: write your own."),
    ("import minigrad as m\n\nm.ReLU()", "line 3 uses minigrad.ReLU, which is the solution: write your own."),
    ("from minigrad.plain import Linear",
     "line 1 uses minigrad.plain.Linear; from this project only minigrad and minigrad.coursework may be imported."),
])  # fmt: skip
def test_what_is_refused(text, sentence):
    assert scan(text, RELU, ["pandas"]) == sentence


@pytest.mark.parametrize("text", [
    "import numpy as np\nfrom minigrad.coursework import Layer\nfrom minigrad import Linear", "import pandas", "class (:", "self.eval()",
])  # fmt: skip
def test_what_is_not(text):
    """Imports of what is not the solution, a method called eval; and a text that is not Python, which others judge."""
    assert scan(text, RELU) == ""
