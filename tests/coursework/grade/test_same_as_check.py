"""What passes `check` in a notebook passes when it is graded, and what is wrong there is wrong here: many programs put together from the
ways in which people write notebooks and files, each with right and with wrong bodies.

What a kernel does is done here as IPython does it, cell by cell in one namespace; where IPython is installed, by IPython itself."""

import json
import os
import random
import subprocess
import sys

import pytest

from minigrad.coursework import CheckFailed, check
from minigrad.coursework.exercises import find
from minigrad.coursework.judge.cage import sandbox_for
from minigrad.coursework.judge.guard import refusal
from minigrad.coursework.judge.library import write_library
from minigrad.coursework.judge.request import conversation, judge, opened

(RELU,) = find(["relu.backward"])
GOOD = """class ReLU(Layer):
    def forward(self, x):
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy):
        return FACTOR
"""
MODULE = "import numpy as np\nfrom minigrad.coursework import Layer\n\n\n" + GOOD.replace("FACTOR", "dy * self.positive")
BLANK = GOOD.replace("return FACTOR", 'raise NotImplementedError("relu.backward is not written yet")')
LATER = "def backward(self, dy):\n    return FACTOR\n"
RIGHT = ["dy * self.positive", "np.where(self.positive, dy, 0)", "(self.positive * dy)", "dy * self.positive.astype(dy.dtype)"]
WRONG = ["dy * 2 * self.positive", "dy", "dy * ~self.positive", "-dy * self.positive", "dy * self.positive / len(dy)"]

# cells before the class, and what they put around dy * ...: {} is the body
HELPERS = {
    "none": ("", "{}"),
    "lambda": ("mask = lambda p: np.asarray(p)", "mask({})"),
    "constant": ("ONE = np.float64(1.0)", "({} * ONE).astype(dy.dtype)"),
    "annotated": ("ONE: int = int('1')", "{} * ONE"),
    "tuple": ("ONE, two = 1, 2", "{} * ONE"),
    "starred": ("ONE, *rest = [1, 2, 3]", "{} * ONE"),
    "walrus": ("if (ONE := 1):\n    pass", "{} * ONE"),
    "try": ("try:\n    import numpy as xp\nexcept ImportError:\n    xp = None", "xp.asarray({})"),
    "if": ("if np.__version__:\n    def ident(v):\n        return v\nelse:\n    ident = None", "ident({})"),
    "for": ("for ONE in (1, 1, 1):\n    pass", "{} * ONE"),
    "with": ("import contextlib\nwith contextlib.suppress(KeyError):\n    ONE = 1", "{} * ONE"),
    "partial": ("from functools import partial\ntimes = partial(np.multiply)", "times({}, 1)"),
    "decorated": ("from functools import wraps\ndef deco(f):\n    @wraps(f)\n    def g(*a):\n        return f(*a)\n    return g\n\n"
                  "@deco\ndef ident(v):\n    return v", "ident({})"),
    "global": ("COUNT = {'n': 0}\ndef ident(v):\n    COUNT['n'] += 1\n    return v", "ident({})"),
    "redefined": ("def ident(v):\n    return v * 7\n", "ident({})"),
    "await": ("import asyncio\nawait asyncio.sleep(0)\nONE = 1", "{} * ONE"),
    "dataclass": ("from dataclasses import dataclass\n@dataclass\nclass Settings:\n    one: int = 1\nS = Settings()", "{} * S.one"),
    "closure": ("def maker(k):\n    def ident(v):\n        return v * k\n    return ident\nident = maker(1)", "ident({})"),
    "deleted": ("ONE = 5\ndel ONE\nONE = 1", "{} * ONE"),
    "main": ("if __name__ == '__main__':\n    ONE = 1", "{} * ONE"),
}  # fmt: skip
MAGICS = {  # lines that only a kernel understands, and what looks like them
    "none": lambda text: text,
    "magic": lambda text: "%load_ext autoreload\n%autoreload 2\n" + text,
    "matplotlib": lambda text: "%matplotlib inline\nimport math\n" + text,
    "cell": lambda text: "%%time\n" + text,
    "shell": lambda text: "!echo don't\n" + text,
    "assigned": lambda text: "files = !ls\nwhere = %pwd\n" + text,
    "help": lambda text: text + "\nReLU?\n",
    "help_before": lambda text: "?ReLU\nnp.maximum??\n" + text,
    "timed": lambda text: "%time one = 1\n" + text.replace("np.maximum(x, 0)", "np.maximum(x, 0) * one"),
    "pylab": lambda text: "%pylab --no-import-all\n%pylab inline\n" + text.replace("np.maximum(x, 0)", "maximum(x, 0)"),
    "indented": lambda text: "if True:\n    %time pass\n" + text,
    "percent": lambda text: text.replace("        self.positive", "        two = (5\n            % 3\n        )\n        self.positive"),
    "percent_and_magic": lambda text: "%pylab --no-import-all\nfive = [\n    7\n    %3\n]\n" + text,
    "not_equal": lambda text: "zero = (\n    1\n    != 2\n)\n" + text,
    "docstring": lambda text: text.replace("(self, dy):\n", '(self, dy):\n        """Slopes\n        % of it?\n        !ls\n        """\n'),
    "docstring_and_magic": lambda text: "%config\n" + text.replace("(Layer):\n", "(Layer):\n    '''it's\n%time\n!ls\nReLU?\n    '''\n"),
    "separator": lambda text: text.replace("        return np", "        # copied\u2028from\u0085a\x0cPDF\n        return np"),
    "crlf": lambda text: text.replace("\n", "\r\n"),
    "backslash": lambda text: "n = 7 \\\n    % 4\n" + text,
    "comment": lambda text: "# don't panic (\n%time pass\n" + text,
}  # fmt: skip
WAYS = (
    "plain",
    "method_later",
    "extended_later",
    "setattr",
    "future",
    "two_classes",
    "check_between",
    "error_between",
    "broken_scratch",
    "renamed",
)


