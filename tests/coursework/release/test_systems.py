"""A homework for other systems: cells for nbgrader and otter run as these tools run them, and packed archives can grade."""

import ast
import contextlib
import io
import json
import re
import tarfile
import zipfile

import pytest

from minigrad.coursework import __main__
from minigrad.coursework.blanks import BEGIN, END
from minigrad.coursework.judge.loading import load
from minigrad.coursework.judge.request import judge


def cells_of(file):
    return json.loads(file.read_text(encoding="utf-8"))["cells"]


def text(cell):
    return "".join(cell["source"])


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
def test_nbgrader_gives_all_points_to_the_model_and_none_to_blanks(sample, written):
    """Each check cell after the cell of its class alone: students copy, move and delete the others."""
    above = None
    for cell in nbgrader_cells(sample):
        about = cell["metadata"]["nbgrader"]
        if about["solution"]:
            above = stripped(cell, written)
        elif about["grade"]:
            points = nbgraders_points([above, cell], {"__name__": "__main__"}, about["points"])
            assert points == (about["points"] if written else 0), about["grade_id"]


@pytest.mark.parametrize("name, line, wrong, partial", [
    ("convolution", "self.dW = dW.reshape(self.W.shape)", "self.dW = dW.reshape(self.W.shape) * (1 + (self.S == 2))", True),
    ("layers", "self.dW = self.x.T @ dy", "self.dW = self.x.T @ dy * (1 + (len(dy) == 2))", False),
])  # fmt: skip
def test_nbgrader_gives_a_part_of_the_points_only_where_that_is_wanted(name, line, wrong, partial, released):
    """Wrong only with stride 2, or with two images."""
    cells = [cell for cell in nbgrader_cells(released[name]) if cell["cell_type"] == "code"]
    solution = next(i for i, cell in enumerate(cells) if line in text(cell))
    cell = cells[solution] | {"source": text(cells[solution]).replace(line, wrong)}
    points = nbgraders_points([cell, cells[solution + 1]], {"__name__": "__main__"}, 4)
    assert 0 < points < 4 if partial else points == 0


def test_cells_for_otter(sample):
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
        test = next(value for name, value in made.items() if name.startswith("test_"))
        (wanted,) = test.__code__.co_varnames[: test.__code__.co_argcount]
        with contextlib.redirect_stdout(io.StringIO()):
            assert test(space[wanted]) is None
            exercise = next(e for e in homework.exercises if f'"{e.id}"' in source)
            with pytest.raises(AssertionError, match=f"^{exercise.id}: not started$"):
                test(load("blank", exercise))
        tests += 1
    assert tests == 2 * len(homework.exercises)
    points = re.findall(r'""" # BEGIN TEST CONFIG\npoints: ([\d.]+)', "\n".join(text(cell) for cell in cells))
    assert sum(map(float, points)) == sum(homework.points.values())


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
