"""Grading: whatever is handed in, the class's run goes on, and every 0 has its sentence. Solutions run in real processes here."""

import csv
import json
import sys
import zipfile

import pytest

from minigrad.coursework import __main__
from minigrad.coursework.exercises import find
from minigrad.coursework.grade import judging
from minigrad.coursework.homework import read_homework
from minigrad.coursework.judge.answer import verdict_in
from minigrad.coursework.judge.request import judge
from minigrad.coursework.release.notebooks import notebook_text
from minigrad.coursework.worksheets import parts_of, worksheet

INI = "[homework]\ntitle = Slopes\nseed = 20121203\nfeedback = hint\n[exercises]\nrelu.backward = 4\n"
RELU = """
import numpy as np

from minigrad.coursework import Layer


class ReLU(Layer):
    def forward(self, x):
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy):
        {}
        return dy * self.positive
"""
IMPORTED = RELU.replace("{}", "pass").replace("import numpy as np", "import numpy as np\nimport {}")

# name -> (relu.py, points of 4, what the sentence says)
HANDED_IN = {
    "right": (RELU.format("pass"), 4, ""),
    "blank": (worksheet("", parts_of(find(["relu"]))), 0, "relu.backward is not written yet"),
    "hangs": (RELU.format("while True: pass"), 0, "It did not end within 2 seconds: is there an endless loop?"),
    "exits": (RELU.format("raise SystemExit"), 0, "The solution ends the program (sys.exit or quit): raise an error, or return."),
    "exits_at_once": (RELU.format("import os; os._exit(0)"), 0, "ended itself with code 0 before there was a result"),
    "exits_on_import": ("import sys\nsys.exit()", 0, "relu.py cannot be imported: SystemExit"),
    "dies": (RELU.format("import os; os.kill(os.getpid(), 9)"), 0, "was ended by signal 9 before there was a result"),
    "takes_ten_gigabytes": (RELU.format("np.ones(10 * 2**27)"), 0, "MemoryError: Unable to allocate 10.0 GiB"),
    "prints_ten_megabytes": (RELU.format("print('x' * 10_000_000); dy = -dy"), 0, "all by the factor -1"),
    "imports_torch": (IMPORTED.format("torch"), 0, "line 3 uses torch, which is not allowed here: write it with NumPy."),
    "imports_torch_late": (RELU.format("__builtins__['__import__']('torch')"), 0, "torch may not be used here"),
    "imports_the_solution": (IMPORTED.format("minigrad.layers.activation"), 0, "from this project only minigrad and minigrad.coursework"),
    "calls_super": ("import minigrad\n\nclass ReLU(minigrad.ReLU):\n    def backward(self, dy):\n        return super().backward(dy)\n", 0,
                    "line 3 uses minigrad.ReLU, which is the solution: write your own."),
    "calls_super_unseen": ("import minigrad\n\nBase = getattr(minigrad, 'Re' + 'LU')\n\nclass ReLU(Base):\n    def backward(self, dy):\n"
                           "        return super().backward(dy)\n", 0, "is the solution: write your own"),
    "no_python": ("class ReLU(:\n", 0, "relu.py, line 1: "),
    "no_text": (b"\xff\xfe\x00", 0, "relu.py is not a text file in UTF-8"),
    "empty": ("", 0, "there is no ReLU yet"),
    "missing": (None, 0, "there is no relu.py and no notebook"),
    "too_large": ("#" * 2_000_001, 0, "relu.py is larger than 2 MB, or cannot be read"),
}  # fmt: skip


def hand_in(folder, name, content):
    (folder / name).mkdir(parents=True)
    if content is not None:
        (folder / name / "relu.py").write_bytes(content if isinstance(content, bytes) else content.encode())


