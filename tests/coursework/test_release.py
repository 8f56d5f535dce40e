"""Releases: nothing of the solution gets out; and the cells for nbgrader and otter avoid what these stumble over."""

import ast
import contextlib
import io
import json
import re
import tarfile
import zipfile

import pytest

from minigrad import plain
from minigrad.coursework import __main__, child
from minigrad.coursework.exercises import EXERCISES
from minigrad.coursework.homework import HomeworkError, read_homework
from minigrad.coursework.release import ROOT, prove, release
from minigrad.coursework.solutions import load
from minigrad.coursework.source import BEGIN, END, text_of
from minigrad.coursework.variants import ALL, VARIANTS

SAMPLES = {
    "layers": "title = Layers\nseed = 20121203\n[exercises]\nlinear.backward = 2.5\nrelu.forward = 1\nrelu.backward = 2\nloss.forward = 2",
    "convolution": "seed = 424243\npartial = yes\n[exercises]\npatches.extract = 3\npatches.add_back = 4\nconv2d.backward = 4",
    "variants": "seed = 99991\ndue = Friday\n[exercises]\navgpool.forward = 2\navgpool.backward = 3\nnesterov.step = 3\nhunt.1 = 1",
}
FORMS = ("nbgrader", "otter", "gradescope", "autolab")


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """name -> (homework, folder) of the samples, in all forms."""
    found = {}
    for name, text in SAMPLES.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / f"{name}.ini").write_text(f"[homework]\n{text}")
        lines = release(folder / f"{name}.ini", folder / "dist", FORMS)
        assert lines[-1].startswith("The release is proved")
        found[name] = read_homework(folder / f"{name}.ini"), folder / "dist"
    return found


@pytest.fixture(params=SAMPLES)
def sample(request, released):
    return released[request.param]


def cells_of(file):
    return json.loads(file.read_text(encoding="utf-8"))["cells"]


def text(cell):
    return "".join(cell["source"])


def test_the_teachers_page_is_true(tmp_path):
    page = (ROOT / "COURSEWORK.md").read_text(encoding="utf-8")
    (tmp_path / "homework.ini").write_text(page.partition("```ini\n")[2].partition("```")[0])
    assert list(read_homework(tmp_path / "homework.ini").points) == ["linear.backward", "relu.backward", "avgpool.backward"]
    groups = {exercise.group for exercise in EXERCISES}
    assert f"{len(EXERCISES)} exercises in {len(groups)} groups" in page and f"and {len(VARIANTS)} variants" in page
    assert f"for {sum(bool(mistake.hint) for e in ALL for mistake in e.mistakes)} known mistakes" in page
    assert all(f"`{e.group}`" in page for e in VARIANTS)


# ---- the proof


def test_a_release_is_proved_and_complete(sample):
    homework, out = sample
    assert prove(out / "student", homework) == []
    wanted = {f"{group}.py" for group in homework.groups} | {"homework.ipynb", "README.md"}
    assert {path.name for path in (out / "student").iterdir()} == wanted
    assert {path.name for path in out.iterdir()} == {"student", "instructor", *FORMS}
    model = (out / "instructor" / "model.csv").read_text().splitlines()
    assert len(model) == 1 + len(homework.exercises) and all(line.endswith("passes") for line in model[1:])


def archive(kind, name, content):
    data = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(data, "w") as packed:
            packed.writestr(name, content)
    else:
        with tarfile.open(fileobj=data, mode="w:gz") as packed:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content.encode()))
    return data.getvalue()


BODY = "        self.dW = self.x.T @ dy\n        self.db = dy.sum(axis=0)\n        return dy @ self.W.T\n"
LINE = "z = logits - logits.max(axis=1, keepdims=True)"
NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
CODE = {"cell_type": "code", "id": "c", "metadata": {}, "execution_count": None, "outputs": [], "source": []}


def leaking(metadata=None, **cell):
    return json.dumps(NOTEBOOK | {"metadata": metadata or {}, "cells": [CODE | cell]})


