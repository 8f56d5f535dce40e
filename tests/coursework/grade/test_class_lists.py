"""Rosters, exports of Canvas and Moodle, days late, bonus points, regrading, drawn exercises, pairs alike, and a run that is ended."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minigrad.coursework import __main__
from minigrad.coursework.exercises import ALL, find
from minigrad.coursework.grade import alike, judging
from minigrad.coursework.grade.submissions import submissions_in
from minigrad.coursework.homework import read_homework
from minigrad.coursework.judge.runner import attempt
from minigrad.coursework.judge.verdict import verdict_of
from minigrad.coursework.worksheets import parts_of, worksheet

ROOT = Path(__file__).resolve().parents[3]
INI = "[homework]\ntitle = Slopes\nseed = 20121203\n[exercises]\nrelu.backward = 4\nlinear.backward = 3\n"
RELU, LINEAR = (worksheet("", parts_of(find([group])), "solution") for group in ("relu", "linear"))
WRONG = RELU.replace("return dy *", "return 2 * dy *")
PEOPLE = "name,id\nAda Lovelace,17\nBoole George,18\nNoether Emmy,19\n"


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Judged without a process for each, by two cases: what is tried here lies around it."""

    def judge(request, exercise, cases):
        return verdict_of(exercise, attempt(request["impl"], exercise, cases[:2], request["seed"]), cases[:2])

    monkeypatch.setattr(judging, "judge_in_process", judge)


def hand_in(folder, **files):
    """files: name, with __ for a slash -> text."""
    for name, text in files.items():
        path = folder / "class" / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_000_000_000, 1_000_000_000))


def grade(folder, *options, ini=INI, code=0):
    (folder / "homework.ini").write_text(ini)
    out = folder / "grades.csv"
    words = ["grade", str(folder / "class"), "--homework", str(folder / "homework.ini"), "--out", str(out), "--workers", "1", *options]
    assert __main__.main(words) == code
    return table(out) if code == 0 else None


