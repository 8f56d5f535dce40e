"""All that only a machine with a GPU can tell, in one go, on what is installed there (nothing is fetched):

    OUT=results python3 tests/gpu_session.py               every part, in this order, in about ten minutes
    OUT=results python3 tests/gpu_session.py benchmark ncu these parts
    OUT=results python3 tests/gpu_session.py --tiny        the script itself, with the smallest network

Each part writes one text file into $OUT; what fails or takes too long is noted and does not stop the rest."""

import argparse
import csv
import io
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = Path(os.environ.get("OUT", "gpu_session"))
PYTHON = [sys.executable]
ALEXNET = [*PYTHON, "alexnet.py"]
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


def run(name, command, timeout, **environment):
    """Run a command and add what it prints to $OUT/name.txt; returns what it printed."""
    shown = " ".join("..." if "\n" in part else part for part in command)
    settings = "".join(f"{key}={value} " for key, value in environment.items())
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
        output, end = done.stdout, f"exit code {done.returncode}"
    except subprocess.TimeoutExpired as error:
        output, end = error.stdout or b"", f"stopped after {timeout} s"
    except OSError as error:
        output, end = b"", f"not run: {error}"
    text = output.decode(errors="replace")
    with open(OUT / f"{name}.txt", "a") as file:
        file.write(f"$ {settings}{shown}\n{text}[{end}, {time.perf_counter() - started:.0f} s]\n\n")
    print(f"{name}: {settings}{shown}: {end}, {time.perf_counter() - started:.0f} s", flush=True)
    return text


def machine(tiny):
    run("machine", ["nvidia-smi"], 30)
    run("machine", ["nvidia-smi", "topo", "-m"], 30)
    run("machine", [*PYTHON, "-c", "import cupy; cupy.show_config()"], 60)
    run("machine", [*PYTHON, "-c", "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.device_count())"], 60)


def tests(tiny):
    """The tests marked gpu and multi_gpu; a warning of CuPy, about arrays of another device say, is an error."""
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "cuda").glob("test_cuda_*.py"))
    flags = ["-m", "gpu or multi_gpu", "-W", "error::RuntimeWarning", "-rs", "--durations=10", "-p", "no:cacheprovider"]
    run("tests", [*PYTHON, "-m", "pytest", "-q", *flags, *files], 240)


def steps(tiny):
    """Ten steps with dropout, in float32 and in TF32."""
    for tf32 in "01":
        run("steps", [*PYTHON, str(Path(__file__)), "--ten-steps", *(["--tiny"] if tiny else [])], 120, CUPY_TF32=tf32)


def ten_steps(tiny):
    """Print how far `0`, `0,0` and, where there are two GPUs, `0,1` are from `cpu` and from each other."""
    import numpy as np

    from alexnet import AlexNet
    from minigrad import cuda
    from minigrad.commands.benchmark.cpu import Ours, batch

    variant, images = ("small", 4) if tiny else ("paper", 32)
    results = {}
    for device in ["cpu", "0", "0,0", "0,0"] + ["0,1"] * (cuda.count() > 1):
        net = AlexNet(variant, device)
        side, x = Ours(net), batch(net, images)
        losses = [side.step(*x) for _ in range(10)]
        weights = {p.name: p.device.numpy(p.value) for p in net.parameters()}
        name = device + " again" * (device in results)
        results[name] = losses, weights
        print(f"{variant}, {images} images, on {name} ({net.device.arithmetic}): losses {' '.join(f'{loss:.5f}' for loss in losses)}")
        for other, (_, before) in list(results.items())[:-1]:
            error = {key: np.linalg.norm(weights[key] - before[key]) / np.linalg.norm(before[key]) for key in weights}
            worst = max(error, key=error.get)
            equal = all(np.array_equal(weights[key], before[key]) for key in weights)
            print(f"  against {other}: {'equal to the bit' if equal else f'{worst} differs most, by {error[worst]:.1e} of its norm'}")


