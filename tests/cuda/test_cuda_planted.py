"""Do the tests of the kernels notice? Barriers are taken away and bounds moved, one after the other, the latter under AddressSanitizer."""

import os
import re
import subprocess
import sys

import pytest
from backends import Host, Launcher
from test_cuda_kernels import check, check_loss

from minigrad.cuda import kernels

BOUNDS = [  # file, the text, what becomes of it
    ("conv", "w < d.W;", "w <= d.W;"),
    ("conv", "w < d.W ?", "w <= d.W ?"),
    ("conv", "= h >= 0 && h < d.H;", "= h < d.H;"),
    ("conv", "inside = h >= 0 && h < d.H &&", "inside = h < d.H &&"),
    ("conv", "min(h / d.S, d.OH - 1)", "(h / d.S)"),
    ("conv", "LOOP(u, d.N * d.OH * columns)", "LOOP(u, (d.N * d.OH + 1) * columns)"),
    ("conv", "patch * columns", "patch * d.K * d.K * C"),
    ("conv", "below < row ?", "below <= row ?"),
    ("conv", "[below % row]", "[below]"),
    ("conv", "LOOP(u, n / LANES)", "LOOP(u, n / LANES + 1)"),
    ("lrn", "first < C ?", "first <= C ?"),
    ("lrn", "j <= min(d.C - 1, c + d.half)", "j <= c + d.half"),
    ("lrn", "c + j >= d.C + OWN", "c + j > d.C + OWN"),
    ("pool", "min(w / d.S, d.OW - 1)", "(w / d.S)"),
    ("pool", "t.v[l] > best.v[l]", "t.v[l] >= best.v[l]"),
    ("norm_pool", "c >= 0 && c < C ?", "c < C ?"),
    ("norm_pool", "c >= 0 && c < C ?", "c >= 0 ?"),
    ("norm_pool", "r * d.S + i) * d.W", "r * d.S + i + 1) * d.W"),
    ("dropout", "u / groups, (unsigned)step", "u % groups, (unsigned)step"),
    ("activation", "LOOP(u, n / LANES)", "LOOP(u, n / LANES + 1)"),
    ("optim", "at + LANES <= m.n", "at < m.n"),
    ("optim", "i + 1 < count && ", ""),
]
CHANGED = [  # file, the text, what becomes of it: kernels that stay in their arrays and compute something else
    ("conv", "h - r * d.S, j = w", "h - r * d.S, j = h"),
    ("conv", "* LANES + l < d.ones", "* LANES + l < 1"),
    ("conv", "column < filled + d.ones", "column <= filled"),
    ("conv", "d.relu ? rectified(t) : t", "t"),
    ("conv", "(bits + 0x7fff + (bits >> 16 & 1))", "bits"),  # toward 0
    ("conv", "(bits + 0x7fff + (bits >> 16 & 1))", "(bits + 0x8000)"),  # ties away from 0
    ("conv", "t != t ? 0x7fff : ", ""),
    ("conv", "above <= below", "above < 0"),  # the bias three times
    ("conv", "d.relu ? where_positive(((const Reals*)x)[u], sum) : sum", "sum"),
    ("lrn", "relu && t.v[l] < 0 ? 0 : t.v[l]", "t.v[l]"),
    ("lrn", "d.relu && row[j] < 0 ? 0 : row[j]", "row[j]"),
    ("lrn", "!(x.v[OWN + l] > 0)", "x.v[OWN + l] < 0"),
    ("lrn", "!(row[c + l] > 0)", "row[c + l] > 9"),
    ("lrn", "2 * d.alpha * d.beta * x.v", "d.alpha * d.beta * x.v"),
    ("lrn", "2 * d.alpha * d.beta * one", "d.alpha * d.beta * one"),
    ("pool", "at.v[l] == here", "at.v[l] <= here"),
    ("pool", "!(best.v[l] > 0)", "best.v[l] < 0"),
    ("norm_pool", "if (i + j == 0) best = t;", "if (j == 0) best = t;"),
    ("norm_pool", "group + g - OWN / LANES", "group"),
    ("dropout", "round < 10", "round < 9"),
    ("dropout", "before.v[l] <= 0", "before.v[l] < 0"),
    ("activation", "t.v[l] > 0 ?", "t.v[l] >= 0 ?"),
    ("optim", "momentum * V.v[l] - m.lr", "momentum * V.v[l] + m.lr"),
    ("optim", "momentum * m.v[j] - m.lr", "momentum * m.v[j] + m.lr"),
    ("optim", ">= moves.of[i + 1].first", "> moves.of[i + 1].first"),
    ("loss", "k == label[n] ? 1", "k >= label[n] ? 1"),
]
FLAGS = "-O0 -fsanitize=address,undefined -fno-sanitize-recover"  # half of the time is the compiler's

needs_compiler = pytest.mark.skipif(bool(Host.missing), reason=str(Host.missing))
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")


def planted(old, new, count=-1):
    return lambda text: text.replace(old, new, count)


def without_barrier(number):
    """The source with one barrier less."""

    def edit(text):
        places = [match.start() for match in re.finditer(r"__syncthreads\(\);", text)]
        return text[: places[number]] + text[places[number] + len("__syncthreads();") :]

    return edit


@needs_compiler
@pytest.mark.parametrize("number", range(kernels.source("loss").count("__syncthreads();")))
def test_a_barrier_taken_away(number):
    with pytest.raises(AssertionError):
        for block in (4, 64, 256):
            check_loss(Launcher(Host(), "float32", 1, 2, block, without_barrier(number)), 7, 300)


@needs_compiler
@pytest.mark.parametrize("file, old, new", CHANGED)
def test_a_kernel_that_computes_something_else(file, old, new):
    assert old in kernels.source(file)
    with pytest.raises(AssertionError):
        every_check(planted(old, new), [file])


def under_sanitizer(*arguments):
    """Run this file as a program with AddressSanitizer in the process: its exit code and all that it printed."""

    def library(name):
        return subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()

    preload = " ".join(map(library, ("libasan.so", "libstdc++.so")))
    path = os.pathsep.join(path for path in sys.path if path)
    environment = os.environ | {"LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0", "HOST_CUDA_FLAGS": FLAGS, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, __file__, *arguments], env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@needs_compiler
@needs_fork
def test_no_kernel_leaves_its_arrays():
    code, output = under_sanitizer("kernels")
    assert code == 0, output


@pytest.mark.slow
@needs_compiler
@needs_fork
def test_every_bound_that_is_moved_is_caught():
    for file, old, _ in BOUNDS:
        assert old in kernels.source(file), f"{old!r} is not in {file}.cu"
    code, output = under_sanitizer("bounds")
    assert code == 0 and output.count("caught") == len(BOUNDS), output


def every_check(edit=lambda text: text, files=tuple(kernels.FILES)):
    for lanes in (4, 1):
        run = Launcher(Host(), "float32", lanes, 3, 4, edit)
        for file in files:
            check_loss(run, 5, 10) if file == "loss" else check(run, file)


def in_child(work):
    """The exit status of a fork that does the work; a sanitizer ends it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except AssertionError as error:
            print(str(error)[:100], flush=True)
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


if __name__ == "__main__":
    del os.environ["LD_PRELOAD"]  # it is loaded; the compiler need not run under it, too
    if sys.argv[1] == "kernels":
        every_check()
    for file, old, new in BOUNDS if sys.argv[1] == "bounds" else ():
        status = in_child(lambda file=file, old=old, new=new: every_check(planted(old, new), [file]))
        print("caught" if status else "MISSED", file, old, "->", new, flush=True)
