"""Training under faults, with counts: altered checkpoints, kills, full disks, odd environments. Slow, and not collected by pytest:

    python tests/faults_runs.py [--checkpoints 400] [--kills 100] [--disks 10] [--seed 0]

Prints a line for each part. 0 tracebacks, 0 hangs, 0 silent differences and 0 losses are right; anything else is told and ends in exit
code 1."""

import argparse
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from alexnet import AlexNet  # noqa: E402
from minigrad.commands import run  # noqa: E402
from minigrad.training import load_checkpoint, save_checkpoint  # noqa: E402

WRONG = (None, True, -1, 1.5, "x", [], {}, float("nan"), float("inf"), 10**30, "\0", [[[]]], 10**7)
PATIENCE = 120  # seconds until a command counts as hanging
FLAGS = ("--batch-size", "8", "--lr", "0.001")


def images(root, rng):
    """A folder of 2 x 15 images to train and 2 x 4 to validate."""
    for part, count in (("train", 15), ("val", 4)):
        for name, grey in (("bright", 200), ("dark", 50)):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = (grey + rng.integers(-40, 40, (28, 28, 3))).astype(np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{i}.png")
    return root


def inside(*argv):
    """Exit code, and what was printed, of a command in this process; a traceback is the code -1."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run(AlexNet, [str(a) for a in argv])
        except BaseException:
            return -1, traceback.format_exc()
    return code, out.getvalue() + err.getvalue()


def outside(*argv, **more):
    """A command in a process of its own."""
    return subprocess.Popen([sys.executable, str(ROOT / "alexnet.py"), *map(str, argv)], stderr=subprocess.PIPE, text=True, **more)


def equal(one, other):
    a, b = load_checkpoint(one), load_checkpoint(other)
    pairs = ((a.values, b.values), (a.velocities, b.velocities))
    return all(x.keys() == y.keys() and all(np.array_equal(x[n], y[n]) for n in x) for x, y in pairs)


# ---- altered checkpoints


def leaves(value, path=()):
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))


def with_value(metadata, path, value):
    changed = json.loads(json.dumps(metadata))
    where = changed
    for key in path[:-1]:
        where = where[key]
    if value is KeyError:
        del where[path[-1]]
    else:
        where[path[-1]] = value
    return changed


def altered(path, saved, rng, number):
    """Write to `path` a checkpoint with one fault. Returns whether its check sums are those of a healthy file."""
    fields = [leaf for leaf in leaves(saved.metadata) if leaf]
    if number < 3 * len(fields):  # every field, by one who knows the check sums
        value = (WRONG + (KeyError,))[int(rng.integers(len(WRONG) + 1))]
        save_checkpoint(path, replace(saved, metadata=with_value(saved.metadata, fields[number % len(fields)], value)))
        return False
    save_checkpoint(path, saved)
    content = bytearray(path.read_bytes())
    kind = number % 4
    if kind == 0:
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        content[int(rng.integers(8, 8 + int.from_bytes(content[:8], "little")))] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        content = content[: int(rng.integers(len(content)))]
    else:
        with safe_open(path, framework="np") as file:
            header = file.metadata()
        arrays = load_file(path)
        one, other = rng.choice(sorted(arrays), 2, replace=False)
        arrays[one] = arrays[one].astype(rng.choice(["float16", "float64", "int32", "uint8", "bool"])) if number % 8 == 3 else arrays[other]
        save_file(arrays, path, metadata=header)
        return True
    path.write_bytes(content)
    return True


def checkpoints(work, folder, whole, count, rng):
    """Each altered checkpoint is refused by every word that reads it. One whose field still makes sense may be taken."""
    saved, problems, refused = load_checkpoint(whole), [], 0
    photo = next((folder / "val" / "dark").iterdir())
    for number in range(count):
        path = work / "bad.safetensors"
        must = altered(path, saved, rng, number)
        for argv in (
            ("predict", "--checkpoint", path, photo),
            ("evaluate", "--checkpoint", path),
            ("--resume", path, "--epochs", "2", "--output", work / f"resumed{number}"),
        ):
            started = time.monotonic()
            code, said = inside(*argv)
            if code not in (0, 2) or "Traceback" in said or "nan%" in said or (must and code == 0) or time.monotonic() - started > 60:
                problems.append(f"checkpoint {number}, {argv[0]}: code {code}, {said[-400:]}")
            refused += code == 2
    return f"{count} altered checkpoints x 3 words: {refused} refused in a sentence", problems


# ---- kills


def kills(work, folder, count, rng):
    """kill -9 at a random moment; then the same command again or --resume, until the run is done: the bits of one never stopped."""
    argv = ("--data", folder, "--epochs", "3", *FLAGS)
    problems, early, again = [], 0, 0
    started = time.monotonic()
    if (process := outside(*argv, "--output", work / "unharmed")).wait(PATIENCE) != 0:
        return "no kills", [process.stderr.read()]
    length = time.monotonic() - started
    for number in range(count):
        output = work / f"killed{number}"
        process = outside(*argv, "--output", output)
        time.sleep(float(rng.uniform(0.2, 1.05)) * length)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if (output / "checkpoint.safetensors").exists():
            code, said = inside("--resume", output)
            again += 1
        else:
            code, said = inside(*argv, "--output", output)
            early += 1
        if code != 0 or not equal(output, work / "unharmed") or list(output.glob("*.tmp*")):
            problems.append(f"kill {number}: code {code}, {said[-400:]}")
    return f"{count} kills: {early} before the first checkpoint, started again; {again} resumed; all the same bits", problems


# ---- full disks


def disks(work, folder, count, rng):
    """A small tmpfs, from too small for a config to large enough for all: done, or one sentence; and what was saved before is whole."""
    place, problems, done = work / "disk", [], 0
    place.mkdir()
    for number in range(count):
        kilobytes = 4 + int(rng.integers(12_000) * (number + 1) / count)
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", place], capture_output=True, check=False
        ).returncode:
            return "disk full: skipped, a tmpfs cannot be mounted here", problems
        try:
            process = outside("--data", folder, "--epochs", "2", *FLAGS, "--output", place / "run")
            said = process.communicate(timeout=PATIENCE)[1]
            if process.returncode not in (0, 2) or "Traceback" in said:
                problems.append(f"disk of {kilobytes} kB: code {process.returncode}, {said[-400:]}")
            done += process.returncode == 0
            if (place / "run" / "checkpoint.safetensors").exists():
                load_checkpoint(place / "run")
        finally:
            subprocess.run(["umount", place], check=False)
    return f"{count} sizes of a full disk: {done} runs done, the others told", problems


# ---- environments


def environments(work, folder):
    """Training to its end, or a sentence."""
    python = f"'{sys.executable}' '{ROOT / 'alexnet.py'}' --data '{folder}' --epochs 1 {' '.join(FLAGS)} --output"
    locked = work / "read-only"
    locked.mkdir()
    locked.chmod(0o555)
    cases = {
        "no HOME": f"env -u HOME {python} RUN",
        "HOME that is not there": f"HOME=/nowhere {python} RUN",
        "TMPDIR that is not there": f"TMPDIR=/nowhere {python} RUN",
        "empty environment": f"env -i {python} RUN",
        "locale C": f"LC_ALL=C PYTHONUTF8=0 {python} RUN",
        "locale that is not there": f"LC_ALL=xx_XX.KOI8-R {python} RUN",
        "output cp1252": f"PYTHONIOENCODING=cp1252 {python} RUN",
        "stdin closed": f"{python} RUN <&-",
        "stdout closed": f"{python} RUN >&-",
        "stderr closed": f"{python} RUN 2>&-",
        "all closed": f"{python} RUN <&- >&- 2>&-",
        "stderr full": f"{python} RUN 2>/dev/full",
        "24 descriptors": f"ulimit -n 24; {python} RUN",
        "folder that cannot be written": f"{python} '{locked}/RUN'",
        "no room in /proc for a name": f"{python} {'x' * 300}",
    }
    problems, codes = [], []
    for number, (name, command) in enumerate(cases.items()):
        command = command.replace("RUN", f"run{number}" if str(locked) in command else f"'{work}/environment {number}'")
        try:
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=work)
        except subprocess.TimeoutExpired:
            problems.append(f"{name}: hangs")
            continue
        codes.append(done.returncode)
        if done.returncode not in (0, 2) or "Traceback" in done.stderr:
            problems.append(f"{name}: code {done.returncode}, {done.stderr[-400:]}")
    return f"{len(cases)} environments: {codes.count(0)} runs done, {codes.count(2)} told", problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, count in (("checkpoints", 400), ("kills", 100), ("disks", 10), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=count)
    arguments = parser.parse_args()
    rng, wrong = np.random.default_rng(arguments.seed), 0
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        os.chdir(work)
        folder = images(work / "images", rng)
        code, said = inside("--data", folder, "--epochs", "2", *FLAGS, "--output", work / "whole")
        assert code == 0, said
        for part in (
            lambda: checkpoints(work, folder, work / "whole", arguments.checkpoints, rng),
            lambda: environments(work, folder),
            lambda: disks(work, folder, arguments.disks, rng),
            lambda: kills(work, folder, arguments.kills, rng),
        ):
            started = time.monotonic()
            line, problems = part()
            print(f"{line}; {len(problems)} problems ({time.monotonic() - started:.0f} s)", flush=True)
            print(*problems, sep="\n", end="\n" if problems else "", flush=True)
            wrong += len(problems)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
