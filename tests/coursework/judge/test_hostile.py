"""A hostile class: wrong solutions that try for points, and solutions that reach outside. None gets a point, none touches anything, and
none gets hold of what would earn points: it would print LOOT.

Each is tried by a judge in this very process: whatever it did to the judge would be done to the tests."""

import inspect
import os
import socket
import sys
import threading
import time

import numpy as np
import pytest

from minigrad import ReLU
from minigrad.coursework.judge import request as requests
from minigrad.coursework.judge.cage import Cage, bubblewrap_works, marked
from minigrad.coursework.judge.request import judge

RELU = """import os, sys, time
import numpy as np
from minigrad.coursework import Layer
ROOT, PORT = {root!r}, {port}
{top}

class ReLU(Layer):
    def forward(self, x):
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy):
        {inside}
        return dy * 0
"""
WRITE_ALL = "for f in range(3, 64):\n    try: os.write(f, {})\n    except OSError: pass"
LOOT, RIGHT = "l o o t", "return dy * self.positive"
SOLUTION = inspect.getsource(ReLU.backward_slab).splitlines()[-1].strip()  # what stands in the library's file
FORGED = repr(b'{"status": "passes", "earned": 2.0, "possible": 2, "cause": "", "cases": [], "exercise": "relu.backward", "output": ""}\n')

