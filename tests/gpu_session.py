"""All that only a machine with a GPU can tell, in two calls of five minutes, on what is installed there (nothing is fetched):

    OUT=results python3 tests/gpu_session.py first        whether it is right; the host's and the GPU's time; beside PyTorch
    OUT=results python3 tests/gpu_session.py second       each product and each kernel, loading, the sanitizers
    OUT=results python3 tests/gpu_session.py bits ncu     these parts
    OUT=results python3 tests/gpu_session.py first --tiny the script itself, with the smallest network

What the parts print goes into one text file of $OUT for each call. What fails or takes too long is noted and does not stop the rest. Last
come 40 lines at most of what matters."""

import argparse
import csv
import io
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHON = [sys.executable]
PROBE = [*PYTHON, str(Path(__file__).with_name("gpu_probe.py"))]
LINES = 40
STEP = """
import sys
from alexnet import AlexNet
from minigrad.commands.benchmark.cpu import Ours, batch
net = AlexNet(sys.argv[1], sys.argv[2])
side, (images, labels) = Ours(net), batch(net, int(sys.argv[3]))
for _ in range(2):
    print("loss", side.step(images, labels))
"""
ONE_BY_ONE = "import cupy; cupy.cuda.set_allocator(None)  # no pool: each array ends where its memory does\n" + STEP


class Session:
    """One call: its file, how long it may go on, and the lines of its summary."""

    def __init__(self, out, name, seconds, tiny):
        self.file, self.end, self.tiny, self.summary = Path(out) / f"{name}.txt", time.monotonic() + seconds, tiny, []
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text("")

    def run(self, name, command, limit, keep="^=", **settings):
        """Run a command for at most so many seconds; returns what it printed. Lines with a match of `keep` go into the summary."""
        limit = min(limit, self.end - time.monotonic())
        if limit < 1:
            self.summary.append(f"{name}: no time left")
            return ""
        started, environment = time.perf_counter(), os.environ | {"PYTHONUNBUFFERED": "1"} | settings
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        try:
            done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit)
            output, end = done.stdout, f"exit code {done.returncode}"
        except subprocess.TimeoutExpired as error:
            output, end = error.stdout or b"", f"stopped after {limit:.0f} s"
        except OSError as error:
            output, end = b"", f"not run: {error}"
        text, said = output.decode(errors="replace"), f"{end}, {time.perf_counter() - started:.0f} s"
        shown = " ".join("..." if "\n" in part else part for part in command)
        with open(self.file, "a") as file:
            file.write(f"$ {shown}\n{text}[{said}]\n\n")
        print(f"{name}: {said}", flush=True)
        self.summary += [line.removeprefix("= ")[:150] for line in text.splitlines() if re.search(keep, line)]
        if end != "exit code 0":
            *_, last = text.strip().splitlines() or [""]
            self.summary.append(f"{name}: {said}: {last}"[:150])
        return text


def machine(session):
    session.run("machine", ["nvidia-smi", "--query-gpu=name,driver_version,clocks.sm,clocks.mem", "--format=csv,noheader"], 20, keep=".")
    session.run("links", ["nvidia-smi", "topo", "-m"], 20, keep="^$")
    session.run("CuPy", [*PYTHON, "-c", "import cupy; cupy.show_config()"], 30, keep="^CuPy Version|^CUDA Runtime Version|cuBLAS Version")


def bits(session):
    session.run("bits", [*PROBE, "bits", *["--tiny"] * session.tiny], 60)


def steps(session):
    for tf32 in "10":
        session.run("steps", [*PROBE, "steps", *["--tiny"] * session.tiny], 30, CUPY_TF32=tf32)


def errors(session):
    session.run("errors", [*PROBE, "errors", *["--tiny"] * session.tiny], 40)


def tests(session):
    """Those marked gpu and multi_gpu; a warning of CuPy, about arrays of another device say, is an error."""
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "cuda").glob("test_cuda_*.py"))
    if session.tiny:
        files = ["tests/cuda/test_cuda_layers.py", "-k", "relu or there_and_back"]
    flags = ["-m", "gpu or multi_gpu", "-W", "error::RuntimeWarning", "--tb=short", "--durations=5", "-p", "no:cacheprovider"]
    session.run("tests", [*PYTHON, "-m", "pytest", "-q", *flags, *files], 130, keep=r"^FAILED|^ERROR|^\d+ passed|^\d+ failed")


