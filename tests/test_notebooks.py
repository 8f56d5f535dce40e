"""The notebooks run: as students get them, solved, and (slow tests) as scripts. Needs the extra `notebooks`; takes minutes."""

import ast
import base64
import importlib.util
import io
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from minigrad.coursework import CheckFailed, check
from minigrad.coursework.blanks import functions_in, split
from minigrad.coursework.exercises import find
from minigrad.coursework.release.address import NAME, first_cell, how_to_install, source_address
from minigrad.coursework.release.proof import LONG, normalised
from minigrad.coursework.source import plant, text_of

nbformat = pytest.importorskip("nbformat")
for package in ("jupytext", "nbclient", "ipykernel"):
    pytest.importorskip(package)

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks" / "source").glob("[0-9]*.py"))
LARGEST = 300_000  # bytes of an output
FIGURES = {
    "00": 3,
    "01": 3,
    "02": 2,
    "03": 3,
    "04": 4,
    "05": 3,
    "06": 3,
    "07": 3,
    "08": 3,
    "09": 7,
    "10": 4,
    "11": 3,
    "12": 4,
    "13": 7,
}  # at least

spec = importlib.util.spec_from_file_location("build", ROOT / "notebooks" / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)

# Looks at figures before they are shown: each has a title, and the numbers of every axis have a name, if need be that of a neighbour in the
# same row or column.
LOOKING = """
import matplotlib.text
import matplotlib.pyplot as plt

shown, show = 0, plt.show

def has_numbers(axis):
    return any(label.get_visible() and label.get_text()[:1] in tuple("-−.$0123456789") for label in axis.get_ticklabels())

def box(artist):
    return artist.get_window_extent()

def legend_on_a_label(figure):
    # The first text that a legend of the figure lies on, or None.
    labels = [text for axes in figure.axes for text in [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]]
    labels += [label for axes in figure.axes if axes.axison for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels()]
    labels = [label for label in labels if label.get_visible() and label.get_text().strip()]
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend() is not None]
    return next((label.get_text() for legend in legends for label in labels if box(legend).overlaps(box(label))), None)

def look():
    global shown
    for number in plt.get_fignums():
        figure = plt.figure(number)
        figure.canvas.draw()
        titles = [axes.get_title(place) for axes in figure.axes for place in ("left", "center")]
        assert any([figure.get_suptitle(), *titles]), f"figure {number} has no title"
        words = " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
        assert "`" not in words, f"figure {number} shows Markdown"
        assert legend_on_a_label(figure) is None, f"{titles}: the legend lies on {legend_on_a_label(figure)!r}"
        places = {"x": lambda axes: round(axes.get_position().x0, 2), "y": lambda axes: round(axes.get_position().y0, 2)}
        for name, place in places.items():
            axis = {axes: getattr(axes, name + "axis") for axes in figure.axes if axes.axison}
            named = {place(axes) for axes in axis if axis[axes].get_label_text()}
            for axes in axis:
                assert place(axes) in named or not has_numbers(axis[axes]), f"{titles}: what are the numbers of the {name} axis?"
        shown += 1
    show()
    plt.close("all")

plt.show = look
"""
FIRST = f"import types\n\nlooking = types.ModuleType('looking')\nexec({LOOKING!r}, vars(looking))"
LAST = "import os\n\nassert not os.listdir(), 'it leaves files'\nprint(looking.shown)"
SCRIPT = f"""{LOOKING}
import runpy, sys
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


@pytest.mark.slow
@each
def test_as_a_script(source, tmp_path):
    """It ends, says nothing on stderr, leaves no files, and its figures are labelled."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, source], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert not list(tmp_path.iterdir())


@each
def test_student_edition(source, monkeypatch):
    """Blanks everywhere: nothing fails, every check says so, no files are left, and the figures are there and labelled."""
    notebook = build.build(source)
    notebook.cells = [nbformat.v4.new_code_cell(FIRST), *notebook.cells, nbformat.v4.new_code_cell(LAST)]
    *_, last = run(notebook, source, monkeypatch).cells
    del notebook.cells[0], notebook.cells[-1]
    assert printed(notebook, "stderr") == ""
    text = printed(notebook, "stdout")
    place = SOURCES.index(source)
    secrets = bodies(id for later in SOURCES[place:] for id in ids(later))
    assert not leaked(text + str(outputs(notebook, "execute_result")), secrets)
    for id in ids(source):
        assert f"{id}: not started" in text
    check_figures(notebook, source)
    figures = [output for output in outputs(notebook, "display_data") if output.data["text/plain"].startswith("<Figure")]
    assert len(figures) == int(last.outputs[0].text), "a figure is never shown"


@pytest.mark.parametrize("source", [source for source in SOURCES if ids(source)], ids=lambda source: source.stem)
def test_solved_exercises(source, monkeypatch):
    """Every check passes. The other cells are those of the student's edition and use nothing of what is solved: they are not run again."""
    blank, solved = build.build(source), build.build(source, solutions=True)
    pairs = zip(solved.cells, blank.cells, strict=True)
    solved.cells = [cell for cell, other in pairs if cell.source != other.source or cell.id.endswith("-check")]
    check_solved(run(solved, source, monkeypatch), source)


@pytest.mark.slow
@each
def test_solved_edition(source, monkeypatch):
    """The whole of it, as the book has it."""
    notebook = run(build.build(source, solutions=True), source, monkeypatch)
    check_solved(notebook, source)
    check_figures(notebook, source)


