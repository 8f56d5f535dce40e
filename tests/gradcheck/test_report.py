"""The report: its message to the letter, its fields, its page for notebooks, the error that carries it."""

import dataclasses
import json
import pickle
import re
import textwrap

import pytest
from gradcheck_layers import BlankReLU, GreedyReLU, LostLinear, OneWeightOff, PlainLinear, PlainReLU
from gradcheck_mistakes import check_wrong, planted

from minigrad import Linear, Sequential
from minigrad.gradcheck import GradientError, assert_gradients, check_layer


def settled(report):
    """The report with what differs from machine to machine made equal: time, rounding errors, line numbers."""
    entries = [
        e if e.wrong else dataclasses.replace(e, worst_error=1e-11, index=(0,) * len(e.shape), yours=0.5, expected=0.5)
        for e in report.entries
    ]
    return re.sub(r"line \d+", "line 7", str(dataclasses.replace(report, seconds=0.12, entries=tuple(entries))))


def averaging(**options):
    hint = "dW is averaged over the images. Layers sum; only the loss divides by N."
    return check_wrong("dW divided by N", suspects=[(hint, planted("dW divided by N"))], **options)


MESSAGES = {
    "passed": (
        lambda: check_layer(PlainLinear, (3, 5)),
        """
        ✓ PlainLinear · x (3,5) · seed 0 · 175 evaluations, 0.12 s
          gradient of  shape  worst error  at     yours      expected   verdict
          x            (3,5)  1.0e-11      (0,0)  0.5000000  0.5000000  ok
          W            (5,4)  1.0e-11      (0,0)  0.5000000  0.5000000  ok
          b            (4,)   1.0e-11      (0,)   0.5000000  0.5000000  ok
        """,
    ),
    "a factor, and a hint": (
        lambda: averaging(title="conv2d.backward · stride2-pad"),
        """
        ✗ conv2d.backward · stride2-pad · seed 0 · 807 evaluations, 0.12 s
          gradient of  shape      worst error  at         yours      expected   verdict
          x            (3,5,4,2)  1.0e-11      (0,0,0,0)  0.5000000  0.5000000  ok
          W            (3,3,2,5)  6.7e-01      (1,2,0,1)  3.457260   10.37178   90 of 90 wrong
          b            (5,)       1.0e-11      (0,)       0.5000000  0.5000000  ok
          W: yours = expected × 0.3333333 = 1/N (N = 3).
             dW is averaged over the images. Layers sum; only the loss divides by N.
          again:  check_layer(..., seed=0)
        """,
    ),
    "a rule of the contract": (
        lambda: check_layer(GreedyReLU, (3, 5)),
        """
        ✗ GreedyReLU · x (3,5) · seed 0 · 36 evaluations, 0.12 s
          gradient of  shape  worst error  at     yours      expected   verdict
          x            (3,5)  1.0e-11      (0,0)  0.5000000  0.5000000  ok
          contract, writes-dy: backward writes into dy, which belongs to the caller: others still need it (line 7 of
            gradcheck_layers.py: `dy *= self.mask`).
          again:  check_layer(..., seed=0)
        """,
    ),
    "not started": (
        lambda: check_layer(BlankReLU, (3, 5)),
        """
        ○ BlankReLU · x (3,5) · seed 0 · not started
          relu.backward is not written yet
        """,
    ),
    "an error": (
        lambda: check_layer(LostLinear, (3, 5), title="linear.backward"),
        """
        ✗ linear.backward · seed 0 · 1 evaluation, 0.12 s
          backward raises IndexError: list index out of range (line 7 of gradcheck_layers.py: `return [super().backward(dy)][1]`).
          again:  check_layer(..., seed=0)
        """,
    ),
    "one weight of many": (
        lambda: check_layer(OneWeightOff, (3, 500), seed=1, budget=2000),
        """
        ✗ OneWeightOff · x (3,500) · seed 1 · 358 evaluations, 0.12 s
          gradient of  shape      worst error  at         yours      expected   verdict
          x            (3,500)    1.0e-11      (0,0)      0.5000000  0.5000000  ok, by directions
          W            (500,500)  5.2e-03      (123,456)  -5.799993  -5.742567  7 of 40 wrong, by directions
          b            (500,)     1.0e-11      (0,)       0.5000000  0.5000000  ok, by directions
          W: 7 of 40 random directions and elements are wrong; one is (123, 456): yours -5.799993, expected -5.742567.
          again:  check_layer(..., seed=1)
        """,
    ),
    "a tie": (
        lambda: check_wrong("every maximum gets dy"),
        """
        ✗ PlainPool · x (3,5,4,2) · seed 0 · 322 evaluations, 0.12 s
          gradient of  shape      worst error  at         yours      expected   verdict
          x            (3,5,4,2)  1.0e-11      (0,0,0,0)  0.5000000  0.5000000  wrong, 15 kinks
          x: where values tie, the shares do not add up: along a direction that keeps equal elements equal the slope is 6.411179, yours
            13.61099.
          note: x: 15 of 120 elements stand at kinks, where any one-sided slope is right.
          again:  check_layer(..., seed=0)
        """,
    ),
    "no cause": (
        lambda: check_wrong("= for +="),
        """
        ✗ PlainPool · x (3,7,6,2) · seed 0 · 561 evaluations, 0.12 s
          gradient of  shape      worst error  at         yours      expected   verdict
          x            (3,7,6,2)  4.0e-01      (0,3,2,0)  -2.344254  -3.908374  10 of 252 wrong
          x: 10 of 252 elements are wrong, the worst at (0, 3, 2, 0): yours -2.344254, expected -3.908374.
          No simple cause: neither a factor nor a permutation, and no pattern in where it is wrong.
          again:  check_layer(..., seed=0)
        """,
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name):
    make, text = MESSAGES[name]
    assert settled(make()) == textwrap.dedent(text).strip()


def test_the_command_of_the_course_and_marks_for_any_console():
    report = averaging()
    text = report.text(again="python -m minigrad.coursework check conv2d.backward --case stride2-pad --seed 0 --pdb", plain=True)
    assert text.endswith("\n  again:  python -m minigrad.coursework check conv2d.backward --case stride2-pad --seed 0 --pdb")
    assert text.startswith("WRONG: TensordotConv - x (3,5,4,2) - seed 0") and "expected x 0.3333333" in text
    assert text.isascii() and check_layer(PlainReLU, (3, 5)).text(plain=True).startswith("ok: PlainReLU")


def test_a_report_has_plain_fields_for_machines():
    report = averaging()
    assert report.status == "failed" and not report.ok and report.seed == 0 and report.rtol == 1e-6
    fields = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert (
        fields["ok"] is False and fields["entries"][1]["tensor"] == "W" and fields["entries"][1]["index"] == list(report.entries[1].index)
    )
    assert [f.name for f in dataclasses.fields(report)] == [
        "status", "title", "seed", "rtol", "entries", "findings", "notes", "cause", "kinks", "evaluations", "seconds",
    ]  # fmt: skip
    entry = report.entries[1]
    assert (entry.tensor, entry.shape, entry.draw, entry.method, entry.checked, entry.wrong) == ("W", (3, 3, 2, 5), 0, "elements", 90, 90)
    assert entry.worst_error == pytest.approx(2 / 3) and entry.yours == pytest.approx(entry.expected / 3) and 0 < entry.uncertainty < 1e-4
    assert dataclasses.asdict(report.findings[0]) == {
        "check": "values", "rule": "wrong", "tensor": "W", "sentence": "W: yours = expected × 0.3333333 = 1/N (N = 3).",
    }  # fmt: skip
    for frozen in (report, *report.entries, *report.findings):
        with pytest.raises(dataclasses.FrozenInstanceError):
            frozen.tensor = "x"
    assert json.dumps(dataclasses.replace(report, seconds=float("nan")).to_dict(), allow_nan=False)


def test_the_table_for_notebooks():
    page = check_wrong("writes into x", title="a < b")._repr_html_()
    assert "a &lt; b" in page and page.count("<tr>") == 2 and "contract, writes-x" in page
    assert page.count("<") == page.count(">")


def test_messages_are_short_even_for_large_networks():
    net = Sequential(**{f"fc{i}": Linear(2, 2) for i in range(15)})
    lines = str(check_layer(net, (3, 2), checks=("values",))).splitlines()
    assert len(lines) <= 25 and "more tensors" in lines[-1]

    class Wrong(Sequential):
        def backward(self, dy):
            dx = super().backward(dy)
            for layer in self.layers.values():
                layer.dW = layer.dW + 1
            return dx

    report = check_layer(lambda: Wrong(**{f"fc{i}": Linear(2, 2) for i in range(15)}), (3, 2))
    text = str(report)
    assert len(text.splitlines()) <= 25 and len(report.findings) >= 15 and "again:" in text and "array" not in text


def test_assert_gradients_raises_with_the_report_and_nothing_else(capsys):
    assert assert_gradients(PlainReLU, (3, 5)) is None
    with pytest.raises(GradientError) as caught:
        assert_gradients(GreedyReLU, (3, 5), title="relu")
    report = caught.value.report
    assert isinstance(caught.value, AssertionError) and str(caught.value) == str(report) and report.title == "relu"
    assert pickle.loads(pickle.dumps(caught.value)).report == report
    with pytest.raises(GradientError, match="not started"):
        assert_gradients(BlankReLU, (3, 5))
    assert capsys.readouterr() == ("", "")
