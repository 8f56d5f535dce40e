"""The answer of a judging process is read with caution: whatever stands there, it is a verdict on these cases or none at all."""

import copy
import json
import sys

import pytest

from minigrad import plain
from minigrad.coursework.exercises import find
from minigrad.coursework.judge import process
from minigrad.coursework.judge.answer import LARGEST, shown, verdict_in
from minigrad.coursework.judge.process import judge_in_process
from minigrad.coursework.judge.runner import run
from minigrad.coursework.judge.verdict import verdict_of

(RELU,) = find(["relu.backward"])
RIGHT = verdict_of(RELU, run(RELU, plain.ReLU), RELU.cases)
DELETE = object()


def changed(where, value):
    """RIGHT with another value at a path of keys, as bytes."""
    verdict = copy.deepcopy(RIGHT)
    *path, last = where
    inner = verdict
    for key in path:
        inner = inner[key]
    if value is DELETE:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(verdict).encode()


def read(answer):
    return verdict_in(answer, RELU, RELU.cases)


def test_a_verdict_is_read_as_it_is():
    assert read(b"noise\n" + json.dumps(RIGHT).encode() + b"\n") == RIGHT
    assert RIGHT["earned"] == RIGHT["possible"] == RELU.points


@pytest.mark.parametrize("answer", [
    b"", b"{}", b"[]", b"null", b"3", b'"passes"', b"{", b"\xff\xfe", b"[" * 100_000, b'{"exercise": "relu.backward"}', b"NaN",
    json.dumps([RIGHT]).encode(), json.dumps(RIGHT).encode() + b"\nmore", json.dumps(RIGHT).encode()[:-1],
], ids=range(14))  # fmt: skip
def test_what_is_no_verdict(answer):
    assert read(answer) is None


@pytest.mark.parametrize("where, value", [
    (["earned"], 50), (["earned"], 50.0), (["earned"], float("nan")), (["earned"], float("inf")), (["earned"], 10**400),
    (["earned"], -1), (["earned"], "2"), (["earned"], None), (["earned"], [2]), (["earned"], DELETE), (["earned"], 1.5),
    (["exercise"], "linear.backward"), (["exercise"], None), (["exercise"], DELETE), (["exercise"], []),
    (["status"], "perfect"), (["status"], "wrong"), (["status"], "not started"), (["status"], None), (["status"], {}),
    (["cause"], 3), (["cause"], None), (["cause"], DELETE), (["output"], ["text"]), (["output"], DELETE),
    (["cases"], []), (["cases"], RIGHT["cases"][1:]), (["cases"], [*RIGHT["cases"], RIGHT["cases"][0]]), (["cases"], None),
    (["cases"], {str(i): case for i, case in enumerate(RIGHT["cases"])}), (["cases"], "x" * len(RELU.cases)), (["cases"], DELETE),
    (["cases"], RIGHT["cases"][::-1]), (["cases"], [RIGHT["cases"][0]] * len(RELU.cases)),
    (["cases", 0], None), (["cases", 0], []), (["cases", 0, "name"], "nice"), (["cases", 0, "name"], DELETE),
    (["cases", 0, "kind"], "property"), (["cases", 0, "status"], "passed"), (["cases", 0, "status"], True),
    (["cases", 0, "status"], "wrong"), (["cases", 0, "cause"], 1), (["cases", 0, "hint"], DELETE), (["cases", 0, "message"], None),
    (["cases", 0, "ascii"], {}),
], ids=range(46))  # fmt: skip
def test_what_does_not_fit(where, value):
    assert read(changed(where, value)) is None


def test_points_and_weights_are_worked_out_again():
    """What is said of them counts for nothing, nor does anything that is said besides."""
    verdict = (
        json.loads(changed(["cases", 0, "weight"], 1e9))
        | {"earned": RIGHT["earned"] + 1e-4}
        | {"possible": 1e9, "points": 1e9, "file": "/etc/passwd"}
    )
    assert read(json.dumps(verdict).encode()) == RIGHT


def test_a_case_has_a_status_that_there_is():
    wrong = verdict_of(RELU, run(RELU, type("ReLU", (plain.ReLU,), {"backward": lambda self, dy: 2 * dy})), RELU.cases)
    assert read(json.dumps(wrong).encode()) == wrong and wrong["earned"] == 0
    wrong["cases"][0]["status"] = "perfect"
    assert read(json.dumps(wrong).encode()) is None


def test_texts_are_cut_and_escaped():
    cause = "\x1b[31m\ud83d\0" + "x" * 10_000_000
    verdict = read(changed(["cause"], cause))
    assert verdict["cause"].startswith("\\x1b[31m\\ud83d\\x00xxx") and verdict["cause"].endswith("more characters)")
    assert len(verdict["cause"]) < 500 and verdict["cause"].isprintable()
    with pytest.raises(TypeError, match="not a text: list"):
        shown(["text"], 10)
    assert shown("a\tb\n", 10, "\n\t") == "a\tb\n" and shown("a\tb\n", 10) == "a\\tb\\n"
    assert shown(repr(object()), 99) == shown(repr([object()])[1:-1], 99) == "<object object at 0x...>"  # two runs give the same bytes


@pytest.mark.parametrize("says", [
    "'{}'", "'{\"cases\": NaN}'", "'x' * 30_000_000", "'\\n' * 3", "'['  * 1_000_000",
])  # fmt: skip
def test_a_process_that_answers_nonsense_is_a_sentence(says, tmp_path, monkeypatch):
    (tmp_path / "child.py").write_text(f"import sys\nsys.stdin.read()\nsys.stdout.write({says})\n")
    monkeypatch.setattr(process, "CHILD", tmp_path / "child.py")
    verdict = judge_in_process({"seed": 0}, RELU, RELU.cases, 10)
    assert (verdict["earned"], verdict["status"]) == (0, "wrong") and "before there was a result" in verdict["cause"]
    assert LARGEST < 30_000_000 and sys.getsizeof(verdict["cause"]) < 1000
