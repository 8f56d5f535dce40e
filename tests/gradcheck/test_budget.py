"""The budget is kept, and large tensors are checked along directions."""

import pytest
from gradcheck_layers import (
    InclusiveReLU,
    LastPool,
    OneWeightOff,
    PlainDropout,
    PlainLinear,
    PlainPool,
    PlainReLU,
    SharedPool,
    kinked,
    rng,
    tied,
)
from gradcheck_mistakes import plant

from minigrad import Linear, MaxPool2d, ReLU, Sequential, Tanh
from minigrad.gradcheck import CHECKS, check_layer, kink_free

ALL = CHECKS + ("alias", "errors")


class Counting:
    """Counts every call of forward, also those of its copies."""

    calls = 0

    def __init__(self, layer):
        self.layer = layer

    def forward(self, x, *args):
        Counting.calls += 1
        return self.layer.forward(x, *args)

    def backward(self, *dy):
        return self.layer.backward(*dy)

    def parameters(self):
        return self.layer.parameters()

    def astype(self, dtype):
        self.layer.astype(dtype)
        return self


@pytest.mark.parametrize("budget", [200, 700, 3000])
@pytest.mark.parametrize(
    "make, kind", [(lambda: PlainLinear(40, 30), kink_free), (PlainReLU, kinked), (OneWeightOff, kink_free), (PlainDropout, tied)]
)
def test_the_budget_is_kept(make, kind, budget):
    Counting.calls = 0
    x = kind((4, 500 if make is OneWeightOff else 40), rng())
    report = check_layer(lambda: Counting(make()), x, budget=budget, checks=ALL[:-1])
    assert report.evaluations == Counting.calls <= budget
    assert report.ok == (make is not OneWeightOff), str(report)


def test_the_budget_is_kept_where_everything_is_wrong():
    wrong = plant(PlainReLU, "dy * self.mask", "2 * dy")
    for budget, kind in ((200, kinked), (1000, kink_free), (1000, tied)):
        Counting.calls = 0
        report = check_layer(lambda: Counting(wrong()), kind((4, 50), rng()), budget=budget)
        assert report.status == "failed" and report.evaluations == Counting.calls <= budget


def test_small_tensors_by_elements_large_ones_by_directions():
    report = check_layer(lambda: PlainLinear(100, 90), (3, 100))
    assert {entry.tensor: entry.method for entry in report.entries} == {"x": "elements", "W": "directions", "b": "elements"}
    W = next(entry for entry in report.entries if entry.tensor == "W")
    assert report.ok and W.checked == 40 and W.worst_error < 1e-8
    assert "ok, by directions" in str(report)


def test_steps_along_directions_are_short_enough_for_curved_functions():
    net = Sequential(fc1=Linear(1000, 60), tanh1=Tanh())
    errors = [entry.worst_error for entry in check_layer(net, (3, 1000), budget=1000, checks=("values",)).entries]
    assert max(errors) < 5e-9


def test_a_wrong_weight_among_a_quarter_of_a_million_is_found_and_named():
    for seed in (0, 1):
        report = check_layer(OneWeightOff, (3, 500), seed=seed, budget=1000)
        entry = next(entry for entry in report.entries if entry.wrong)
        assert (entry.tensor, entry.method, entry.index) == ("W", "directions", (123, 456))
        assert entry.yours == pytest.approx(1.01 * entry.expected, rel=1e-6)
        assert "one is (123, 456)" in report.cause and report.evaluations < 700


def test_a_large_tensor_at_kinks_and_ties():
    for make in (PlainReLU, InclusiveReLU, ReLU):
        report = check_layer(make, kinked((3, 4000), rng()), budget=2000)
        assert report.ok and report.entries[0].method == "directions", str(report)
    for make in (PlainPool, LastPool, SharedPool, MaxPool2d):
        report = check_layer(make, tied((3, 21, 20, 2), rng()), budget=2000)
        assert report.ok and report.kinks, str(report)
    wrong = plant(PlainPool, "best & (best.cumsum(-1) == 1)", "best")
    assert check_layer(wrong, tied((3, 21, 20, 2), rng()), budget=2000).findings[0].rule == "tie"


def test_large_tensors_that_are_wrong_altogether():
    assert check_layer(lambda: plant(PlainLinear, "self.x.T @ dy", "2 * self.x.T @ dy")(100, 90), (3, 100)).findings[0].tensor == "W"
    assert check_layer(lambda: plant(PlainLinear, "self.x.T @ dy", "0 * self.x.T @ dy")(100, 90), (3, 100)).findings[0].tensor == "W"
    report = check_layer(PlainReLU, -abs(kink_free((3, 4000), rng())), budget=2000)
    assert report.findings[0].rule == "uninformative"


def test_a_whole_network():
    from alexnet import AlexNet

    net = AlexNet("small", num_classes=3)
    x = kink_free((1, 28, 28, 3), rng(), 0.0, 1.0)
    report = check_layer(net, x, wrt_x=False, checks=("values",), budget=450)
    assert report.ok, str(report)
    assert {entry.tensor for entry in report.entries} == {p.name for p in net.parameters()}
