"""The notebooks run: as scripts, as students get them, and solved. Needs the extra `notebooks`; takes minutes."""

import base64
import importlib.util
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

nbformat = pytest.importorskip("nbformat")
for package in ("jupytext", "nbclient", "ipykernel"):
    pytest.importorskip(package)

from minigrad.coursework import CheckFailed, check  # noqa: E402
from minigrad.coursework.exercises import find  # noqa: E402
from minigrad.coursework.source import plant  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks" / "source").glob("[0-9]*.py"))
LARGEST = 300_000  # bytes of an output
FIGURES = {"00": 3, "01": 3, "02": 2, "03": 3, "04": 4, "05": 3, "06": 3, "07": 3, "08": 3, "09": 7, "10": 4}  # at least

spec = importlib.util.spec_from_file_location("build", ROOT / "notebooks" / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)

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


def ids(source):
    """The exercises of a notebook."""
    return re.findall(r'exercise="([^"]*)"', source.read_text(encoding="utf-8"))


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
def test_as_a_script(source, tmp_path):
    done = subprocess.run([sys.executable, source], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert not list(tmp_path.iterdir()), "a notebook leaves no files"


@each
def test_student_edition(source, monkeypatch):
    """Blanks everywhere: nothing fails, every check says so."""
    notebook = run(build.build(source), source, monkeypatch)
    assert printed(notebook, "stderr") == ""
    text = printed(notebook, "stdout")
    for id in " ".join(ids(source)).split():
        assert f"{id}: not started" in text


@each
def test_solved_edition(source, monkeypatch):
    """Every check passes, and the figures are there."""
    notebook = run(build.build(source, solutions=True), source, monkeypatch)
    text = printed(notebook, "stdout")
    assert printed(notebook, "stderr") == ""
    for id in " ".join(ids(source)).split():
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


@each
def test_mistakes_are_answered_as_the_box_says(source):
    """Whoever makes one of the mistakes in a "what goes wrong" box gets the sentence beside it."""
    text = source.read_text(encoding="utf-8")
    boxes = " ".join(re.findall(r'mistakes="([^"]*)"', text)).split()
    assert set(boxes) <= set(" ".join(ids(source)).split())
    for exercise in find(boxes) if boxes else ():
        for mistake in exercise.mistakes:
            if mistake.hint:
                with pytest.raises(CheckFailed) as failed:
                    check(exercise.id, plant(exercise.source, mistake))
                assert mistake.hint in " ".join(str(failed.value).split()), f"{exercise.id}: {mistake.name}\n{failed.value}"
