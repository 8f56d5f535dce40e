"""A homework for other systems: cells for nbgrader and otter run as these tools run them, and packed archives can grade."""

import ast
import contextlib
import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from minigrad.coursework import CheckFailed, __main__, check_file, from_file, score_file
from minigrad.coursework.blanks import BEGIN, END
from minigrad.coursework.grade import judging, one_file
from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.judge.loading import load
from minigrad.coursework.judge.request import judge
from minigrad.coursework.release.notebooks import notebook_text


def cells_of(file):
    return json.loads(file.read_text(encoding="utf-8"))["cells"]


def text(cell):
    return "".join(cell["source"])


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A folder that is the current one, and below the homework's file as in these tools; the notebook in it is judged in this process."""
    (tmp_path / "autograded").mkdir()
    monkeypatch.chdir(tmp_path / "autograded")
    monkeypatch.setattr(judging, "judge_in_process", lambda request, exercise, cases: judge(request | {"sandbox": None}))
    judged = functools.cache(lambda notebook, content, file, id: one_file.judged(notebook, file, id))  # once, as judged_notebook does

    def judged_here(id, homework):
        notebook = from_file.notebook_in(tmp_path / "autograded", homework)
        return judged(notebook, notebook.read_bytes(), from_file.file_above(tmp_path / "autograded", homework), id)

    monkeypatch.setattr(from_file, "judged_notebook", judged_here)
    return tmp_path


def put(course, homework, cells):
    """The notebook that is graded, and the homework's file above it."""
    (course / f"{homework.name}.ini").write_bytes(homework.path.read_bytes())
    code = [{"cell_type": "code", "source": text(cell)} for cell in cells]
    (course / "autograded" / f"{homework.name}.ipynb").write_text(json.dumps({"cells": code, "metadata": {}, "nbformat": 4}))


# ---- notebooks of both forms, run as these tools run them


def executed(cells, space):
    """Run cells as a kernel does -> (stderr, the value of the last expression, the error or None) of the last cell."""
    for cell in cells:
        tree, value, err = ast.parse(text(cell)), None, io.StringIO()
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        try:
            with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
                exec(compile(tree, "<cell>", "exec"), space)
                value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), space) if last else None
        except Exception as error:
            return err.getvalue(), None, error
    return err.getvalue(), value, None


def nbgraders_points(cells, space, maximum):
    """nbgrader's rule: an error or anything on stderr is 0; a last value that casts to float is the points; else all of them."""
    err, value, error = executed(cells, space)
    if error is not None or err:
        return 0.0
    try:
        earned = float(value)
    except (TypeError, ValueError):
        return maximum
    assert earned <= maximum, "nbgrader raises"
    return earned


def stripped(cell, keep_solution):
    """A cell as nbgrader hands it out, or as the model: what stands between the markers goes, or the markers alone."""
    source = text(cell)
    if not keep_solution:
        source = re.sub(rf"( *){BEGIN}.*?{END}", r"\1raise NotImplementedError()", source, flags=re.DOTALL)
    return cell | {"source": source}


def nbgrader_cells(sample):
    homework, out = sample
    return cells_of(out / "nbgrader" / "source" / homework.name / f"{homework.name}.ipynb")


def test_cells_for_nbgrader(sample):
    cells, ids = nbgrader_cells(sample), []
    for cell in cells:
        about = cell["metadata"]["nbgrader"]
        ids.append(about["grade_id"])
        kind = (cell["cell_type"], about["grade"], about["solution"], about["locked"])
        assert kind in (("markdown", False, False, True), ("code", False, True, False), ("code", True, False, True))
        assert about["schema_version"] == 3 and ("points" in about) == about["grade"]
        source = text(cell)
        assert ("### BEGIN HIDDEN TESTS" in source) == ("### END HIDDEN TESTS" in source) == about["grade"]
        assert source.count(BEGIN) == source.count(END) and (BEGIN in source) == about["solution"]
        assert all(line.strip() in (BEGIN, END) for line in source.splitlines() if "BEGIN SOL" in line or "END SOL" in line)
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[A-Za-z0-9_-]+", id) for id in ids)
    assert sum(cell["metadata"]["nbgrader"].get("points", 0) for cell in cells) == sum(sample[0].points.values())


@pytest.mark.parametrize("written", [True, False])
def test_nbgrader_gives_all_points_to_the_model_and_none_to_blanks(sample, written, course):
    """Each check cell after the cells of classes alone: students copy, move and delete the others."""
    written_so_far = []
    for cell in nbgrader_cells(sample):
        about = cell["metadata"]["nbgrader"]
        if about["solution"]:
            written_so_far.append(stripped(cell, written))
        elif about["grade"]:
            put(course, sample[0], written_so_far)  # in the cage the cell that checks says nothing
            points = nbgraders_points([*written_so_far, cell], {"__name__": "__main__"}, about["points"])
            assert points == (about["points"] if written else 0), about["grade_id"]


