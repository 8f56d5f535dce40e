"""What a solution prints and warns of is collected, and nothing that it changes outside itself stays changed."""

import random
import sys
import warnings

import numpy as np

from minigrad import plain
from minigrad.coursework.exercises import ALL, find
from minigrad.coursework.judge.runner import run


def exercise(id):
    return find([id], ALL)[0]


def test_warnings_become_notes_and_prints_are_collected(capsys):
    class ReLU(plain.ReLU):
        def forward(self, x):
            print("here I am")
            warnings.warn("careful", stacklevel=1)
            print("and here", file=sys.stderr)
            return super().forward(x)

    result = run(exercise("relu.forward"), ReLU)
    assert result.status == "passes"
    assert "here I am\nand here\n" in result.output
    assert any(note.startswith("warning: careful (line") for note in result.reports[0].notes)
    assert capsys.readouterr() == ("", "")


def test_endless_printing_is_shortened():
    class ReLU(plain.ReLU):
        def forward(self, x):
            print("x" * 1_000_000)
            return super().forward(x)

    result = run(exercise("relu.forward"), ReLU)
    assert len(result.output) < 11_000 and "more characters" in result.output


def test_nothing_global_changes():
    class ReLU(plain.ReLU):
        def forward(self, x):
            np.random.seed(1)
            random.seed(1)
            np.seterr(all="raise")
            warnings.simplefilter("error")
            return super().forward(x)

    np.random.seed(7)
    random.seed(7)
    before = np.random.get_state()[1].copy(), random.getstate(), list(warnings.filters), np.geterr()
    run(exercise("relu.backward"), ReLU)
    after = np.random.get_state()[1].copy(), random.getstate(), list(warnings.filters), np.geterr()
    np.testing.assert_array_equal(before[0], after[0])
    assert before[1:] == after[1:]
