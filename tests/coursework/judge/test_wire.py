"""Answers of a solution's process are small where they arrive, and stay small: what a few bytes stand for is counted before it is made."""

import json

import pytest

from minigrad import Linear, Sequential
from minigrad.coursework.judge.caged.wire import LARGEST, BadMessage, Reader
from minigrad.coursework.judge.capture import captured
from minigrad.coursework.judge.remote import Session

EIGHTY = LARGEST // 100 * 80  # of a hundred


def broadcast(size):
    """One number, a float64, that stands for so many bytes."""
    return {"a": ["<f8", [size // 8], [0], 0, 8, True]}


def test_arrays_of_an_answer_are_counted_together():
    assert Reader(bytes(8)).decode(broadcast(EIGHTY)).nbytes == EIGHTY
    with pytest.raises(BadMessage, match="too large together"):
        Reader(bytes(16)).decode({"l": [broadcast(EIGHTY), broadcast(EIGHTY)]})


@pytest.mark.parametrize("text", [
    "Linear(16384, 16384)", "Sequential(a=Linear(1000, 1000), b=Linear(1000, 100))", "Conv2d(3, 4, 3, padding=1000000)",
    "LocalResponseNorm(size=1000000000)", "Linear(", "f(1)", "Linear(__import__)", "Sequential(" * 150 + ")" * 150, "(" * 100_000,
], ids=range(9))  # fmt: skip
def test_networks_that_are_not_made(text):
    with pytest.raises(BadMessage):
        Reader(b"", network=Session(None).network).decode({"n": [text, 1]})


def test_networks_of_an_answer_are_counted_together():
    session = Session(None)
    network = Reader(b"", network=session.network).decode({"n": ["Sequential(fc=Linear(3, 4))", 1]})
    assert isinstance(network, Sequential) and isinstance(network.layers["fc"], Linear)
    with pytest.raises(BadMessage, match="too large"):
        for i in range(2, 5):
            session.network("Linear(700, 700)", i)


def test_more_than_was_printed_is_no_number_that_nobody_can_write():
    with captured([]) as output:
        for _ in range(3):
            Session(None).pass_on(json.loads('{"printed": ["a", %s]}' % ("9" * 4000)))
    assert output.getvalue().startswith("a\n… and ") and len(output.getvalue()) < 100