def program(way, helper, magic, factor):
    """The cells of a notebook, without the one that checks."""
    before, around = HELPERS[helper]
    body = around.format(factor)
    change, solved, later = MAGICS[magic], GOOD.replace("FACTOR", body), LATER.replace("FACTOR", body)
    cells = ["import numpy as np\nfrom minigrad.coursework import Layer, check", before]
    if helper == "redefined":
        cells.append("def ident(v):\n    return v")
    if way == "method_later":
        cells += [change(BLANK), later + "\nReLU.backward = backward"]
    elif way == "extended_later":
        cells += [BLANK, "class ReLU(ReLU):\n" + change("    " + later.replace("\n", "\n    ").rstrip()) if magic == "none" else
                  "class ReLU(ReLU):\n    " + later.replace("\n", "\n    ").rstrip()]  # fmt: skip
    elif way == "setattr":
        cells += [change(BLANK), later + "\nfor name, function in {'backward': backward}.items():\n    setattr(ReLU, name, function)"]
    elif way == "future":
        cells += [change(solved) if magic == "crlf" else "from __future__ import annotations\n" + solved, change(solved)]
    elif way == "two_classes":
        cells += [change(GOOD.replace("FACTOR", "dy * 3")), change(solved)]
    elif way == "check_between":
        cells += [BLANK, 'check("relu.forward", ReLU)', change(solved)]
    elif way == "error_between":
        cells += ["1 / 0", change(solved), "undefined_name"]
    elif way == "broken_scratch":
        cells += [change(solved), "# class ReLU does it work?\nprint 'class ReLU'"]
    elif way == "renamed":
        cells += [change(solved.replace("class ReLU", "class MyReLU")), "ReLU = MyReLU"]
    else:
        cells.append(change(solved))
    return [cell for cell in cells if cell]


def checked(cells):
    """Whether `check` passes after these cells, run in IPython."""
    shell = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell()
    shell.user_ns["__name__"] = "__main__"
    shell.enable_gui = lambda gui=None: None  # a kernel has one
    for cell in cells:
        shell.run_cell(cell, silent=True)
    try:
        check("relu.backward", shell.user_ns["ReLU"], graded=True)
    except (CheckFailed, TypeError, KeyError):
        return False
    return True