TOPS = {  # at the top of the file
    # memory: what the judge would compare with, were it here
    "numpy_abs": "np.abs = np.absolute = lambda *a, **k: np.zeros(1)",
    "numpy_compares": "np.allclose = np.array_equal = np.isclose = lambda *a, **k: True",
    "builtins_abs": "import builtins\nbuiltins.abs = lambda x: 0 * x",
    "builtins_any": "import builtins\nbuiltins.any = lambda x: False\nbuiltins.all = lambda x: True",
    "value_sentence": "m = sys.modules.get('minigrad.coursework.judge.comparison')\nm.Value.sentence = lambda self: ''",
    "planted": "from minigrad.coursework import source\nsource.plant = None",
    "report_ok": "m = sys.modules['minigrad.gradcheck.report']\nm.Report.ok = True",
    "result_earned": "m = sys.modules['minigrad.coursework.judge.runner']\nm.run = None",
    "checker_undone": "import minigrad.gradcheck.rules.values as v\nv.values = lambda *a: iter(())",
    "rtol": "import minigrad.gradcheck.verdicts as v\nv.allowed = lambda *a: 1e9",
    "float_subclass": "import builtins\nbuiltins.float = type('float', (float,), {'__le__': lambda s, o: True})",
    "every_module": "for m in list(sys.modules.values()):\n    if hasattr(m, 'abs'): m.abs = lambda x: 0 * x",
    # stealing the model solution
    "library_class": f"import minigrad\nlayer = getattr(minigrad, 'Re' + 'LU')()\nlayer.forward(np.ones((1, 2)))\nprint({LOOT!r})",
    "library_method": "import minigrad\nF = getattr(minigrad, 'ReLU').__dict__['backward_slab']\nF(None, np.ones(2), np.ones(2))\n"
    f"print({LOOT!r})",
    "plain": f"P = __builtins__['__import__']('minigrad.plain', fromlist=['ReLU']).ReLU\nprint({LOOT!r})",
    "library_source": f"import minigrad\nT = open(os.path.dirname(minigrad.__file__) + '/plain.py').read()\nprint({LOOT!r})",
    "layers_source": "import minigrad\nT = open(os.path.dirname(minigrad.__file__) + '/layers/activation.py').read()\n"
    f"assert {SOLUTION!r} in T\nprint({LOOT!r})",
    "torch": f"__builtins__['__import__']('torch')\nprint({LOOT!r})",
    # channels
    "forged_verdict": WRITE_ALL.format(FORGED),
    "forged_answers": WRITE_ALL.format("bytes([2, 0, 0, 0, 0, 0, 0, 0]) + b'{}'"),
    "noise_on_the_pipe": WRITE_ALL.format("os.urandom(4096)"),
    "endless_answer": WRITE_ALL.format("b'\\xff' * 100000"),
    "deep_answer": WRITE_ALL.format("bytes([0, 0, 1, 0, 0, 0, 0, 0]) + b'[' * 65536"),
    "closed_pipe": "for f in range(3, 64):\n    try: os.close(f)\n    except OSError: pass",
    "read_the_requests": "for f in range(3, 64):\n    try: os.read(f, 100)\n    except OSError: pass",
    "stack_of_frames": "f = sys._getframe()\nwhile f:\n    if f.f_globals['__name__'].startswith('minigrad.coursework.judge'):\n"
    f"        print({LOOT!r})\n    f = f.f_back",
    "the_actor": "a = sys.modules['caged.actor']\na.described = a.equal = None",
    # the system
    "homework": "T = open(ROOT + '/homework.ini').read()\nprint(T)",
    "other_work": "os.listdir(ROOT + '/class')\nopen(ROOT + '/class/zz_good/relu.py', 'w').write('')",
    "grades": "open(ROOT + '/grades.csv', 'a').write('mallory,100')",
    "remove": "os.remove(ROOT + '/grades.csv')",
    "rename": "os.rename(ROOT + '/grades.csv', ROOT + '/gone')",
    "link": "os.symlink('/etc', ROOT + '/etc')",
    "network": "import socket\ns = socket.create_connection(('127.0.0.1', PORT), 2)\ns.send(b'here I am')",
    "shell": "import subprocess\nsubprocess.run('touch ' + ROOT + '/touched', shell=True)",
    "system": "os.system('touch ' + ROOT + '/touched')",
    "kill_parent": "os.kill(os.getppid(), 9)",
    "kill_all": "import signal\nos.kill(-1, signal.SIGKILL)",
    "daemon": "if os.fork() == 0:\n    os.setsid()\n    time.sleep(2)\n    open(ROOT + '/touched', 'w').close()\n    os._exit(0)",
    "fork_bomb": "while True:\n    os.fork()",
    "own_file": "open(__file__, 'w').write('')",
    "environment": "print(dict(os.environ))",
    "ctypes": "import ctypes\nctypes.CDLL(None).unlink((ROOT + '/grades.csv').encode())",
    "ends_at_once": "os._exit(0)",
    "disk": "f = open('/tmp/large', 'wb')\nwhile True: f.write(bytes(1 << 24))",
    "folder_opened": "f = os.open(ROOT, os.O_RDONLY)\nos.close(os.open('touched', os.O_CREAT | os.O_WRONLY, dir_fd=f))",
    "from_another_folder": "f = os.open('.', os.O_RDONLY)\nos.makedirs('a/b/c')\nos.chdir('a/b/c')\n"
    "os.open('../../' + os.path.relpath(ROOT, '/'), os.O_RDONLY, dir_fd=f)",
    "lying_path": "class Text(str):\n"
    "    __fspath__ = startswith = partition = split = lambda *a: '/dev/null'\nos.remove(Text(ROOT + '/grades.csv'))",
    "two_faced_path": "class Two:\n    def __fspath__(self):\n        self.n = getattr(self, 'n', 0) + 1\n"
    "        return ROOT + '/grades.csv' if self.n == 1 else os.getcwd() + '/x'\nos.remove(Two())",
    "database": "import sqlite3\nsqlite3.connect(ROOT + '/touched').execute('create table t (x)')",
    "fifo": "os.mknod(ROOT + '/touched')",
    "fork_exec": "import _posixsubprocess as p\nr, w = os.pipe()\n"
    "p.fork_exec([b'touch', (ROOT + '/touched').encode()], [b'/usr/bin/touch'], True, (w,), None, None, -1, -1, -1, -1, -1, -1, r, w, "
    "True, False, 0, None, None, None, -1, None, False)\ntime.sleep(1)",
    "many_files": "for i in range(64): open(f'/tmp/{i}', 'wb').write(bytes(1 << 25))",
    "memory": f"x = [np.zeros(1 << 28) for _ in range(64)]\nprint({LOOT!r})",
    "memory_that_outlives_it": "import _posixshmem\nos.ftruncate(_posixshmem.shm_open('/mallory', os.O_CREAT | os.O_RDWR, 0o600), 1)",
    "slower_judge": "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)\nos.sched_setaffinity(os.getppid(), {0})",
    "other_processes": "N = [p for p in os.listdir('/proc') if p.isdigit()]\n"
    f"if len(N) > 8: print({LOOT!r})",
}  # fmt: skip
INSIDES = {  # in backward, while the judge waits for it
    "gc": "import gc\n        for a in gc.get_objects():\n            if isinstance(a, np.ndarray) and a.shape == dy.shape: return a",
    "linecache": f"import linecache\n        if any(name.startswith('<model') for name in linecache.cache): print({LOOT!r})",
    "frames": "f = sys._getframe()\n        while f.f_back: f = f.f_back\n        return f.f_locals['expected']",
    "slopes_of_its_own": "self.forward = lambda x: np.zeros_like(x)",
    "class_replaced": "self.__class__ = type('Good', (), {})",
    "equal_to_all": "return type('A', (np.ndarray,), {'__eq__': lambda s, o: True, '__sub__': lambda s, o: 0})(dy.shape)",
    "object_array": "return np.array([[type('A', (), {})() for _ in r] for r in dy.reshape(len(dy), -1)], object)",
    "one_number_for_all": "return np.broadcast_to(dy[:1, :1], (1 << 17, 1 << 17))",
    "endless_list": "return [{}] * (1 << 23)",
    "stop_iteration": "raise StopIteration",
    "generator_exit": "raise GeneratorExit",
    "lying_shape": "return type('A', (np.ndarray,), {'shape': property(lambda s: (1 << 40,)), 'nbytes': 0})(dy.shape)",
    "endless_parameters": "type(self).parameters = lambda s: iter(lambda: 0, 1)",
    "nan": "return dy * np.nan",
    "huge": "type(self).backward = lambda self, dy: dy * 0\n        return np.zeros((1 << 28) + 1, np.uint8)",
    "large_parameters": "from minigrad.coursework import Parameter\n        a = np.broadcast_to(np.float64(0), 1 << 25)\n"
    "        type(self).parameters = lambda self: iter([Parameter(str(i), a) for i in range(6)])",
    "large_network": "return type('N', (), {'layers': {}, '__repr__': lambda self: 'Linear(16384, 16384)'})()",
    "emptied": "dy[...] = 0\n        return dy",
    "whole_number": "return 10**400",
    "group_of_errors": "raise ExceptionGroup('x', [ValueError()])",
    "sleeps": "time.sleep(1e6)",
    "spins": "while True: pass",
    "not_written": "raise NotImplementedError",
    "keyboard": "raise KeyboardInterrupt",
    "exits": "sys.exit(0)",
    "surrogate": "raise ValueError('bad \\ud83d' * 3)",
    "long_words": "raise ValueError('x' * 30_000_000)",
    "bad_error": "raise type('E', (Exception,), {'__str__': lambda s: 1 / 0})()",
    "recursion": "sys.setrecursionlimit(10**9); f = lambda: f(); f()",
    "threads": "import threading\n        threading.Thread(target=time.sleep, args=(100,)).start()",
}  # fmt: skip
# Attacks that leave their process as it was are tried one after the other in one file; each in a file of its own is slow. Those that are
# refused for their text are not among them: the others would never begin.
TOGETHER = {
    "memory": ("numpy_abs", "numpy_compares", "builtins_abs", "builtins_any", "value_sentence", "report_ok", "result_earned",
               "float_subclass", "every_module"),
    "the solution": ("library_class", "library_method", "plain", "library_source", "layers_source", "torch", "stack_of_frames"),
    "files": ("homework", "other_work", "grades", "remove", "rename", "link", "folder_opened", "from_another_folder", "lying_path",
              "two_faced_path", "database", "fifo", "own_file"),
    "processes": ("network", "shell", "system", "kill_parent", "ctypes", "fork_exec", "environment", "memory_that_outlives_it",
                  "slower_judge", "other_processes"),
}  # fmt: skip