@pytest.mark.parametrize("name, line, wrong, partial", [
    ("layers", "self.dW = self.x.T @ dy", "self.dW = self.x.T @ dy * (1 + (len(dy) == 2))", True),
    ("all or none", "self.dW = dW.reshape(self.W.shape)", "self.dW = dW.reshape(self.W.shape) * (1 + (self.S == 2))", False),
])  # fmt: skip
def test_a_part_of_the_points_is_given_unless_that_is_not_wanted(name, line, wrong, partial, released, course):
    """Wrong only with stride 2, or with two images."""
    homework = released[name][0]
    cells = [cell for cell in nbgrader_cells(released[name]) if cell["cell_type"] == "code"]
    solution = next(i for i, cell in enumerate(cells) if line in text(cell))
    cell = cells[solution] | {"source": text(cells[solution]).replace(line, wrong)}
    earlier = [other for other in cells[:solution] if other["metadata"]["nbgrader"]["solution"]]
    put(course, homework, [*earlier, cell])
    points = nbgraders_points([*earlier, cell, cells[solution + 1]], {"__name__": "__main__"}, 4)
    assert 0 < points < 4 if partial else points == 0


def test_no_seed_and_no_case_is_in_a_cell_or_in_its_process(released, course):
    """The judge is another process; what it says is all that there is."""
    homework, out = released["layers"]
    for file in [*out.glob("nbgrader/source/*/*.ipynb"), *out.glob("otter/*.ipynb")]:
        assert str(homework.seed) not in file.read_text(encoding="utf-8")
    (course / "layers.ini").write_bytes(homework.path.read_bytes())
    (course / "autograded" / "layers.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": "class ReLU:\n    pass"}]}))
    judged = from_file.judged_notebook("relu.backward", "layers.ini")
    assert judged["score"] == 0 and str(homework.seed) not in json.dumps(judged) and "hidden-" not in json.dumps(judged)


def test_a_notebook_is_judged_from_its_file_in_another_process(released, tmp_path, monkeypatch, capsys):
    homework, out = released["layers"]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckFailed, match="there is no notebook layers.ipynb in"):
        check_file("relu.backward", "layers.ini")
    solved = "from helper import Base\n" + text(cells_of(out / "instructor" / "homework.ipynb")[5]).replace("(Layer)", "(Base)")
    (tmp_path / "helper.py").write_text("from minigrad.coursework import Layer as Base\n")
    (tmp_path / "layers.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": solved}]}))
    with pytest.raises(CheckFailed, match="there is no layers.ini in"):
        check_file("relu.backward", "layers.ini")
    (tmp_path / "layers.ini").write_bytes(homework.path.read_bytes())
    assert "class ReLU" in solved and score_file("relu.backward", "layers.ini") == 2
    assert check_file("relu.backward", "layers.ini") is None and check_file("relu.backward", "layers.ini", case=0) is None
    said = capsys.readouterr().out
    assert said.startswith("passes\n") and str(homework.seed) not in said and "hidden-" not in said
    with pytest.raises(CheckFailed, match="layers.ini has no exercise tanh.backward"):
        check_file("tanh.backward", "layers.ini")


def test_cells_for_otter(sample, course):
    homework, out = sample
    cells = cells_of(out / "otter" / f"{homework.name}.ipynb")
    config = text(cells[0])
    assert cells[0]["cell_type"] == "raw" and config.startswith("# ASSIGNMENT CONFIG\n") and "ok_format: false" in config
    assert all(f"  - {group}.py" in config and (out / "otter" / f"{group}.py").exists() for group in homework.groups)
    space, tests = {"__name__": "__main__"}, 0
    for cell in cells:
        source = text(cell)
        assert "###" not in source
        if cell["cell_type"] != "code":
            continue
        if '""" # BEGIN TEST CONFIG' not in source:
            executed([cell], space)
            continue
        made = {}
        exec(source, made)
        name, test = next((name, value) for name, value in made.items() if name.startswith("test_"))
        exercise = next(e for e in homework.exercises if f'"{e.id}"' in source)
        if name.endswith("_public"):
            (wanted,) = test.__code__.co_varnames[: test.__code__.co_argcount]
            with contextlib.redirect_stdout(io.StringIO()):
                assert test(space[wanted]) is None
            with pytest.raises(CheckFailed, match=f"^{exercise.id}: not started$"):
                test(load("blank", exercise))
        elif exercise == homework.exercises[0]:
            for form in ("solution", "blank"):
                notebook = json.loads(notebook_text(homework, form))["cells"]
                put(course, homework, [cell for cell in notebook if "class" in text(cell) or "def " in text(cell)])
                with contextlib.nullcontext() if form == "solution" else pytest.raises(CheckFailed, match=f"^{exercise.id}: "):
                    assert test() is None
        tests += 1
    number = [1 if not homework.partial else len(e.cases + hidden_cases(e, homework.seed)) for e in homework.exercises]
    assert tests == len(homework.exercises) + sum(number)
    points = re.findall(r'""" # BEGIN TEST CONFIG\npoints: ([\d.]+)', "\n".join(text(cell) for cell in cells))
    assert sum(map(float, points)) == pytest.approx(sum(homework.points.values()), abs=1e-9)


