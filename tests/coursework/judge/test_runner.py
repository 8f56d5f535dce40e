"""The runner: points, hints, blanks of other exercises, and a sentence for whatever a solution does."""

from functools import partial

import numpy as np
import pytest

from minigrad import plain
from minigrad.coursework.exercises import ALL, find
from minigrad.coursework.judge import gradients
from minigrad.coursework.judge.runner import cause_of, run
from minigrad.coursework.source import plant
from minigrad.gradcheck import CHECKS, check_layer
from minigrad.layers.base import Layer


def exercise(id):
    return find([id], ALL)[0]


def test_points_are_in_proportion_to_the_cases_that_pass():
    e = exercise("conv2d.backward")
    late = next(m for m in e.mistakes if m.name == "stride forgotten in col2im")
    result = run(e, plant(e.source, late))
    passed = sum(case.weight for case, report in zip(e.cases, result.reports, strict=True) if report.ok)
    assert 0 < result.earned < e.points and result.status == "wrong"
    assert result.earned == pytest.approx(e.points * passed / sum(case.weight for case in e.cases), abs=1e-3)


def test_an_earlier_blank_is_filled_in_from_the_model():
    """backward is written, forward is not."""

    class Linear(Layer):
        names = ("W", "b")
        __init__ = plain.Linear.__init__

        def forward(self, x):
            raise NotImplementedError

        def backward(self, dy):
            self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
            return dy @ self.W.T

    assert run(exercise("linear.backward"), Linear).status == "passes"
    assert run(exercise("linear.forward"), Linear).status == "not started"


def test_backward_of_another_forward_does_not_count():
    """A right derivative of the wrong thing."""

    class Linear(plain.Linear):
        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, dy):
            dx = super().backward(dy)
            self.db = np.zeros_like(self.b)
            return dx

    result = run(exercise("linear.backward"), Linear)
    assert result.status == "wrong"
    assert [cause_of(report) for report in result.reports[1:]] == ["Every output gets its bias."] * 3


@pytest.mark.parametrize("what, words", [
    ("raise KeyError('gone')", "KeyError"), ("import sys; sys.exit(3)", "ends the program"), ("return 'text'", "y: yours 'text', expected"),
    ("return x[0]", "y has shape"), ("return x * np.nan", "y holds a nan"), ("return [1, 2]", "y: yours [1, 2]"),
])  # fmt: skip
def test_whatever_a_solution_does_is_a_sentence(what, words):
    source = f"class Tanh(Layer):\n    def forward(self, x):\n        {what}\n    def backward(self, dy):\n        return dy\n"
    space = {"Layer": Layer, "np": np}
    exec(source, space)
    result = run(exercise("tanh.forward"), space["Tanh"])
    assert result.status == "wrong" and words in result.cause


def test_hints_are_for_exactly_these_numbers():
    """Half as much again is no known mistake."""

    class Linear(plain.Linear):
        def forward(self, x):
            return 1.5 * super().forward(x)

    result = run(exercise("linear.forward"), Linear)
    assert "all by the factor 1.5" in result.cause


def test_the_message_names_case_seed_and_command():
    e = exercise("conv2d.backward")
    mistake = next(m for m in e.mistakes if m.name == "dW divided by N")
    result = run(e, plant(e.source, mistake), [e.cases[2]], seed=3)
    text = result.failing.text(again="HERE")
    assert text.startswith("✗ conv2d.backward · stride2-pad · seed 3 · ")
    assert "90 of 90 wrong" in text and "dW is averaged over the images. Layers sum; only the loss divides by N." in text
    assert text.endswith("  again:  HERE")


NEEDED = {  # without one of the checker's checks these bugs would survive
    "values": {"tanh.backward": ["1 - y"], "lrn.backward": ["no cross term"], "maxpool.backward": ["every maximum gets dy"]},
    "contract": {
        "linear.backward": ["dW accumulates", "x of an old batch"],
        "relu.backward": ["mask of an old batch"],
        "flatten.backward": ["shape of the first batch"],
        "conv2d.backward": ["dW accumulates", "patches of an old batch"],
        "maxpool.backward": ["winners of an old batch"],
    },
    "dtype": {"relu.backward": ["float64 scalar"], "conv2d.backward": ["float64 scalar"]},
    "layout": {"flatten.backward": ["memory order in backward"]},
}


@pytest.mark.parametrize("check", NEEDED)
def test_each_check_is_needed(check, monkeypatch):
    """The kill matrix says that they are caught; with the check switched off they are not."""
    others = tuple(name for name in CHECKS if name != check)
    monkeypatch.setattr(gradients, "check_layer", partial(check_layer, checks=others))
    for id, names in NEEDED[check].items():
        e = exercise(id)
        for mistake in [mistake for mistake in e.mistakes if mistake.name in names]:
            print(f"\n  without {check}: {id}, {mistake.name} survives", end="")
            assert run(e, plant(e.source, mistake)).status == "passes"