def clocks(session):
    session.run("clocks", [*PROBE, "clocks", *["--tiny"] * session.tiny], 45)


def benchmark(session):
    """Beside PyTorch."""
    for variant in ["small"] if session.tiny else ["paper", "owt"]:
        more = ["--batch-size", "4", "--steps", "1"] if session.tiny else ["--batch-size", "128", "--steps", "20"]
        command = [*PYTHON, "alexnet.py", "benchmark", "--device", "0", "--against", "torch", "--variant", variant, *more]
        session.run(f"benchmark {variant}", command, 50, keep="^minigrad: |median of|^ratio|^PyTorch")


def products(session):
    session.run("products", [*PROBE, "products", *["--tiny"] * session.tiny], 40)


def loading(session):
    session.run("loading", [*PROBE, "loading", *["--tiny"] * session.tiny], 60)


def sanitizer(session):
    """Accesses outside an allocation, in a step of `small` with small allocations; barriers of the loss."""
    step = [*PYTHON, "-c", ONE_BY_ONE, "small", "0,0", "3"]
    session.run("memcheck", ["compute-sanitizer", "--tool", "memcheck", "--error-exitcode", "1", *step], 80, keep="ERROR SUMMARY")
    racecheck = ["compute-sanitizer", "--tool", "racecheck", "--kernel-regex", "kns=softmax", *step]
    session.run("racecheck", racecheck, 50, keep="RACECHECK SUMMARY")


def ncu(session):
    """The time and the traffic of every kernel of a step."""
    step = [*PYTHON, "-c", STEP, *(["small", "0", "4"] if session.tiny else ["paper", "0", "128"])]
    metrics = "gpu__time_duration.sum,dram__bytes.sum"
    command = ["ncu", "--clock-control", "none", "--target-processes", "all", "--csv", "--print-units", "base", "--metrics", metrics, *step]
    session.summary += kernel_times(session.run("ncu", command, 100, keep="^$"))[:9]


def kernel_times(text):
    """A line for each kernel in what ncu printed of two steps, the one that took the longest first."""
    nanoseconds, moved, count = Counter(), Counter(), Counter()
    for row in csv.DictReader(io.StringIO(text[text.find('"ID"') :] if '"ID"' in text else "")):
        name, value = row["Kernel Name"].split("(")[0], (row.get("Metric Value") or "").replace(",", "")
        if value and row["Metric Name"].startswith("gpu__time"):
            nanoseconds[name] += float(value)
            count[name] += 1
        elif value:
            moved[name] += float(value)
    return [
        f"{ns / 2e6:8.3f} ms a step, {moved[name] / ns / 1e3:5.2f} TB/s, {count[name] // 2:3d} launches  {name}"
        for name, ns in nanoseconds.most_common()
    ]


CALLS = {"first": (machine, bits, steps, tests, clocks, benchmark), "second": (machine, products, errors, loading, sanitizer, ncu)}
PARTS = {part.__name__: part for parts in CALLS.values() for part in parts}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", metavar="PART", help=f"first, second, or some of {', '.join(PARTS)}")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--seconds", type=float, default=290, help="of the whole call")
    a = parser.parse_args()
    unknown = set(a.parts) - PARTS.keys() - CALLS.keys()
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}, there are {', '.join((*CALLS, *PARTS))}")
    session = Session(os.environ.get("OUT", "gpu_session"), "_".join(a.parts), a.seconds, a.tiny)
    for part in [part for name in a.parts for part in CALLS.get(name) or (PARTS[name],)]:
        try:
            part(session)
        except Exception as error:
            session.summary.append(f"{part.__name__}: {type(error).__name__}: {error}"[:150])
    with open(session.file, "a") as file:
        file.write("\n".join(session.summary) + "\n")
    print("\n".join(session.summary[:LINES]))
