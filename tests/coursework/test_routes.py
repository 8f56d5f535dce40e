"""One verdict, four routes: the command line, `check` in a notebook's cell, pytest, the grader.

Children are judged in this process, so that hundreds of verdicts take seconds; grade/test_grading.py starts real ones."""

import csv
import inspect
import json
import os
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree

import pytest
from right_ways import ALTERNATIVES, FUNCTIONS

from minigrad.coursework import CheckFailed, __main__, check, checking
from minigrad.coursework.exercises import ALL
from minigrad.coursework.grade import judging
from minigrad.coursework.judge.loading import load
from minigrad.coursework.judge.request import judge
from minigrad.coursework.source import helpers, text_of
from minigrad.coursework.worksheets import parts_of, worksheet

GROUPS = {}
for exercise in ALL:
    GROUPS.setdefault(exercise.group, []).append(exercise)
MISTAKES = {group: [(e.id, m) for e in members for m in e.mistakes] for group, members in GROUPS.items()}
UNNAMED = ("1 of 250,000 weights 1 % off", "one weight 1 % off")
IMPORTS = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigrad.coursework import four_sides, output_size


"""


def other_ways(exercise):
    """Of an exercise's other right ways those that need nothing of the model's: a file may hold them."""
    ways = FUNCTIONS.get(exercise.id) or ALTERNATIVES.get(exercise.group, ())
    return [way for way in ways if not way.__module__.startswith("minigrad") and "super()" not in inspect.getsource(way)]


def alternative(members, number):
    """Blanks, and below them another right way, or None."""
    ways = {e.source.__name__: way for e in members for way in other_ways(e)[number : number + 1]}
    if not ways:
        return None
    text = worksheet("", parts_of(members)) + IMPORTS
    if "im2col" not in ways:
        text += "from minigrad.coursework import im2col\n\n\n"
    for name, way in ways.items():
        bases = [base for base in way.__mro__[1:-1] if base.__module__ == way.__module__] if inspect.isclass(way) else []
        for part in [*reversed(bases), way]:
            words = inspect.getsource(part).replace("plain.", "")
            text += (words.replace(f"{part.__name__}(", f"{name}(", 1) if part is way else words) + "\n\n"
    return text


def planted(parts, mistake):
    """The model's file with a mistake. If it lies in a helper that the file imports, the file gets its own."""
    text = worksheet("", parts, "solution")
    if mistake.old not in text:
        text += "".join(f"\n\n{text_of(helper)}" for helper in dict.fromkeys(h for source, _ in parts for h in helpers(source)))
    assert mistake.old in text
    return IMPORTS + text.replace(mistake.old, mistake.new)


MIXED = ("solution", "mistake", "alternative")  # by turns


def kind_of(kind, group):
    return MIXED[list(GROUPS).index(group) % 3] if kind == "mixed" else kind


def files(kind, number):
    """group -> the text of a file."""
    found = {}
    for group, members in GROUPS.items():
        parts, mistakes, of = parts_of(members), MISTAKES[group], kind_of(kind, group)
        if of == "alternative":
            found[group] = alternative(members, number)
        elif of == "mistake":
            found[group] = planted(parts, mistakes[number][1]) if number < len(mistakes) else None
        else:
            found[group] = worksheet("", parts, of)
    return {group: text for group, text in found.items() if text}


# ---- the routes: a folder with files -> exercise -> (status, what is said)


def by_command_line(folder, groups, capsys):
    code = __main__.main(["check", *groups, "--impl", str(folder)])
    out, err = capsys.readouterr()
    assert err == ""
    rows, report = out.partition("\n\n")[::2]
    assert report.count("\n") <= 25
    marks = {"✓": "passes", "✗": "wrong", "○": "not started"}
    found = {row.split()[1]: (marks[row.split()[0]], row.split(maxsplit=2)[2]) for row in rows.splitlines()}
    assert code == (0 if {status for status, _ in found.values()} == {"passes"} else 1)
    return found


def in_a_cell(folder, groups, capsys):
    found = {}
    for exercise in members_of(groups):
        try:
            assert check(exercise.id, load(str(folder), exercise)) is None
            said = capsys.readouterr().out
            found[exercise.id] = ("not started" if said.endswith("not started\n") else "passes"), said
        except CheckFailed as error:
            found[exercise.id] = "wrong", str(error)
    out, err = capsys.readouterr()
    assert out == err == ""
    return found