def check_solved(notebook, source):
    text = printed(notebook, "stdout")
    assert printed(notebook, "stderr") == ""
    for id in ids(source):
        assert re.search(rf"^{re.escape(id)}: \d+ public cases? passed", text, re.M), id


def check_figures(notebook, source):
    pictures = [output.data["image/png"] for output in outputs(notebook, "display_data") if "image/png" in output.data]
    assert FIGURES[source.stem[:2]] <= len(pictures) <= 8
    for picture in pictures:
        assert len(picture) < LARGEST
        assert np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("L")).std() > 5
    assert all(len(json.dumps(output)) < LARGEST for kind in ("stream", "execute_result") for output in outputs(notebook, kind))


# ---- nothing is given away


def bodies(ids):
    """The long lines of what these exercises ask for, normalised."""
    return set().union(*map(body, ids))


@cache
def body(id):
    (exercise,) = find([id])
    text = text_of(exercise.source)
    nodes = functions_in(ast.parse(text))
    found = {normalised(line) for name in exercise.write for line in split(text.splitlines(), nodes[name])[1]}
    return {line for line in found if len(line) >= LONG}


def leaked(text, secrets):
    lines = {normalised(line) for line in text.splitlines()}
    return sorted(secret for secret in secrets if any(secret in line for line in lines))


def test_no_solution_stands_above_its_exercise():
    """Each cell, text or code, against the solutions of all exercises that come with it or after it, in this notebook and in later ones."""
    waiting = [id for source in SOURCES for id in ids(source)]
    for source in SOURCES:
        for cell in build.build(source).cells:
            for id in re.findall(r'^check\("([^"]+)"', cell.source, re.M):
                assert waiting.pop(0) == id
            assert not leaked(cell.source, bodies(waiting)), (source.stem, cell.source[:300])
    assert not waiting


def test_a_solution_above_its_exercise_is_seen():
    planted = "        dx[:, i : i + S * OH : S, j : j + S * OW : S] += dy * self.won[..., m]"
    for text in (f"A text.\n{planted}\n", f"in a sentence: `{planted.strip()}`"):
        assert leaked(text, bodies(["maxpool.backward"]))
    assert not leaked("A text without a solution.", bodies(["tanh.backward", "maxpool.backward"]))


@each
def test_every_exercise_has_a_heading_and_says_what_it_is_tried_with(source):
    heading = ""
    for number, cell in enumerate(cells := build.build(source).cells):
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ .*", cell.source, re.M)
            heading = headings[-1] if headings else heading
        for line in re.findall(r'raise NotImplementedError\("(.*) is not written yet', cell.source):
            assert "Exercise" in heading, f"{line}: below {heading!r}"
        if id := re.match(r'from minigrad.coursework import check\n\ncheck\("([^"]+)"', cell.source):
            above = "".join(other.source for other in cells[:number] if other.cell_type == "markdown")
            assert f"*{id[1]}.* The cases look at: " in above


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

ADDRESS = "https://example.org/somebody/minigrad"


def run_first_cell(address, asked, found=None):
    """Run it as IPython does; what it asks of `%pip` goes into a list, and from then on minigrad can be imported."""
    from IPython.core.inputtransformer2 import TransformerManager

    class Shell:
        def run_line_magic(self, magic, line):
            asked.append(f"{magic} {line}")
            sys.modules["minigrad"] = found

    exec(TransformerManager().transform_cell(first_cell(address)), {"get_ipython": Shell})


def test_first_cell_installs_the_library_only_where_it_is_missing(monkeypatch):
    asked, library = [], sys.modules["minigrad"]
    run_first_cell(ADDRESS, asked)
    assert asked == []
    monkeypatch.setitem(sys.modules, "minigrad", None)  # import raises ImportError
    run_first_cell(ADDRESS, asked, library)
    assert asked == [f'pip install -q "{NAME} @ git+{ADDRESS}"']


def test_without_an_address_the_first_cell_says_what_to_do_and_fetches_nothing(monkeypatch):
    asked = []
    run_first_cell(None, asked)
    monkeypatch.setitem(sys.modules, "minigrad", None)
    with pytest.raises(ImportError, match=r"In a clone of it, run  pip install -e "):
        run_first_cell(None, asked)
    assert asked == [] and "http" not in first_cell(None)


@pytest.mark.parametrize("address", [None, ADDRESS])
def test_first_cell_knows_the_other_project_of_that_name(address, monkeypatch):
    monkeypatch.setitem(sys.modules, "minigrad", ModuleType("minigrad"))
    with pytest.raises(AssertionError, match="another project of that name"):
        run_first_cell(address, [])


def test_the_address_is_one_setting(tmp_path):
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = x\n")
    assert source_address(tmp_path) is None and "in a clone" in how_to_install(None)
    (tmp_path / "setup.cfg").write_text(f"[metadata]\nname = x\nproject_urls =\n    Docs = https://d\n    Source = {ADDRESS}\n")
    assert source_address(tmp_path) == ADDRESS and ADDRESS in how_to_install(ADDRESS)


def test_readme_and_notebooks_name_the_address_that_is_set_and_no_other():
    address = source_address()
    texts = [ROOT / "README.md", ROOT / "notebooks" / "README.md", *(ROOT / "notebooks").glob("*.ipynb")]
    found = {url for path in texts for url in re.findall(r"git\+(https?://[^\s\"\\]+)", path.read_text(encoding="utf-8"))}
    assert found == ({address} if address else set())
    assert address is None or address in (ROOT / "README.md").read_text(encoding="utf-8")