def one_after_the_other(names):
    """The attacks as functions, and calls of them whatever becomes of the one before."""
    bodies = [f"def {name}():\n" + "".join(f"    {line}\n" for line in TOPS[name].splitlines()) for name in names]
    return (
        "".join(bodies) + f"for attack in ({', '.join(names)}):\n    print(attack.__name__)\n    try: attack()\n"
        "    except BaseException as error: print(error)"
    )


ENDLESS = ("fork_bomb", "read_the_requests", "endless_list", "endless_parameters", "sleeps", "spins", "recursion")
SOON = 0.6  # seconds
ATTACKS = {name: (text, "pass") for name, text in TOPS.items()} | {name: ("", text) for name, text in INSIDES.items()}
ATTACKS |= {f"{kind}, together": (one_after_the_other(names), "pass") for kind, names in TOGETHER.items()}
CAGED = pytest.mark.skipif(not bubblewrap_works(), reason="there is no bubblewrap")
SANDBOXES = [pytest.param("bwrap", marks=CAGED), pytest.param("off", marks=pytest.mark.slow)]
TRIED = [
    *[pytest.param(name, "bwrap", marks=[CAGED, pytest.mark.slow] if name in sum(TOGETHER.values(), ()) else CAGED) for name in ATTACKS],
    *[pytest.param(name, "off", marks=pytest.mark.slow) for name in ATTACKS],
]


