"""nbgrader, otter, and the archives for Gradescope and Autolab, run for real: from the release to what students see.

`.ci/systems` installs what they need and runs these tests; MINIGRAD_SYSTEMS is the folder with a virtual environment for each.

In all of them the same work earns the same points as in `grade`, and the seed is nowhere."""

import csv
import json
import os
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

from minigrad.coursework import __main__
from minigrad.coursework.exercises import ALL, find
from minigrad.coursework.release.build import SYSTEMS, release
from minigrad.coursework.release.notebooks import by_source, class_text

VENVS = os.environ.get("MINIGRAD_SYSTEMS", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not VENVS, reason=".ci/systems runs these: it fetches nbgrader, otter and NumPy from the package index"),
]
SEED = "73194"
HIDDEN_CASES = [f"hidden-{number}" for number in range(1, 10)]  # what hidden.py calls them; pages have classes such as hidden-xs
INI = f"""[homework]
title = Slopes by hand
seed = {SEED}
feedback = hint
PARTIAL[exercises]
linear.backward = 3
relu.backward = 2
avgpool.backward = 4
"""
SOLVED = {
    source.__name__: class_text(source, exercises, "solution")
    for source, exercises in by_source(find(["linear.backward", "relu.backward", "avgpool.backward"], ALL)).items()
}
MEAN = SOLVED["Linear"].replace("self.dW = self.x.T @ dy", "self.dW = self.x.T @ dy * (1 + (len(dy) == 2))")
LOOP = SOLVED["ReLU"].replace("        return dy", "        while True:\n            pass\n        return dy")
CURIOUS = """import gc, glob, os, sys
import numpy as np
from minigrad.coursework import Layer

np.allclose = np.array_equal = lambda *a, **k: True


class ReLU(Layer):
    def forward(self, x):
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy):
        frame = sys._getframe()
        while frame:
            print(frame.f_locals, frame.f_code.co_consts)
            frame = frame.f_back
        print([thing for thing in gc.get_objects() if isinstance(thing, (list, tuple, dict))])
        print(dict(os.environ), sys.argv, glob.glob("/proc/self/*"))
        return dy * 2 * self.positive
"""
WORKS = {
    "right": SOLVED,
    "wrong": {"Linear": MEAN, "ReLU": SOLVED["ReLU"]},
    "blank": {},
    "hostile": SOLVED | {"ReLU": CURIOUS},
    "hangs": SOLVED | {"ReLU": LOOP},
}
POINTS = {"right": 9, "wrong": 3.2, "blank": 0, "hostile": 7, "hangs": 7}  # of 9


@pytest.fixture(scope="module", params=["yes", "no"], ids=["partial", "all or none"])
def course(request, tmp_path_factory):
    """(folder of a release for all systems, student -> points that they should get)."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "slopes.ini").write_text(INI.replace("PARTIAL", f"partial = {request.param}\n"))
    release(folder / "slopes.ini", folder / "dist", SYSTEMS)
    return folder, POINTS | ({"wrong": 2} if request.param == "no" else {})


def hand_in(blank, path, solved):
    """A notebook as a student hands it in. blank: the one that was handed out; solved: name of a class -> the text of its cell."""
    notebook = json.loads(blank.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        for name, text in solved.items():
            if cell["cell_type"] == "code" and f"\nclass {name}(" in "".join(cell["source"]):
                cell["source"] = text
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def graded(folder, homework):
    """What `grade` gives: student -> points."""
    words = ["grade", str(folder), "--homework", str(homework), "--json", str(folder.parent / "results.json")]
    assert __main__.main(words) == 0
    submissions = json.loads((folder.parent / "results.json").read_text(encoding="utf-8"))["submissions"]
    return {each["submission"]: each["score"] for each in submissions}


def run(venv, folder, *words, seconds=600):
    """Run a program of a virtual environment, or skip the test."""
    program = Path(VENVS, venv, "bin", words[0]).absolute()
    if not program.exists():
        pytest.skip(f"{words[0]} is not installed in {program.parents[1]}")
    paths = {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "JUPYTER_CONFIG_DIR": str(folder), "IPYTHONDIR": str(folder)}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | paths
    done = subprocess.run([program, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def files_with(text, folder):
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_nbgrader(course, tmp_path):
    folder, points = course
    shutil.copytree(folder / "dist" / "nbgrader", tmp_path, dirs_exist_ok=True)
    run("nbgrader", tmp_path, "nbgrader", "generate_assignment", "slopes")
    assert not files_with("HIDDEN", tmp_path / "release") and not files_with("SOLUTION", tmp_path / "release")
    for name, solved in WORKS.items():
        hand_in(tmp_path / "release" / "slopes" / "slopes.ipynb", tmp_path / "submitted" / name / "slopes" / "slopes.ipynb", solved)
    said = run("nbgrader", tmp_path, "nbgrader", "validate", str(tmp_path / "submitted" / "right" / "slopes" / "slopes.ipynb"))
    assert "Success! Your notebook passes all the tests." in said
    said = run("nbgrader", tmp_path, "nbgrader", "validate", str(tmp_path / "submitted" / "wrong" / "slopes" / "slopes.ipynb"))
    assert "VALIDATION FAILED ON 2 CELL(S)!" in said
    run("nbgrader", tmp_path, "nbgrader", "autograde", "slopes")
    run("nbgrader", tmp_path, "nbgrader", "generate_feedback", "slopes")
    run("nbgrader", tmp_path, "nbgrader", "export")
    with open(tmp_path / "grades.csv", newline="") as file:
        found = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert found == pytest.approx(points, abs=0.01)
    assert files_with(SEED, tmp_path) == [tmp_path / "slopes.ini"]
    pages = list((tmp_path / "feedback").rglob("*.html"))
    assert len(pages) == len(WORKS) and not any(files_with(case, tmp_path / "feedback") for case in HIDDEN_CASES)
    assert graded(tmp_path / "submitted", tmp_path / "slopes.ini") == pytest.approx(points, abs=0.01)


def test_otter(course, tmp_path):
    folder, points = course
    run("otter", tmp_path, "otter", "assign", str(folder / "dist" / "otter" / "slopes.ipynb"), "made")
    assert not files_with(SEED, tmp_path / "made" / "student") and not files_with("SOLUTION", tmp_path / "made" / "student")
    (archive,) = (tmp_path / "made" / "autograder").glob("*.zip")
    with zipfile.ZipFile(archive) as packed:
        assert [name for name in packed.namelist() if SEED.encode() in packed.read(name)] == ["files/slopes.ini"]
    found = {}
    for name, solved in WORKS.items():
        if name == "hangs":  # otter ends it by the time limit of the whole notebook: `otter grade --timeout`
            continue
        (tmp_path / name).mkdir()
        hand_in(tmp_path / "made" / "student" / "slopes.ipynb", tmp_path / "all" / name / "slopes.ipynb", solved)
        run("otter", tmp_path, "otter", "run", "-a", str(archive), "-o", name, str(tmp_path / "all" / name / "slopes.ipynb"))
        tests = json.loads((tmp_path / name / "results.json").read_text(encoding="utf-8"))["tests"]
        assert sum(test.get("max_score") or 0 for test in tests) == pytest.approx(9)
        found[name] = sum(test.get("score") or 0 for test in tests)
        assert not any(files_with(secret, tmp_path / name) for secret in (SEED, *HIDDEN_CASES))
    assert found == pytest.approx({name: points[name] for name in found}, abs=0.01)
    assert graded(tmp_path / "all", folder / "slopes.ini") == pytest.approx(found, abs=0.01)


@pytest.fixture(scope="module")
def autograder(tmp_path_factory):
    """Gradescope's folder /autograder, with what its image has installed; setup.sh has run there, but for apt-get."""
    top = tmp_path_factory.mktemp("gradescope")
    (top / "bin").mkdir()
    (top / "bin" / "apt-get").write_text("#!/bin/sh\nexit 0\n")
    (top / "bin" / "apt-get").chmod(0o755)
    (top / "autograder").mkdir()
    return top