LEAKS = {  # name of a file, what is in it, what the proof says
    "marker left": ("notes.md", f"{BEGIN}\n", "the marker 'BEGIN SOLUTION' is left"),
    "marker of hidden tests": ("notes.md", "### END HIDDEN TESTS", "the marker 'END HIDDEN TESTS' is left"),
    "body left": ("more.py", f"class Linear:\n    def backward(self, dy):\n{BODY}", "linear.backward is more than a blank"),
    "line of a solution": ("more.py", f"# {LINE}\n", "a line of a solution"),
    "line in another cell": ("more.ipynb", leaking(source=[LINE]), "a line of a solution"),
    "pyc": ("linear.pyc", b"\0", "compiled code, which may hold solutions"),
    "folder of pyc": ("__pycache__/a.txt", "", "__pycache__ does not belong into a release"),
    "checkpoint folder": (".ipynb_checkpoints/homework.ipynb", leaking(), ".ipynb_checkpoints does not belong into a release"),
    "git": (".gitignore", "", ".gitignore does not belong into a release"),
    "pairing metadata": ("more.ipynb", leaking({"jupytext": {"formats": "ipynb,py"}}), "metadata of jupytext, which may write solutions"),
    "output": ("more.ipynb", leaking(outputs=[{"output_type": "stream", "name": "stdout", "text": "7"}]), "the cell c has outputs"),
    "solution in an output": (
        "more.ipynb", leaking(outputs=[{"output_type": "stream", "name": "stdout", "text": f"x\n{LINE}\n"}]), "a line of a solution"
    ),
    "hidden seed": ("notes.md", "The seed is 20121203.", "the hidden seed"),
    "hidden case": ("notes.md", '{"name": "hidden-1"}', "hidden cases"),
    "body inside a zip": ("more.zip", archive("zip", "linear.py", LINE), "linear.py: a line of a solution"),
    "body inside a tar": ("more.tar.gz", archive("tar", "solutions/linear.py", LINE), "linear.py: a line of a solution"),
    "zip in a zip": ("more.zip", archive("zip", "inner.zip", archive("zip", "a.py", LINE)), "a.py: a line of a solution"),
    "zip that cannot be opened": ("more.zip", b"PK", "compiled code"),
    "unknown kind": ("model.npz", b"", "is of a kind that no release holds"),
    "solution for blank": ("linear.py", text_of(plain.Linear), "linear.backward is more than a blank"),
    "file gone": ("relu.py", None, "relu.py is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_refused(name, released, tmp_path):
    homework, out = released["layers"]
    where, content, said = LEAKS[name]
    for path in (out / "student").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    file = tmp_path / where
    file.parent.mkdir(exist_ok=True)
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert said in "; ".join(prove(tmp_path, homework))


def test_a_refused_release_leaves_nothing_behind(tmp_path, monkeypatch):
    (tmp_path / "h.ini").write_text("[homework]\ntitle = Hint: dx is dy * self.positive\nseed = 1001\n[exercises]\nrelu.backward = 2\n")
    monkeypatch.setattr("minigrad.coursework.release.readme", lambda homework: f"{BEGIN} 1001")
    with pytest.raises(
        HomeworkError, match="the release is refused: README.md: the marker 'BEGIN SOLUTION' is left; README.md: the hidden"
    ):
        release(tmp_path / "h.ini", tmp_path / "dist")
    assert [path.name for path in tmp_path.iterdir()] == ["h.ini"]
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "mine.txt").write_text("kept")
    with pytest.raises(HomeworkError, match="exists already, and nothing is overwritten"):
        release(tmp_path / "h.ini", tmp_path / "dist")
    assert (tmp_path / "dist" / "mine.txt").read_text() == "kept"


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
    assert (tmp_path / "minigrad" / "coursework" / "child.py").exists()
    monkeypatch.setattr("minigrad.coursework.grade.apart", lambda request, exercise, cases: child.judge(request | {"memory": None}))
    words = ["grade", str(out / "instructor" / "solutions"), "--homework", str(tmp_path / "homework.ini"), "--for", form, "--workers", "1"]
    assert __main__.main([*words, "--json", str(tmp_path / "results.json")]) == 0
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["score"] == 7.5 and {test["visibility"] for test in found["tests"]} == {"visible"}
    assert set(found["tests"][0]) == {"name", "score", "max_score", "output", "visibility", "status"}
    last = capsys.readouterr().out.rstrip("\n").splitlines()[-1]
    if form == "autolab":
        assert json.loads(last) == {"scores": homework.points}