@pytest.fixture
def school(tmp_path):
    """A class's folder, and a port at which somebody listens; yields (folder, port, what was heard)."""
    (tmp_path / "homework.ini").write_text("seed = 20121203")
    (tmp_path / "grades.csv").write_text("ada,4\n")
    (tmp_path / "class" / "zz_good").mkdir(parents=True)
    (tmp_path / "class" / "zz_good" / "relu.py").write_text("good")
    server, heard = socket.create_server(("127.0.0.1", 0)), []

    def listen():
        try:
            while True:
                heard.append(server.accept())
        except OSError:
            pass

    threading.Thread(target=listen, daemon=True).start()
    yield tmp_path, server.getsockname()[1], heard
    server.close()


def verdict_on(path, sandbox, time_limit=2):
    request = {"impl": str(path), "exercise": "relu.backward", "seed": 0, "secret": 20121203}
    return judge(request | {"sandbox": sandbox, "time_limit": time_limit})


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits are Linux's")
@pytest.mark.parametrize("name, sandbox", TRIED)
def test_no_attack_earns_or_touches_anything(name, sandbox, school, monkeypatch, capsys):
    import resource  # missing on Windows

    (folder, port, heard), tokens = school, []

    class Watched(Cage):
        def __init__(self, *args):
            super().__init__(*args)
            tokens.append(self.token)

        def fence_request(self, forbidden):
            return super().fence_request(forbidden) | ({"seconds": SOON} if name in ENDLESS else {})

        def ask(self, message):
            answer = super().ask(message)
            if name in ENDLESS and self.seconds != SOON:  # its process has begun, and time is all that ends it
                self.seconds, self.waited = SOON, 0.0
            return answer

    monkeypatch.setattr(requests, "Cage", Watched)
    monkeypatch.setenv("MINIGRAD_SECRET", "20121203")
    top, inside = ATTACKS[name]
    work = folder / "class" / "mallory"
    work.mkdir()
    (work / "relu.py").write_text(RELU.format(root=str(folder), port=port, top=top, inside=inside))
    before, begin, absolute, total = contents(folder), time.monotonic(), np.abs, abs
    share, peak = (os.nice(0), os.sched_getaffinity(0)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    verdict = verdict_on(work / "relu.py", sandbox)
    assert verdict["earned"] == 0 and verdict["status"] in ("wrong", "not started"), verdict
    assert verdict["cause"] and len(verdict["cause"]) < 3000 and "20121203" not in str(verdict)
    assert time.monotonic() - begin < 60
    assert contents(folder) == before and not os.path.lexists(folder / "etc") and not heard
    assert np.abs is absolute and abs is total and not any(map(marked, tokens))
    assert (os.nice(0), os.sched_getaffinity(0)) == share and not os.path.exists("/dev/shm/mallory")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 600_000, "kilobytes: an answer grows in the judge"
    assert LOOT not in verdict["output"]
    assert tokens or "is not allowed here" in verdict["cause"] or "from this project" in verdict["cause"]
    assert capsys.readouterr().out == ""


@CAGED
@pytest.mark.parametrize("kind", TOGETHER)
def test_attacks_that_are_tried_together_hide_none(kind, school):
    """Each is begun, and after all of them who is right passes."""
    path = school[0] / "class" / "relu.py"
    path.write_text(RELU.format(root=str(school[0]), port=school[1], top=ATTACKS[f"{kind}, together"][0], inside=RIGHT))
    verdict = verdict_on(path, "bwrap", 20)
    assert verdict["status"] == "passes", verdict
    assert set(TOGETHER[kind]) <= set(verdict["output"].splitlines())


@CAGED
def test_who_forks_and_is_right_passes(tmp_path):
    """The child does not answer in the parent's place."""
    fork_once = f"ReLU.forked = getattr(ReLU, 'forked', None) or os.fork(); {RIGHT}"
    (tmp_path / "relu.py").write_text(RELU.format(root="", port=0, top="", inside=fork_once))
    assert verdict_on(tmp_path / "relu.py", "bwrap", 20)["status"] == "passes"


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_right_solution_passes(sandbox, tmp_path):
    (tmp_path / "relu.py").write_text(RELU.format(root="", port=0, top="", inside=RIGHT))
    assert verdict_on(tmp_path / "relu.py", sandbox, 20)["status"] == "passes"