def by_pytest(folder, groups, capsys):
    command = ["-m", "pytest", "-q", "-p", "minigrad.coursework.suite", "-p", "no:cacheprovider", "--impl", ".", "--junitxml=junit.xml"]
    paths = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    done = subprocess.run([sys.executable, *command, *groups], cwd=folder, env=os.environ | paths, stdout=subprocess.DEVNULL)
    cases = {}
    for case in ElementTree.parse(folder / "junit.xml").iter("testcase"):
        status = next(p.get("value") for p in case.iter("property") if p.get("name") == "status")
        said = "".join(part.text for part in case.iter("failure"))
        cases.setdefault(case.get("name").partition("[")[0], []).append((status, said))
    found = {}
    for id, rows in cases.items():
        statuses = {status for status, _ in rows}
        found[id] = statuses.pop() if len(statuses) == 1 else "wrong", next((said for _, said in rows if said), "")
    assert done.returncode == (0 if {status for status, _ in found.values()} == {"passes"} else 1)
    return found


def by_grading(folder, groups, capsys):
    exercises = "\n".join(f"{exercise.id} = 4" for exercise in members_of(groups))
    (folder / "homework.ini").write_text(f"[homework]\nseed = 20121203\n[exercises]\n{exercises}\n")
    submission = folder / "class" / "ada"
    submission.mkdir(parents=True)
    for group in groups:
        (submission / f"{group}.py").write_text((folder / f"{group}.py").read_text())
    out = folder / "grades.csv"
    assert __main__.main(["grade", str(folder / "class"), "--homework", str(folder / "homework.ini"), "--out", str(out)]) == 0
    assert capsys.readouterr().err == ""
    with open(out, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert float(row["earned"]) == 4 if row["status"] == "passes" else float(row["earned"]) < 4
        assert float(row["earned"]) == 0 or row["status"] != "not started"
    return {row["exercise"]: (row["status"], row["cause"]) for row in rows}


def members_of(groups):
    return [exercise for group in groups for exercise in GROUPS[group]]


@pytest.fixture(autouse=True)
def children_in_this_process(monkeypatch):
    one_at_a_time = threading.Lock()

    def judge_in_this_process(request, exercise, cases):
        request = json.loads(json.dumps(request)) | {"sandbox": None}
        with one_at_a_time:
            return json.loads(json.dumps(judge(request)))

    monkeypatch.setattr(checking, "judge_in_process", judge_in_this_process)
    monkeypatch.setattr(judging, "judge_in_process", judge_in_this_process)


FAST = [("blank", 0), ("mixed", 0)]
SLOW = [("solution", 1), ("alternative", 2), ("mistake", max(map(len, MISTAKES.values())))]
SLOW = [pytest.param(kind, n, marks=pytest.mark.slow) for kind, number in SLOW for n in range(number)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind, number", FAST + SLOW)
def test_all_routes_give_the_same_verdicts(kind, number, tmp_path, capsys):
    texts, routes = files(kind, number), {}
    for route in (by_command_line, in_a_cell, by_pytest, by_grading):
        folder = tmp_path / route.__name__
        folder.mkdir()
        for group, text in texts.items():
            (folder / f"{group}.py").write_text(text, encoding="utf-8")
        routes[route.__name__] = route(folder, list(texts), capsys)
    for exercise in members_of(texts):
        said = {name: found[exercise.id] for name, found in routes.items()}
        statuses = {status for status, _ in said.values()}
        assert len(statuses) == 1, (exercise.id, said)
        of = kind_of(kind, exercise.group)
        if of in ("blank", "solution"):
            assert statuses == {"passes" if of == "solution" else "not started"}, (exercise.id, said)
        elif of == "alternative":
            assert "wrong" not in statuses, (exercise.id, said)
        elif exercise.id == MISTAKES[exercise.group][number][0]:
            mistake = MISTAKES[exercise.group][number][1]
            assert statuses == {"wrong"}, (exercise.id, mistake.name, said)
            assert mistake.name in UNNAMED or all(mistake.hint in words for _, words in said.values()), (mistake, said)