def write_notebook(path, cells):
    code = [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": cell} for cell in cells]
    path.write_text(json.dumps({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))


def graded(cells, folder, sandbox="auto"):
    write_notebook(folder / "homework.ipynb", cells)
    request = {"impl": str(folder / "homework.ipynb"), "exercise": "relu.backward", "seed": 0, "cases": ["worked", "flat"]}
    return judge(request | {"sandbox": sandbox_for(sandbox)})


@pytest.fixture(scope="module")
def cage(tmp_path_factory):
    """(the session of a cage for one solution after the other, the folder that it reads): to start one for each takes longer."""
    library, work = tmp_path_factory.mktemp("library"), tmp_path_factory.mktemp("work")
    write_library(library, RELU)
    session = opened(library, work, sandbox_for("auto"), 3600, ())
    yield session, work
    session.cage.close()


def graded_in(cage, cells):
    """Whether the notebook of these cells passes, as `judge` has it loaded and tried; and why not."""
    session, work = cage
    path = work / f"homework{session.calls}.ipynb"
    write_notebook(path, cells)
    if sentence := refusal(path, RELU):
        return False, sentence
    result = conversation(session, path, RELU, [case for case in RELU.cases if case.name in ("worked", "flat")], 0)
    return result.status == "passes", result.cause


def programs(number, seed):
    rng = random.Random(seed)
    every = [(way, "none", "none") for way in WAYS] + [("plain", h, "none") for h in HELPERS] + [("plain", "none", m) for m in MAGICS]
    while len(every) < number:
        every.append((rng.choice(WAYS), rng.choice(list(HELPERS)), rng.choice(list(MAGICS))))
    rng.shuffle(every)
    return [(*each, rng.choice(RIGHT if k % 2 else WRONG)) for k, each in enumerate(every[:number])]


FAST = [pytest.param(*each, id="-".join(each[:3]) + f"-{k}") for k, each in enumerate(programs(50, 1))]
SLOW = [pytest.param(*each, id="-".join(each[:3]) + f"-{k}", marks=pytest.mark.slow) for k, each in enumerate(programs(300, 2))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way, helper, magic, factor", FAST + SLOW)
def test_grade_says_what_check_says(way, helper, magic, factor, cage, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    cells = program(way, helper, magic, factor)
    # IPython 9 breaks lines at signs at which Python does not, so that such a cell fails there; graded it is what Python makes of it.
    passes = factor in RIGHT if magic == "separator" else checked(cells)
    found, cause = graded_in(cage, cells)
    assert found == passes, (cause, cells)
    assert passes == (factor in RIGHT), cells


ORDINARY = (  # what a notebook does besides; the fences, where there is no sandbox, must not take it for an attack
    "import asyncio\nasync def one():\n    return 1\ntask = asyncio.create_task(one())",
    "ONE = await task",
    "import tempfile\nwith tempfile.TemporaryDirectory() as folder:\n    open(folder + '/a', 'w').close()\nONE *= 1",
    "np.save('ones.npy', np.ones(2, int))\nONE *= int(np.load('ones.npy', mmap_mode='r')[0])",
    "import cProfile\nwith cProfile.Profile():\n    ONE *= 1",
    "import shutil\nshutil.copy('ones.npy', 'twos.npy')\nshutil.rmtree('nowhere', ignore_errors=True)\nONE *= 1",
    "from pathlib import Path\nPath('figures').mkdir()\nPath('figures', 'a.txt').write_text(str(Path.cwd()))\nONE *= 1",
    "import doctest\nONE *= 1 - doctest.testmod().failed",
    "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(1) as pool:\n    ONE *= pool.submit(int, '1').result()",
)


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_what_notebooks_do_besides_is_allowed(sandbox, tmp_path):
    """All cells of a notebook run in one loop of events, as in a kernel, so that one awaits what another has begun."""
    verdict = graded(["import numpy as np", *ORDINARY, MODULE.replace("self.positive\n", "self.positive * ONE\n")], tmp_path, sandbox)
    assert verdict["status"] == "passes", verdict


def test_the_loop_of_all_cells_is_closed_in_the_end(tmp_path):
    """Nothing of it is left to be complained about, as Python does of what nobody has closed (-X dev)."""
    (tmp_path / "homework.ipynb").write_text(
        json.dumps({"cells": [{"cell_type": "code", "source": "import asyncio\nawait asyncio.sleep(0)"}]})
    )
    line = "from minigrad.coursework.judge.caged.modules import import_file; print(import_file('homework.ipynb').__problems__)"
    paths = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", line]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | paths, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# ---- files


@pytest.mark.parametrize("content, points", [
    (MODULE.encode(), 2), (b"\xef\xbb\xbf" + MODULE.encode(), 2), (MODULE.replace("\n", "\r\n").encode(), 2),
    (MODULE.replace("\n", "\r").encode(), 2),
    (MODULE.replace("    ", "\t").encode(), 2), (("# -*- coding: cp1252 -*-\n# \xdcbung\n" + MODULE).encode("cp1252"), 2),
    (("# \xdcbung\n" + MODULE).encode("cp1252"), "is not a text file in UTF-8"), (MODULE.encode("utf-16"), "is not a text file in UTF-8"),
    (MODULE.encode() + b"\0", "relu.py"), (MODULE.replace("return dy", "return\xa0dy").encode(), "relu.py, line 11: invalid non-printable"),
    (b"# coding: klingon\n" + MODULE.encode(), "unknown encoding"), (b"(" * 100_000, "relu.py"), (b"x = a" + b".b" * 200_000, "relu.py"),
])  # fmt: skip
def test_text_is_read_as_python_reads_it(content, points, tmp_path):
    (tmp_path / "relu.py").write_bytes(content)
    verdict = judge({"impl": str(tmp_path / "relu.py"), "exercise": "relu.backward", "seed": 0, "sandbox": sandbox_for("auto")})
    if isinstance(points, str):
        assert verdict["earned"] == 0 and points in verdict["cause"] and "None" not in verdict["cause"]
    else:
        assert (verdict["earned"], verdict["cause"]) == (points, "")


@pytest.mark.parametrize("line", ["from helpers import mask", "%run helpers.py", "%run -i ./helpers"])
def test_a_notebook_runs_the_files_beside_it(line, tmp_path):
    (tmp_path / "helpers.py").write_text("def mask(p):\n    return p\n")
    verdict = graded([line, MODULE.replace("self.positive\n", "mask(self.positive)\n")], tmp_path)
    assert verdict["status"] == "passes", verdict["cause"]


def test_modules_beside_the_file_are_found(tmp_path):
    (tmp_path / "helpers.py").write_text("def mask(p):\n    return p\n")
    (tmp_path / "relu.py").write_text("from helpers import mask\n" + MODULE.replace("self.positive\n", "mask(self.positive)\n"))
    verdict = judge({"impl": str(tmp_path / "relu.py"), "exercise": "relu.backward", "seed": 0, "sandbox": sandbox_for("auto")})
    assert verdict["earned"] == 2, verdict["cause"]
