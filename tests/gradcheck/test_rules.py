"""Single rules: outputs, parameters, points that prove nothing, aliases, error messages."""

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from gradcheck_layers import GreedyReLU, Plain, PlainFlatten, PlainLinear, PlainReLU, ReusingReLU, rng
from gradcheck_mistakes import plant

from minigrad import Linear, ReLU, Sequential, SoftmaxCrossEntropy
from minigrad.gradcheck import CHECKS, check_layer, kink_free


@pytest.mark.parametrize(
    "y, sentence",
    [
        ("[1.0]", "forward returns list, where an array of floats is expected"),
        ("(x > 0)", "forward returns bool"),
        ("x.astype(np.float32)", "float64 went in, but y is float32"),
        ("np.where(x > 1.5, np.nan, x)", r"y holds nan, first at \(\d, \d\)"),
    ],
)
def test_outputs_that_mean_nothing(y, sentence):
    cls = plant(PlainReLU, "return np.maximum(x, 0)", f"return {y}")
    report = check_layer(cls, (3, 5))
    assert report.status == "failed" and re.search(sentence, report.cause) and report.entries == ()


def test_parameters_have_names_and_live_arrays():
    class Twice(PlainLinear):
        names = ("W", "W", "b")

    class Copies(PlainLinear):
        def parameters(self):
            return [SimpleNamespace(name=p.name, value=p.value.copy(), grad=p.grad) for p in super().parameters()]

    class Numbers(PlainLinear):
        def parameters(self):
            return [SimpleNamespace(name="W", value=3.0, grad=None)]

    class Bare(PlainLinear):
        def parameters(self):
            return [self.W, self.b]

    class Whole(PlainLinear):
        def astype(self, dtype):
            return self

        def __init__(self):
            self.W, self.b = np.zeros((5, 4), np.float32), np.zeros(4, np.float32)

    expected = {
        Twice: "the name 'W' twice",
        Copies: "W is another array after forward",
        Numbers: "W must be an array of floats, but is float",
        Bare: "parameters() must yield objects with name, value and grad",
        Whole: "W is float32 after astype(float64)",
    }
    for cls, sentence in expected.items():
        report = check_layer(cls, (3, 5))
        assert report.status == "failed" and sentence in report.cause, str(report)


def test_warnings_of_the_layer_become_notes():
    cls = plant(PlainReLU, "self.mask = x > 0", "self.mask = x > 0; np.exp(1e5 * x); np.log(-x)")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = check_layer(cls, (3, 5))
    assert report.ok and len(report.notes) >= 2 and "warning: overflow encountered in exp (line" in report.notes[0]


class GreedierReLU(GreedyReLU):
    def forward(self, x):
        return super().forward(np.maximum(x, 0, out=x))


def test_each_writer_is_quoted_with_its_own_line():
    found = {finding.rule: finding.sentence for finding in check_layer(GreedierReLU, (3, 5)).findings}
    assert "`return super().forward(np.maximum(x, 0, out=x))`" in found["writes-x"] and "`dy *= self.mask`" in found["writes-dy"]


def test_backward_before_forward_may_not_be_silent():
    class Silent(PlainReLU):
        def backward(self, dy):
            if not hasattr(self, "mask"):
                raise RuntimeError
            return dy * self.mask

    assert "it should say what is wrong" in check_layer(Silent, (3, 5)).cause
    assert check_layer(Silent(), (3, 5)).ok  # whoever hands in a layer may have used it


def test_a_nan_a_small_step_away_is_a_finding():
    x = kink_free((3, 5), rng(), 0.5, 2.0)
    x[1, 2] = 0.0
    cls = plant(PlainReLU, "np.maximum(x, 0)", "x**1.5")
    assert "a small step away, at (1, 2)" in check_layer(cls, x).cause
    assert "a small step away" in check_layer(cls, np.resize(x, (3, 400)), budget=500).cause


def test_a_point_that_proves_nothing_is_a_finding():
    report = check_layer(PlainReLU, -abs(kink_free((3, 5), rng())))
    assert [f.rule for f in report.findings] == ["uninformative"] and "choose another x" in report.cause


def test_an_output_that_does_not_depend_on_a_tensor_is_a_note():
    report = check_layer(SoftmaxCrossEntropy, (3, 1), np.zeros(3, int))
    assert report.ok and report.notes == ("y does not depend on x.",)


def test_parameters_are_drawn_again_while_all_units_are_silent():
    """One of two units alone is silent for every second bias, and then its weights' gradient vanishes."""
    for seed in range(10):
        net = Sequential(fc1=Linear(2, 1), relu1=ReLU(), fc2=Linear(1, 3))
        assert check_layer(net, np.full((3, 2), 0.1), seed=seed, checks=("values",)).ok


class Larger(Plain):
    """y = max(3 a, b), where x = (a, b)."""

    def forward(self, x):
        self.first = 3 * x[:, 0] > x[:, 1]
        return np.where(self.first, 3 * x[:, 0], x[:, 1])

    def backward(self, dy):
        return np.stack([3 * dy * self.first, dy * ~self.first], 1)


def test_a_tie_that_only_float32_has_is_a_note():
    a = rng().standard_normal(6).astype(np.float32)
    report = check_layer(Larger, np.stack([a, 3 * a], 1))  # 3 a in float32, not quite 3 a in float64
    assert report.ok and "dx differs in float32 by more than rounding; but at this x rounding alone moves" in report.notes[-1]


def test_half_precision_in_backward_is_a_finding_about_that_gradient():
    cls = plant(PlainLinear, "self.x.T @ dy", "(self.x.T @ dy if dy.dtype == 'f8' else (self.x.T @ dy).astype('f2').astype('f4'))")
    assert [(f.check, f.rule, f.tensor) for f in check_layer(cls, (3, 5)).findings] == [("dtype", "rounding", "W")]


class RudeReLU(PlainReLU):
    """Correct but for what a library asks beyond that."""

    def forward(self, x):
        self.mask = x > 0
        return x if x.min() > 0 else np.maximum(x, 0)

    def backward(self, dy):
        return dy if self.mask.all() else dy * self.mask


def test_views_of_the_input_are_a_note_for_students_and_a_finding_for_a_library():
    x = abs(kink_free((3, 5), rng()))
    assert check_layer(RudeReLU, x).notes == ("y shares memory with x: whoever changes one changes the other.",)
    report = check_layer(RudeReLU, x, checks=("alias",))
    assert [(f.check, f.rule, f.tensor) for f in report.findings] == [("alias", "alias", "y")]
    assert check_layer(PlainFlatten, (3, 2, 4), checks=CHECKS + ("alias",)).ok  # nothing but the shape is another


def test_buffers_used_again_are_a_note_for_students_and_a_finding_for_a_library():
    assert check_layer(ReusingReLU, (3, 5)).notes == ("y is overwritten by a later call.",)
    assert check_layer(ReusingReLU, (3, 5), checks=("alias",)).cause == "y is overwritten by a later call."


def test_errors_name_the_layer_and_both_numbers():
    integers, channels = check_layer(PlainLinear, (3, 5), checks=("errors",)).findings
    assert "An x of integers is accepted" in integers.sentence
    assert "25 channels in place of 5" in channels.sentence and "both numbers" in channels.sentence
