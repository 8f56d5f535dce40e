"""The campaign notices what it is for; a twentieth of it (slow)."""

import io
import sys

import pytest
from faults.common import attempt, leaves, said, with_value

from minigrad import data

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="alarms and kills are POSIX's")


@POSIX
def test_what_the_campaign_is_for_is_noticed():
    """Another exception, a hang, a refusal of two lines, a traceback, an end without a sentence."""

    def two_lines():
        error = data.DataError("one")
        error.args = ("one\ntwo",)
        raise error

    assert attempt(lambda: None) == "used" and attempt(lambda: data.read_image("none")) == "refused"
    assert "IndexError" in attempt(lambda: [][0]) and "two lines" in attempt(two_lines)
    assert said(0, "") == "used" and said(2, "alexnet.py: no.\n") == "refused"
    assert "refused" not in (said(2, ""), said(1, "alexnet.py: no.\n"), said(2, "Traceback\nalexnet.py: no.\n"))


def test_every_field_is_reached():
    record = {"a": [{"b": 1}, {"b": 2}], "c": {}}
    assert list(leaves(record)) == [("a",), ("a", 0), ("a", 0, "b"), ("a", 1), ("a", 1, "b"), ("c",)]
    assert with_value(record, ("a", 1, "b"), None)["a"] == [{"b": 1}, {"b": None}] and record["a"][1] == {"b": 2}
    assert with_value(record, ("c",), KeyError) == {"a": record["a"]}


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize(
    "part, count",
    [
        ("images", 50),
        ("checkpoints", 20),
        ("data_files", 150),
        ("archives", 12),
        ("training_killed", 5),
        ("prepare_killed", 2),
        ("disks", 1),
        ("environments", 12),
    ],
)
def test_a_twentieth_of_the_campaign(part, count):
    from faults.__main__ import run

    out = io.StringIO()
    assert run(part, 0, count, 1, out) == 0, out.getvalue()