# ---- Gradescope and Autolab: what is packed can grade


@pytest.mark.parametrize("form", ["gradescope", "autolab"])
def test_results_in_their_form(form, released, tmp_path, monkeypatch, capsys):
    homework, out = released["layers"]
    if form == "gradescope":
        zipfile.ZipFile(out / "gradescope" / "autograder.zip").extractall(tmp_path)
        assert "grade /autograder/submission --homework homework.ini" in (tmp_path / "run_autograder").read_text()
    else:
        with tarfile.open(out / "autolab" / "autograde.tar") as packed:
            packed.extractall(tmp_path, filter="data")
        tmp_path = tmp_path / "autograde"
    assert (tmp_path / "minigrad" / "coursework" / "judge" / "child.py").exists()
    monkeypatch.setattr(
        "minigrad.coursework.grade.judging.judge_in_process", lambda request, exercise, cases: judge(request | {"sandbox": None})
    )
    words = ["grade", str(out / "instructor" / "solutions"), "--homework", str(tmp_path / "homework.ini"), "--for", form, "--workers", "1"]
    assert __main__.main([*words, "--json", str(tmp_path / "results.json")]) == 0
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["score"] == 7.5 and {test["visibility"] for test in found["tests"]} == {"visible"}
    assert set(found["tests"][0]) == {"name", "score", "max_score", "output", "visibility", "status"}
    last = capsys.readouterr().out.rstrip("\n").splitlines()[-1]
    if form == "autolab":
        assert json.loads(last) == {"scores": homework.points}


# ---- a container, of which all but Docker's own part is run


@pytest.mark.skipif(os.name != "posix", reason="there is no sh")
def test_the_recipe_for_a_container(released, tmp_path):
    """grade.sh, with a docker that writes down how it was called; then what the image would run, in the tree that it would hold."""
    homework, out = released["layers"]
    tree = tmp_path / "container"
    shutil.copytree(out / "container", tree)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text(f'#!/bin/sh\nfor word; do echo "$word"; done >> {tmp_path}/called\n')
    (tmp_path / "bin" / "docker").chmod(0o755)
    (tmp_path / "handed in" / "ada").mkdir(parents=True)
    shutil.copy(out / "instructor" / "solutions" / "relu.py", tmp_path / "handed in" / "ada")
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    words = ["sh", str(tree / "grade.sh"), "handed in", "results", "--reveal"]
    subprocess.run(words, cwd=tmp_path, env=environment, check=True)
    called = (tmp_path / "called").read_text().splitlines()
    build, run = called[: called.index("run")], called[called.index("run") :]
    assert build == ["build", "--quiet", "--tag", "minigrad-grade", str(tree)]
    pairs = {*zip(run, run[1:], strict=False)}
    limits = {
        ("--network", "none"),
        ("--cap-drop", "ALL"),
        ("--memory", "12g"),
        ("--pids-limit", "512"),
        ("--security-opt", "no-new-privileges"),
    }
    volumes = {("--volume", f"{tmp_path}/handed in:/handed-in:ro"), ("--volume", f"{tmp_path}/results:/results")}
    assert limits | volumes <= pairs and "--read-only" in run and "--rm" in run
    docker = (tree / "Dockerfile").read_text()
    assert "USER nobody" in docker
    entry = json.loads(docker.rpartition("ENTRYPOINT ")[2])
    options = [word.replace("/results", str(tmp_path / "results")) for word in run[run.index("minigrad-grade") + 1 :]]
    words = [word.replace("/handed-in", str(tmp_path / "handed in")) for word in [*entry, *options]]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([sys.executable, *words[1:]], cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "relu.backward,2,2,passes" in (tmp_path / "results" / "grades.csv").read_text(encoding="utf-8-sig")
    assert (tmp_path / "results" / "feedback.json").exists()
