"""The notebooks run: as scripts, as students get them, and solved. Needs the extra `notebooks`; takes minutes."""

import ast
import base64
import importlib.util
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from minigrad.coursework import CheckFailed, check
from minigrad.coursework.exercises import find
from minigrad.coursework.source import plant

nbformat = pytest.importorskip("nbformat")
for package in ("jupytext", "nbclient", "ipykernel"):
    pytest.importorskip(package)

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks" / "source").glob("[0-9]*.py"))
LARGEST = 300_000  # bytes of an output
FIGURES = {"00": 3, "01": 3, "02": 2, "03": 3, "04": 4, "05": 3, "06": 3, "07": 3, "08": 3, "09": 7, "10": 4}  # at least

spec = importlib.util.spec_from_file_location("build", ROOT / "notebooks" / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)

# Runs a script and looks at its figures when they are shown: each has a title, and the numbers of every axis have a name, if need be that
# of a neighbour in the same row or column.
LOOKED_AT = """
import runpy, sys
import matplotlib.pyplot as plt

def has_numbers(axis):
    return any(label.get_visible() and label.get_text()[:1] in tuple("-−.$0123456789") for label in axis.get_ticklabels())

def look():
    for number in plt.get_fignums():
        figure = plt.figure(number)
        figure.canvas.draw()
        titles = [axes.get_title(place) for axes in figure.axes for place in ("left", "center")]
        assert any([figure.get_suptitle(), *titles]), f"figure {number} has no title"
        places = {"x": lambda axes: round(axes.get_position().x0, 2), "y": lambda axes: round(axes.get_position().y0, 2)}
        for name, place in places.items():
            axis = {axes: getattr(axes, name + "axis") for axes in figure.axes if axes.axison}
            named = {place(axes) for axes in axis if axis[axes].get_label_text()}
            for axes in axis:
                assert place(axes) in named or not has_numbers(axis[axes]), f"{titles}: what are the numbers of the {name} axis?"
        plt.close(figure)

plt.show = look
runpy.run_path(sys.argv[1], run_name="__main__")
assert not plt.get_fignums(), "a figure is never shown"
"""

each = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """Loops are short, and kernels find this clone's minigrad from the empty folder they run in."""
    monkeypatch.setenv("MINIGRAD_FAST", "1")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def written(source):
    return nbformat.writes(build.build(source)) + "\n"


def outputs(notebook, kind):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs if output.output_type == kind]


def printed(notebook, stream):
    return "".join(output.text for output in outputs(notebook, "stream") if output.name == stream)


def ids(source, word="exercise"):
    """The exercises of a notebook, or with "mistakes" those whose mistakes it lists."""
    return " ".join(re.findall(rf'{word}="([^"]*)"', source.read_text(encoding="utf-8"))).split()


def run(notebook, source, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")  # the kernel has one of its own
    return build.execute(notebook, source.stem)


@each
def test_committed_notebooks_are_what_the_sources_give(source):
    path = ROOT / "notebooks" / f"{source.stem}.ipynb"
    assert path.exists() and path.read_text(encoding="utf-8") == written(source), "run python notebooks/build.py"


@each
def test_cells_have_ids_of_their_own_and_nothing_else(source):
    notebook = json.loads(written(source))
    found = [cell["id"] for cell in notebook["cells"]]
    assert len(set(found)) == len(found) and all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", id) for id in found)
    assert all(cell["metadata"] == {} and not cell.get("outputs") for cell in notebook["cells"])
    assert 20 <= len(found) <= 60 and notebook["cells"][0]["source"][0].startswith("# ")


@each
def test_no_cell_uses_what_the_student_writes(source):
    """A blank takes its name: what other cells use, they call by its module, `plain.im2col` or `mg.Conv2d`."""
    theirs = {exercise.source.__name__ for id in ids(source) for exercise in find([id])}
    names = {node.id for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)}
    assert not theirs & names


@each
def test_as_a_script(source, tmp_path):
    """It ends, says nothing on stderr, leaves no files, and its figures are labelled."""
    done = subprocess.run([sys.executable, "-c", LOOKED_AT, source], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert not list(tmp_path.iterdir())


@each
def test_student_edition(source, monkeypatch):
    """Blanks everywhere: nothing fails, every check says so."""
    notebook = run(build.build(source), source, monkeypatch)
    assert printed(notebook, "stderr") == ""
    text = printed(notebook, "stdout")
    for id in ids(source):
        assert f"{id}: not started" in text


@each
def test_solved_edition(source, monkeypatch):
    """Every check passes, and the figures are there."""
    notebook = run(build.build(source, solutions=True), source, monkeypatch)
    text = printed(notebook, "stdout")
    assert printed(notebook, "stderr") == ""
    for id in ids(source):
        assert re.search(rf"^{re.escape(id)}: \d+ public cases? passed", text, re.M), id
    pictures = [output.data["image/png"] for output in outputs(notebook, "display_data") if "image/png" in output.data]
    assert FIGURES[source.stem[:2]] <= len(pictures) <= 8
    for picture in pictures:
        assert len(picture) < LARGEST
        assert np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("L")).std() > 5
    assert all(len(json.dumps(output)) < LARGEST for kind in ("stream", "execute_result") for output in outputs(notebook, kind))


@each
def test_links_lead_somewhere(source):
    for target in re.findall(r"\]\(([^)#]+)\)", source.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (ROOT / "notebooks" / target).exists(), target


# ---- what goes wrong


@each
def test_mistakes_of_every_exercise_are_listed_once(source):
    assert sorted(ids(source, "mistakes")) == sorted(id for id in ids(source) if not id.startswith("hunt."))


LISTED = sorted({id for source in SOURCES for id in ids(source, "mistakes")})


@pytest.mark.parametrize("id", LISTED)
def test_a_planted_mistake_gets_the_sentence_of_its_box(id):
    (exercise,) = find([id])
    box = build.mistakes([id])
    for mistake in exercise.mistakes:
        with pytest.raises(CheckFailed) as error:
            check(id, plant(exercise.source, mistake))
        assert mistake.hint in str(error.value), mistake.name
        assert not mistake.hint or f"| {mistake.name} | {mistake.hint} |" in box


# ---- the first cell


def first_cell(asked, found=None):
    """Run it as IPython does; what it asks of `%pip` goes into a list, and from then on minigrad can be imported."""
    from IPython.core.inputtransformer2 import TransformerManager

    class Shell:
        def run_line_magic(self, magic, line):
            asked.append(f"{magic} {line}")
            sys.modules["minigrad"] = found

    exec(TransformerManager().transform_cell(build.FIRST), {"get_ipython": Shell})


def test_first_cell_installs_the_library_only_where_it_is_missing(monkeypatch):
    asked, library = [], sys.modules["minigrad"]
    first_cell(asked)
    assert asked == []
    monkeypatch.setitem(sys.modules, "minigrad", None)  # import raises ImportError
    first_cell(asked, library)
    assert asked == [f'pip install -q "minigrad-alexnet @ git+{build.REPOSITORY}"']


def test_first_cell_knows_the_other_project_of_that_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "minigrad", ModuleType("minigrad"))
    with pytest.raises(AssertionError, match="another project of that name"):
        first_cell([])