def test_gradescope(course, autograder):
    """With whatever Python `python3` is: Gradescope's is Ubuntu 22.04's, 3.10."""
    (folder, points), place = course, autograder / "autograder"
    environment = os.environ | {"PATH": f"{autograder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    shutil.rmtree(place / "source", ignore_errors=True)
    with zipfile.ZipFile(folder / "dist" / "gradescope" / "autograder.zip") as packed:
        packed.extractall(place / "source")
        modes = {info.filename: stat.S_IMODE(info.external_attr >> 16) for info in packed.infolist()}
    assert modes["run_autograder"] == modes["setup.sh"] == 0o755
    for name in ("setup.sh", "run_autograder"):
        script = place / "source" / name
        script.write_text(script.read_text().replace("/autograder/", f"{place}/"))
    if not (place / "venv").exists():
        subprocess.run(["bash", place / "source" / "setup.sh"], check=True, env=environment)
    found = {}
    for name, solved in WORKS.items():
        for part in ("submission", "results"):
            shutil.rmtree(place / part, ignore_errors=True)
            (place / part).mkdir()
        hand_in(folder / "dist" / "student" / "homework.ipynb", place / "submission" / "homework.ipynb", solved)
        done = subprocess.run(["bash", place / "source" / "run_autograder"], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        results = json.loads((place / "results" / "results.json").read_text(encoding="utf-8"))
        assert SEED not in done.stdout + done.stderr and not files_with(SEED, place / "results")
        assert {"score", "max_score", "tests", "output"} <= set(results) and results["max_score"] == 9
        found[name] = results["score"]
    assert found == pytest.approx(points, abs=0.01)


def test_autolab(course, tmp_path):
    """A job's folder: the archive, the Makefile and the one file that was handed in; NumPy is fetched if `python3` has none."""
    folder, points = course
    bin = tmp_path / "bin"  # a python3 without packages of its own
    subprocess.run(["python3", "-m", "venv", tmp_path / "plain"], check=True)
    bin.symlink_to(tmp_path / "plain" / "bin")
    environment = os.environ | {"PATH": f"{bin}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    found = {}
    for name, solved in WORKS.items():
        if name == "hangs":
            continue
        job = tmp_path / name
        job.mkdir()
        shutil.copy(folder / "dist" / "autolab" / "autograde.tar", job)
        shutil.copy(folder / "dist" / "autolab" / "autograde-Makefile", job / "Makefile")
        hand_in(folder / "dist" / "student" / "homework.ipynb", job / "handin.ipynb", solved)
        done = subprocess.run(["make"], cwd=job, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        last = json.loads(done.stdout.rstrip("\n").splitlines()[-1])
        assert set(last) == {"scores"} and SEED not in done.stdout + done.stderr
        found[name] = sum(last["scores"].values())
    assert found == pytest.approx({name: points[name] for name in found}, abs=0.01)