def graded(folder, *options):
    """Grade folder/class -> the table's rows."""
    (folder / "homework.ini").write_text(INI)
    out = folder / "grades.csv"
    words = ["grade", str(folder / "class"), "--homework", str(folder / "homework.ini"), "--out", str(out), *options]
    assert __main__.main(words) == 0
    with open(out, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def judge_here(request, exercise, cases):
    """As `judge_in_process`, but the judge is this process: the solution has one of its own all the same."""
    return verdict_in(json.dumps(judge(request | {"time_limit": 2})).encode(), exercise, cases)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited on Linux alone, and signals exist on POSIX alone")
def test_everybody_gets_points_and_a_sentence(tmp_path, monkeypatch):
    """A class is graded once and all of it looked at: with a fixture each of pytest's workers would grade it again."""
    for name, (content, _, _) in HANDED_IN.items():
        hand_in(tmp_path / "class", name, content)
    monkeypatch.setattr(judging, "judge_in_process", judge_here)
    table = {row["submission"]: row for row in graded(tmp_path, "--workers", "1", "--json", str(tmp_path / "results.json"))}
    results = {each["submission"]: each for each in json.loads((tmp_path / "results.json").read_text())["submissions"]}
    assert list(table) == sorted(HANDED_IN)
    assert [path.name for path in (tmp_path / "class" / "right").iterdir()] == ["relu.py"]
    for name, (_, points, words) in HANDED_IN.items():
        row, (test,) = table[name], results[name]["tests"]
        assert (float(row["earned"]), float(row["possible"])) == (points, 4), (name, row)
        assert words in row["cause"] and bool(words) == bool(row["cause"]), (name, row)
        assert row["status"] == ("passes" if points else "not started" if name in ("blank", "empty", "missing") else "wrong"), name
        assert (test["score"], test["max_score"], test["status"]) == (points, 4, "passed" if points else "failed"), name
        assert len(test["output"]) < 40_000 and "Traceback" not in test["output"], name


def test_a_second_run_gives_the_same_bytes(tmp_path):
    """However many work at a time."""
    for name in ("right", "prints_ten_megabytes", "no_python", "missing"):
        hand_in(tmp_path / "class", name, HANDED_IN[name][0])
    graded(tmp_path, "--json", str(tmp_path / "first.json"))
    first = (tmp_path / "grades.csv").read_bytes()
    graded(tmp_path, "--workers", "1", "--json", str(tmp_path / "second.json"))
    assert (tmp_path / "grades.csv").read_bytes() == first
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()
    assert first.startswith(b"\xef\xbb\xbfsubmission,exercise,earned,possible,status,cause,file,late,id\r\n")


def test_archives_and_notebooks_are_read_in_place(tmp_path, monkeypatch):
    """And nothing is unpacked by a name of its own."""
    monkeypatch.setattr(judging, "judge_in_process", judge_here)
    (tmp_path / "homework.ini").write_text(INI)
    (tmp_path / "class").mkdir()
    solved = notebook_text(read_homework(tmp_path / "homework.ini"), "solution")
    (tmp_path / "class" / "notebook.ipynb").write_text(solved)
    (tmp_path / "class" / "broken.ipynb").write_text("{}")
    with zipfile.ZipFile(tmp_path / "class" / "archive.zip", "w") as archive:
        archive.writestr("deep/er/relu.py", RELU.format("pass"))
        archive.writestr("../../outside.py", "print('never')")
        archive.writestr("__MACOSX/relu.py", "nothing")
    (tmp_path / "class" / "damaged.zip").write_bytes(b"PK and no more")
    (tmp_path / "class" / "=cmd.py").write_text(RELU.format("pass"))
    rows = {row["submission"]: (row["earned"], row["cause"]) for row in graded(tmp_path, "--workers", "1")}
    assert rows == {
        "notebook": ("4", ""), "archive": ("4", ""), "'=cmd": ("4", ""), "broken": ("0", "broken.ipynb is not a notebook"),
        "damaged": ("0", "damaged.zip is no archive that can be opened"),
    }  # fmt: skip
    assert not (tmp_path / "outside.py").exists()


@pytest.mark.parametrize("feedback, told", [
    ("full", "gradient of"), ("hint", "a hidden case (gradients): wrong. dy belongs to the caller: the other tower still needs it."),
    ("category", "a hidden case (gradients): wrong"), ("none", ""),
])  # fmt: skip
def test_what_is_told_of_hidden_cases(feedback, told, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "judge_in_process", judge_here)
    hand_in(tmp_path / "class", "ada", RELU.format("dy *= self.positive"))
    (tmp_path / "homework.ini").write_text(INI.replace("hint", feedback))
    words = ["grade", str(tmp_path / "class"), "--homework", str(tmp_path / "homework.ini"), "--json", str(tmp_path / "results.json")]
    assert __main__.main([*words, "--workers", "1"]) == 0
    output = json.loads((tmp_path / "results.json").read_text())["submissions"][0]["tests"][0]["output"]
    after_public = output.rpartition("kinks · seed 0")[2]
    assert told in after_public and ("hidden" in after_public) == (feedback != "none")
    assert "20121203" not in output