def training(tiny):
    """Whole runs, with loading: the default one on a GPU, and the paper's network on images made up."""
    with tempfile.TemporaryDirectory() as folder:
        small, paper = f"{folder}/small", f"{folder}/paper"
        if tiny:
            run("training", [*ALEXNET, "--device", "0", "--synthetic", "--epochs", "1", "--batch-size", "512", "--output", small], 300)
        else:
            run("training", [*ALEXNET, "--device", "0", "--output", small], 120)
            flags = ["--synthetic", "--variant", "paper", "--epochs", "4", "--workers", "8"]
            run("training", [*ALEXNET, "--device", "0", *flags, "--output", paper], 120)
        for place in ("0", "0,0", "cpu"):
            run("training", [*ALEXNET, "evaluate", "--checkpoint", small, "--device", place], 120)


def benchmark(tiny):
    """Beside PyTorch, and what the two towers cost on one GPU."""
    variants, batches, more = (["small"], ["4"], ["--steps", "1"]) if tiny else (["paper", "owt"], ["128", "512"], ["--steps", "20"])
    for variant in variants:
        for images in batches:
            flags = ["--variant", variant, "--batch-size", images, *more]
            for precision in ([], ["--fp32"]):
                run("benchmark", [*ALEXNET, "benchmark", "--device", "0", "--against", "torch", *flags, *precision], 120)
            if variant != "owt":
                run("benchmark", [*ALEXNET, "benchmark", "--device", "0,0", *flags], 60)
                run("benchmark", [*ALEXNET, "benchmark", "--device", "0,1", *flags], 60)  # says so where there is one GPU


def sanitizer(tiny):
    """Accesses outside an allocation, in a step of `small` with small allocations; barriers of the loss."""
    step = [*PYTHON, "-c", ONE_BY_ONE, "small", "0,0", "3"]
    memcheck = ["compute-sanitizer", "--tool", "memcheck", "--error-exitcode", "1"]
    run("sanitizer", [*memcheck, *step], 180)
    run("sanitizer", ["compute-sanitizer", "--tool", "racecheck", "--kernel-regex", "kns=softmax", *step], 120)


def ncu(tiny):
    """The time of every kernel of a step; then all there is to know of the three that take the longest."""
    step = [*PYTHON, "-c", STEP, *(["small", "0", "4"] if tiny else ["paper", "0", "128"])]
    base = ["ncu", "--clock-control", "none", "--target-processes", "all"]
    found = run("kernels", [*base, "--csv", "--metrics", "gpu__time_duration.sum", *step], 150)
    table = found[found.find('"ID"') :] if '"ID"' in found else ""
    total, count = Counter(), Counter()
    for row in csv.DictReader(io.StringIO(table)):
        if row.get("Metric Value"):
            unit = {"ns": 1e-6, "us": 1e-3, "ms": 1.0}.get(row["Metric Unit"].replace("nsecond", "ns").replace("usecond", "us"), 1e-6)
            total[row["Kernel Name"]] += float(row["Metric Value"].replace(",", "")) * unit
            count[row["Kernel Name"]] += 1
    lines = [f"{ms / 2:9.3f} ms a step in {count[name] // 2:3d} launches  {name}" for name, ms in total.most_common()]
    (OUT / "ncu.txt").write_text("\n".join(lines) + "\n\n")
    for name, _ in total.most_common(3):
        short = name.split("(")[0].split("<")[0].split("::")[-1].split()[-1]
        run("ncu", [*base, "--set", "full", "--kernel-name", short, "--launch-skip", "2", "--launch-count", "2", *step], 60)


PARTS = {part.__name__: part for part in (machine, tests, steps, benchmark, training, sanitizer, ncu)}

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--ten-steps", action="store_true", help="used by the part `steps`")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - PARTS.keys()
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}, there are {', '.join(PARTS)}")
    if arguments.ten_steps:
        ten_steps(arguments.tiny)
        sys.exit()
    OUT.mkdir(parents=True, exist_ok=True)
    OUT = OUT.resolve()
    for part in arguments.parts or PARTS:
        try:
            PARTS[part](arguments.tiny)
        except Exception as error:
            print(f"{part}: {type(error).__name__}: {error}", flush=True)
