"""The command line, as it is typed: what it prints, its exit codes, what it writes and what it leaves alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minigrad.coursework import __main__, checking
from minigrad.coursework.exercises import find
from minigrad.coursework.worksheets import parts_of, worksheet

SOLVED = worksheet("", parts_of(find(["relu"])), "solution")
WRONG = SOLVED.replace(
    "return dy * self.positive",
    "import warnings, sys; warnings.warn('careful'); print('here', file=sys.stderr); return 2 * dy * self.positive",
)


ROOT = Path(__file__).resolve().parents[2]


def typed(folder, *words):
    """Run it in a folder with all warnings on -> (exit code, stdout, stderr)."""
    paths = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-W", "always", "-m", "minigrad.coursework", *words]
    done = subprocess.run(command, cwd=folder, env=os.environ | paths, capture_output=True, encoding="utf-8")
    return done.returncode, done.stdout, done.stderr


def test_new_check_mend_check(tmp_path):
    """Nothing on stderr, nothing beside the file, and a file that is there stays as it is."""
    code, out, err = typed(tmp_path, "new", "relu")
    assert (code, err) == (0, "") and "student/relu.py: relu.forward, relu.backward" in out
    file = tmp_path / "student" / "relu.py"
    assert typed(tmp_path, "check", "relu.backward")[::2] == (1, "")
    file.write_text(WRONG)
    code, out, err = typed(tmp_path, "check", "relu")
    assert (code, err) == (1, "")
    assert "✓ relu.forward" in out and "✗ relu.backward" in out and "here" in out
    assert typed(tmp_path, "new", "relu")[0] == 2 and file.read_text() == WRONG
    file.write_text(SOLVED)
    assert typed(tmp_path, "check", "relu.backward")[::2] == (0, "")
    assert [path.name for path in tmp_path.rglob("*")] == ["student", "relu.py"]


@pytest.mark.filterwarnings("ignore:careful")
@pytest.mark.parametrize("id, stops", [("relu.backward", ["backward"]), ("relu.forward", [])])
def test_the_debugger_stops_where_the_students_function_begins(id, stops, tmp_path, monkeypatch, capsys):
    (tmp_path / "relu.py").write_text(WRONG)
    stopped = []

    class Debugger:
        def runcall(self, function, *args):
            stopped.append(function.__name__)
            return function(*args)

    monkeypatch.setattr(checking.pdb, "Pdb", Debugger)
    code = __main__.main(["check", id, "--impl", str(tmp_path), "--case", "flat", "--pdb"])
    assert (code, stopped) == (1 if stops else 0, stops)
    assert ("yours = expected × 2" in capsys.readouterr().out) == bool(stops)


@pytest.mark.parametrize("words, said", [
    (["new", "konv"], "there is no exercise 'konv'"), (["learn"], "invalid choice: 'learn'"),
    (["check", "relu"], "there is no folder student"),
    (["check", "relu", "--impl", "blank", "--case", "nice"], "there is no case 'nice'; there are flat, images, kinks, worked, zeros"),
    (["check", "relu", "--impl", "no_such"], "there is no file, folder or module no_such"),
    (["grade", "class", "--homework", "no.ini"], "there is no file no.ini"),
    (["release", "no.ini", "--out", "d"], "there is no file no.ini"),
])  # fmt: skip
def test_wrong_use_is_one_sentence(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert __main__.main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("python -m minigrad.coursework: ") and said in err and err.count("\n") == 1


@pytest.mark.parametrize("name, content, said", [
    ("homework.ipynb", "{}", "homework.ipynb is not a notebook"), ("relu.py", "class ReLU(:", "relu.py, line 1: invalid syntax"),
    ("relu_module.py", "class ReLU(:", "relu_module.py, line 1: invalid syntax"),
    ("raising_module.py", "1 / 0", "raising_module cannot be imported: ZeroDivisionError: division by zero"),
    ("leaving_module.py", "import sys; sys.exit()", "leaving_module cannot be imported: SystemExit"),
])  # fmt: skip
@pytest.mark.parametrize("words", [[], ["--pdb"]])
def test_what_cannot_be_loaded_is_said_however_it_is_named(name, content, said, words, tmp_path, monkeypatch, capsys):
    """As a file or a notebook of this folder, or as a module."""
    (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    impl = name.replace("_module.py", "_module")
    assert __main__.main(["check", "relu.backward", "--impl", impl, *words]) == 1
    out, err = capsys.readouterr()
    assert said in out and err == "" and "Traceback" not in out


@pytest.mark.skipif(os.name != "posix", reason="a closed pipe is another error elsewhere")
def test_a_reader_who_has_seen_enough_is_no_error():
    command = [sys.executable, "-m", "minigrad.coursework", "explain", "relu"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 0
