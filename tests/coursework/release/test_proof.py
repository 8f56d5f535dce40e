"""The proof: every kind of leak is found, and a release that is refused leaves nothing behind."""

import io
import json
import tarfile
import zipfile

import pytest

from minigrad import plain
from minigrad.coursework.blanks import BEGIN
from minigrad.coursework.homework import HomeworkError
from minigrad.coursework.release.build import SYSTEMS, release
from minigrad.coursework.release.proof import prove
from minigrad.coursework.source import text_of


def test_a_release_is_proved_and_complete(sample):
    homework, out = sample
    assert prove(out / "student", homework) == []
    wanted = {f"{group}.py" for group in homework.groups} | {"homework.ipynb", "README.md"}
    assert {path.name for path in (out / "student").iterdir()} == wanted
    assert {path.name for path in out.iterdir()} == {"student", "instructor", *SYSTEMS}
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
    "folder of pyc": ("__pycache__/a.txt", "", "__pycache__ does not belong in a release"),
    "checkpoint folder": (".ipynb_checkpoints/homework.ipynb", leaking(), ".ipynb_checkpoints does not belong in a release"),
    "git": (".gitignore", "", ".gitignore does not belong in a release"),
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
    monkeypatch.setattr("minigrad.coursework.release.build.readme", lambda homework: f"{BEGIN} 1001")
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