def table(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def points(rows):
    return {(row["submission"], row["exercise"]): row["earned"] for row in rows}


# ---- who is who


@pytest.mark.parametrize("source, name, owner", [
    ("folder", "ada_relu.py", "ada"), ("folder", "ada_relu-2.py", "ada"), ("folder", "van_der_berg_linear.py", "van_der_berg"),
    ("folder", "ada.tar.gz", "ada"), ("folder", "relu.py", "relu"), ("canvas", "lovelaceada_LATE_17_90_relu-1.py", "lovelaceada"),
    ("canvas", "lovelaceada_17_91_linear.py", "lovelaceada"), ("moodle", "Ada Lovelace_17_assignsubmission_file_", "Ada Lovelace"),
    ("moodle", "Ada Lovelace_17_assignsubmission_file_relu.py", "Ada Lovelace"),
])  # fmt: skip
def test_names_of_entries(source, name, owner, tmp_path):
    (tmp_path / name).write_text("")
    (submission,), _ = submissions_in(tmp_path, source, ["relu", "linear"])
    assert submission.name == owner and submission.number == ("" if source == "folder" else "17")


def test_flat_names_are_one_student_and_the_last_attempt_counts(tmp_path):
    hand_in(tmp_path, ada_17_1_relu_py=WRONG, ada_17_2_linear_py=LINEAR)
    hand_in(tmp_path, **{"ada_17_3_relu-1_py": RELU})
    rows = grade(tmp_path, "--from", "canvas")
    assert points(rows) == {("ada", "relu.backward"): "4", ("ada", "linear.backward"): "3"}
    assert [row["file"] for row in rows] == ["ada_17_2_linear.py", "ada_17_3_relu-1.py"]


def test_the_later_of_two_entries_counts(tmp_path):
    hand_in(tmp_path, ada__relu_py=RELU, ada_py=WRONG)
    assert grade(tmp_path)[1]["file"] == "ada.py"
    os.utime(tmp_path / "class" / "ada" / "relu.py", (1_000_000_001, 1_000_000_001))
    assert grade(tmp_path)[1]["file"] == "ada/relu.py"


def test_a_roster_gives_ids_and_says_who_is_missing(tmp_path, capsys):
    hand_in(tmp_path, **{"lovelace_ada__relu_py": RELU, "18__relu_py": WRONG, "zoe__relu_py": RELU})
    (tmp_path / "roster.csv").write_text("\ufeff" + PEOPLE, encoding="utf-8")
    canvas, moodle = tmp_path / "canvas.csv", tmp_path / "moodle.csv"
    rows = grade(tmp_path, "--roster", str(tmp_path / "roster.csv"), "--canvas", str(canvas), "--moodle", str(moodle))
    assert {(row["submission"], row["id"]) for row in rows} == {("Ada Lovelace", "17"), ("Boole George", "18"), ("zoe", "")}
    out = capsys.readouterr().out
    assert "nothing from 1 of 3: Noether Emmy" in out and "not in the roster: zoe" in out
    lines = canvas.read_text(encoding="utf-8-sig").splitlines()
    assert lines[:3] == ["Student,ID,SIS User ID,SIS Login ID,Section,Slopes", "    Points Possible,,,,,7", "Ada Lovelace,,17,,,4"]
    assert lines[4] == "Noether Emmy,,19,,,"
    assert moodle.read_text(encoding="utf-8-sig").splitlines()[:2] == ["Full name,ID number,Email address,Slopes", "Ada Lovelace,17,,4"]


def test_rosters_that_the_systems_export(tmp_path):
    hand_in(tmp_path, **{"lovelaceada_4711_90_relu_py": RELU})
    gradebook = 'Student,ID,SIS User ID,SIS Login ID,Section,Old (1)\n    Points Possible,,,,,9\n"Lovelace, Ada",4711,S17,ada,A,3\n'
    (tmp_path / "roster.csv").write_text(gradebook)
    canvas = tmp_path / "canvas.csv"
    grade(tmp_path, "--from", "canvas", "--roster", str(tmp_path / "roster.csv"), "--canvas", str(canvas))
    assert canvas.read_text(encoding="utf-8-sig").splitlines()[2] == '"Lovelace, Ada",4711,S17,ada,A,4'
    sheet = "Identifier,Full name,Email address,Status,Grade,Feedback comments\nParticipant 815,Ada Lovelace,ada@x.org,-,,=1\n"
    (tmp_path / "roster.csv").write_text(sheet)
    (tmp_path / "class" / "lovelaceada_4711_90_relu.py").rename(tmp_path / "class" / "A. L._815_assignsubmission_file_relu.py")
    grade(tmp_path, "--from", "moodle", "--roster", str(tmp_path / "roster.csv"), "--moodle", str(canvas))
    assert canvas.read_text(encoding="utf-8-sig").splitlines()[1] == "Participant 815,Ada Lovelace,ada@x.org,-,4,'=1"


@pytest.mark.parametrize("text, said", [
    ("", "has no rows"), ("who,where\na,b\n", "has at least the columns name and id"),
    ("name,id\nA,1\nB,1\n", "the id '1' stands there twice"),
    ("name,id,submitted\nA,1,yesterday\n", "A submitted on 'yesterday'"),
])  # fmt: skip
def test_rosters_that_cannot_be_right(text, said, tmp_path, capsys):
    hand_in(tmp_path, ada__relu_py=RELU)
    (tmp_path / "roster.csv").write_text(text)
    grade(tmp_path, "--roster", str(tmp_path / "roster.csv"), code=2)
    assert said in capsys.readouterr().err


def test_grades_by_id_need_a_roster(tmp_path, capsys):
    hand_in(tmp_path, ada__relu_py=RELU)
    grade(tmp_path, "--canvas", str(tmp_path / "c.csv"), code=2)
    assert "name the class's .csv file with --roster" in capsys.readouterr().err


# ---- points


def test_days_late_and_bonus(tmp_path, capsys):
    ini = INI.replace("title = Slopes", "title = Slopes\ndue = 2026-11-27 12:00\nlate = 10% a day").replace("linear", "[bonus]\nlinear")
    for name in ("ada", "bob", "cyd", "dan"):
        hand_in(tmp_path, **{f"{name}__relu_py": RELU, f"{name}__linear_py": LINEAR})
    times = {"ada": "2026-11-27 12:00", "bob": '"Friday, 27 November 2026, 12:01 PM"', "cyd": "2026-11-29T11:00", "dan": "2026-12-24 12:00"}
    (tmp_path / "roster.csv").write_text("name,id,submitted\n" + "".join(f"{name},{name},{time}\n" for name, time in times.items()))
    results, canvas = tmp_path / "results.json", tmp_path / "canvas.csv"
    options = ["--roster", str(tmp_path / "roster.csv"), "--json", str(results), "--canvas", str(canvas)]
    rows = [row for row in grade(tmp_path, *options, ini=ini) if row["exercise"] == "relu.backward"]
    assert [(row["earned"], row["late"]) for row in rows] == [("4", "0"), ("3.6", "1"), ("3.2", "2"), ("0", "27")]
    assert "days late" not in capsys.readouterr().out
    first, second, *_ = json.loads(results.read_text())["submissions"]
    assert (first["score"], first["max_score"]) == (7, 4) and (second["score"], second["max_score"]) == (6.3, 4)
    assert "1 day late: 10 % of the points are taken off" in second["tests"][0]["output"]
    assert canvas.read_text(encoding="utf-8-sig").splitlines()[1:3] == ["    Points Possible,,,,,4", "ada,,ada,,,7"]
    os.utime(tmp_path / "class" / "bob" / "relu.py", (2_000_000_000, 2_000_000_000))  # without the roster a file's date counts
    assert {row["submission"]: row["late"] for row in grade(tmp_path, ini=ini)}["ada"] == "0"
    assert "days late: by the dates of files, which a download may change, for 4 of 4" in capsys.readouterr().out


@pytest.mark.parametrize("lines, said", [
    ("late = 10% a day", "due must be a date and a time"), ("late = much\ndue = 2026-11-27", "late = 10% a day"),
    ("late = 200% a day\ndue = 2026-11-27", "late = 10% a day"),
])  # fmt: skip
def test_late_that_cannot_be_right(lines, said, tmp_path, capsys):
    hand_in(tmp_path, ada__relu_py=RELU)
    grade(tmp_path, ini=INI.replace("title = Slopes", lines), code=2)
    assert said in capsys.readouterr().err


# ---- again


def test_only_regrades_in_place(tmp_path, capsys):
    hand_in(tmp_path, ada__relu_py=WRONG, ada__linear_py=LINEAR, bob__relu_py=RELU, bob__linear_py=LINEAR)
    results = tmp_path / "results.json"
    before = grade(tmp_path, "--json", str(results))
    whole = results.read_bytes()
    for name in ("ada", "bob"):
        (tmp_path / "class" / name / "relu.py").write_text(RELU if name == "ada" else WRONG)
        (tmp_path / "class" / name / "linear.py").write_text("")
    after = grade(tmp_path, "--json", str(results), "--only", "ada", "--only", "relu")
    changed = [(a["submission"], a["exercise"]) for a, b in zip(after, before, strict=True) if a != b]
    assert changed == [("ada", "relu.backward")]
    ada, bob = json.loads(results.read_text())["submissions"]
    assert (ada["score"], bob) == (7, json.loads(whole)["submissions"][1])
    assert points(grade(tmp_path, "--only", "linear.backward"))["bob", "linear.backward"] == "0"
    grade(tmp_path, "--only", "eve", code=2)
    assert "nobody of this name or id" in capsys.readouterr().err
    grade(tmp_path, "--only", "conv2d.backward", code=2)
    assert "this exercise is not in the homework" in capsys.readouterr().err


def test_only_needs_an_earlier_run(tmp_path, capsys):
    hand_in(tmp_path, ada__relu_py=RELU)
    grade(tmp_path, "--only", "ada", code=2)
    assert "--only changes the table of an earlier run" in capsys.readouterr().err
    (tmp_path / "grades.csv").write_text("no,table\n")
    grade(tmp_path, "--only", "ada", code=2)
    assert (tmp_path / "grades.csv").read_text() == "no,table\n"


# ---- drawn for each student


CHOICE = "[homework]\nseed = 20121203\n[exercises]\navgpool.backward | ceilpool.backward = 4\nrelu.backward = 1\n"


def test_exercises_are_drawn_for_each_student(tmp_path, capsys):
    people = [f"student{i},{i}" for i in range(100, 120)]
    (tmp_path / "roster.csv").write_text("\n".join(["name,id", *people]) + "\n")
    hand_in(tmp_path, student100__relu_py=RELU, student101__relu_py=RELU)
    rows = grade(tmp_path, "--roster", str(tmp_path / "roster.csv"), ini=CHOICE)
    homework = read_homework(tmp_path / "homework.ini")
    drawn = {id: next(iter(homework.of(id).points)) for id in map(str, range(100, 120))}
    assert set(drawn.values()) == {"avgpool.backward", "ceilpool.backward"} and homework.possible == 5
    assert [{row["exercise"] for row in rows[i : i + 2]} for i in (0, 2)] == [{drawn[id], "relu.backward"} for id in ("100", "101")]
    grade(tmp_path, ini=CHOICE, code=2)
    assert "draws exercises for each student" in capsys.readouterr().err


def test_who_solved_what_another_roster_drew_is_told_and_not_given_0(tmp_path, capsys):
    """Released by the ids of one system, graded by those of another: the draw is another one."""
    (tmp_path / "homework.ini").write_text(CHOICE)
    homework, solutions = read_homework(tmp_path / "homework.ini"), {}
    for id in map(str, range(100, 104)):
        (drawn,) = homework.of(id).instead
        group = drawn.partition(".")[0]
        solutions[id] = drawn, f"{group}.py", worksheet("", parts_of(find([group], ALL)), "solution")
        notebook = json.dumps({"cells": [{"cell_type": "code", "source": solutions[id][2]}]})
        name, text = ("homework.ipynb", notebook) if id == "101" else solutions[id][1:]
        hand_in(tmp_path, **{f"student{id}__{name}": text})
    people = [(f"student{id}", id) for id in solutions]
    for first in (100, 5000):
        lines = [f"{name},{int(id) + first - 100}" for name, id in people]
        (tmp_path / "roster.csv").write_text("\n".join(["name,id", *lines]) + "\n")
        rows = [row for row in grade(tmp_path, "--roster", str(tmp_path / "roster.csv"), ini=CHOICE) if "pool" in row["exercise"]]
        out, theirs = capsys.readouterr().out, {f"student{id}": drawn for id, (drawn, _, _) in solutions.items()}
        for row in rows:
            same = row["exercise"] == theirs[row["submission"]]
            assert same == (row["earned"] == "4") and same == ("is drawn for" not in row["cause"]), row
            assert same == (f"{row['submission']} {row['exercise']}" not in out)
        assert all(row["earned"] == "4" for row in rows) == (first == 100)


def test_the_release_has_each_students_own(tmp_path, capsys):
    (tmp_path / "homework.ini").write_text(CHOICE)
    (tmp_path / "roster.csv").write_text(PEOPLE)
    words = ["release", str(tmp_path / "homework.ini"), "--out", str(tmp_path / "dist"), "--for", "container"]
    assert __main__.main(words) == 2 and "--roster" in capsys.readouterr().err
    assert __main__.main([*words, "--roster", str(tmp_path / "roster.csv")]) == 0
    homework = read_homework(tmp_path / "homework.ini")
    for id in ("17", "18", "19"):
        files = {path.name for path in (tmp_path / "dist" / "student" / id).iterdir()}
        assert files == {"README.md", "homework.ipynb", *(f"{group}.py" for group in homework.of(id).groups)}


# ---- alike


def test_pairs_are_alike_after_renaming(tmp_path):
    task = worksheet("", parts_of(find(["conv2d"])), "solution")
    renamed = (
        task.replace("dx", "grad_in").replace("taken", "part").replace("dW", "gw").replace("for i in", "# a comment\n        for i in", 1)
    )
    other = "import numpy as np\n\n\nclass Conv2d:\n" + "".join(
        f"    def f{i}(self, a):\n        return [a[{i}], {'(a + ' * (i % 5)}1{')' * (i % 5)}, *range(a.f{i - 1}(), {i})]\n\n"
        for i in range(30)
    )
    ini = "[homework]\nseed = 20121203\n[exercises]\nconv2d.backward = 4\n"
    hand_in(tmp_path, ada__conv2d_py=task, bob__conv2d_py=renamed, cyd__conv2d_py=other)
    grade(tmp_path, "--alike", str(tmp_path / "pairs.csv"), ini=ini)
    (pair,) = table(tmp_path / "pairs.csv")
    assert (pair["submission"], pair["other submission"], pair["group"]) == ("ada", "bob", "conv2d") and float(pair["alike"]) >= 0.8
    assert alike.prints_of(RELU) == alike.prints_of(RELU.replace("positive", "mask"))


# ---- a run that is ended


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals")
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_ended_keeps_the_rows_so_far(number, code, tmp_path):
    hand_in(tmp_path, ada__relu_py=RELU, bob__relu_py=RELU.replace("return dy", "import time; time.sleep(60); return dy"))
    (tmp_path / "homework.ini").write_text(INI)
    (tmp_path / "grades.csv").write_text("last week's")
    words = ["grade", "class", "--homework", "homework.ini", "--out", "grades.csv", "--json", "results.json", "--workers", "1"]
    command = [sys.executable, "-m", "minigrad.coursework", *words]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    so_far = tmp_path / "grades.partial.csv"
    while process.poll() is None and not (so_far.exists() and b"ada" in so_far.read_bytes()):
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code and b"stopped: 1 of 2 graded; their rows are in grades.partial.csv" in err and b"Traceback" not in err
    assert points(table(so_far))["ada", "relu.backward"] == "4" and (tmp_path / "grades.csv").read_text() == "last week's"
    assert [each["submission"] for each in json.loads((tmp_path / "results.partial.json").read_text())["submissions"]] == ["ada"]


def test_only_goes_on_with_the_roster_of_the_first_run(tmp_path, capsys):
    hand_in(tmp_path, **{"Ada Lovelace__relu_py": WRONG})
    (tmp_path / "roster.csv").write_text(PEOPLE)
    roster = ["--roster", str(tmp_path / "roster.csv")]
    for first, second, words in ([], roster, "written without --roster"), (roster, [], "written with --roster"):
        grade(tmp_path, *first)
        before = (tmp_path / "grades.csv").read_bytes()
        grade(tmp_path, "--only", "relu.backward", *second, code=2)
        assert words in capsys.readouterr().err and (tmp_path / "grades.csv").read_bytes() == before


def test_a_fault_of_ours_is_one_students_sentence(tmp_path, monkeypatch, capsys):
    hand_in(tmp_path, ada__relu_py=RELU, bob__relu_py=RELU)
    right = judging.first_that_counts

    def faulty(found, exercise, homework, sandbox):
        if "ada" in found[0].name if found else False:
            raise RuntimeError("a fault")
        return right(found, exercise, homework, sandbox)

    monkeypatch.setattr(judging, "first_that_counts", faulty)
    (tmp_path / "class" / "ada" / "relu.py").rename(tmp_path / "class" / "ada" / "ada_relu.py")
    rows = grade(tmp_path)
    assert "not graded, for no fault of theirs (name them with --only): ada linear.backward; ada relu.backward" in capsys.readouterr().out
    assert rows[0]["cause"] == "It was not graded, for no fault of its own: RuntimeError: a fault"
    assert points(rows)["bob", "relu.backward"] == "4"
