"""Wrong layers do not pass, and the report names the rule and the cause; each check is needed."""

import re

import pytest
from gradcheck_layers import PlainLinear, PlainReLU
from gradcheck_mistakes import WRONG, check_wrong, plant, planted

from minigrad.gradcheck import CHECKS, check_layer


@pytest.mark.parametrize("name", WRONG)
def test_wrong_layers_are_caught_with_their_cause(name):
    rule, cause = WRONG[name][4:6]
    for seed in (0, 1):
        report = check_wrong(name, seed)
        assert report.status == ("error" if rule == "raises" else "failed"), name
        assert report.findings[0].rule == rule, str(report)
        assert re.search(cause, report.cause) and bool(cause) == bool(report.cause), report.cause


@pytest.mark.parametrize("name", WRONG)
def test_suspects_name_every_mistake(name):
    """Among all mistakes of its layer, the one that was made; a right layer is no suspect of anything."""
    others = [other for other in WRONG if WRONG[other][0] is WRONG[name][0]]
    suspects = [("none", WRONG[name][0])] + [(other, planted(other)) for other in others]
    assert check_wrong(name, suspects=suspects).cause == name


def test_right_layers_have_no_suspects():
    report = check_layer(PlainReLU, (3, 5), suspects=[("right", PlainReLU)])
    assert report.ok and report.cause == ""


def test_a_suspected_factor():
    suspects = [("twice", 2), ("not divided by 1 - p", 0.7)]
    assert check_wrong("not scaled in backward", suspects=suspects).cause == "not divided by 1 - p"
    assert check_wrong("sign of dx", suspects=suspects).cause.startswith("x: yours")


class TwoMistakes(PlainLinear):
    """dW is averaged, dx has the wrong sign."""

    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = self.dW / len(dy)
        return -dx


def averaged():
    return plant(PlainLinear, "self.dW, self.db = self.x.T @ dy,", "self.dW, self.db = self.x.T @ dy / len(dy),")()


def test_two_mistakes_in_two_gradients_are_both_named():
    suspects = [("sign", planted("sign of dx")), ("averaged", averaged), ("both averaged", planted("dW transposed"))]
    assert check_layer(TwoMistakes, (3, 5), suspects=suspects).cause == "averaged sign"
    assert check_layer(TwoMistakes, (3, 5), suspects=suspects[1:]).cause == "averaged x: yours = expected × -1: the sign is wrong."
    assert check_layer(TwoMistakes, (3, 5), suspects=suspects[2:]).cause.startswith("x: yours = expected × -1")


def test_of_two_suspects_with_the_same_gradient_none_is_named():
    """One gradient alone fits both; as a whole neither does."""
    also_db = plant(PlainLinear, "self.x.T @ dy, dy.sum(0)", "self.x.T @ dy / len(dy), 2 * dy.sum(0)")
    report = check_layer(TwoMistakes, (3, 5), suspects=[("averaged", averaged), ("and db doubled", also_db)])
    assert report.cause.startswith("x: yours = expected")


# The mistakes that are not seen if a check is left out.
ONLY = {
    "values": {
        "1/N forgotten", "= for +=", "a slope of 1.5 at the kink", "averaged", "dW as (C, k, k)", "dW divided by N", "dW flipped",
        "dW transposed", "db averaged over places", "db doubled", "divided by N C", "every maximum gets dy", "halves swapped",
        "leak of 0.001", "no cross term", "no one-hot", "not scaled in backward", "one channel of dW", "one weight one percent off",
        "own half only", "sign of dx", "stride forgotten", "the first mask for ever", "the first of a tie gets two",
        "winners of the last image",
    },
    "contract": {
        "a mask from the start", "a mask of all instances", "dW accumulates", "mask kept once", "mask of an old batch", "mask thrown away",
        "the first mask for ever",
    },
    "dtype": {"float64 scalar", "half precision inside"},
    "layout": {"memory order"},
}  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_is_needed(check):
    left = tuple(other for other in CHECKS if other != check)
    assert {name for name in WRONG if check_wrong(name, checks=left).ok} == ONLY[check]


def test_the_first_mask_for_ever_is_seen_since_the_second_batch_follows_the_first():
    report = check_wrong("the first mask for ever")
    assert all(entry.wrong == 0 for entry in report.entries if entry.draw == 0)
    assert "ran on the layer that had done the first" in report.notes[-1]
