"""kill -9 at a random moment, of training and of `prepare`; then the same command again, or --resume: the bits of one never stopped."""

import signal
import time

import numpy as np
from faults.common import FLAGS, contents, ended, folder_of_images, inside, outside, random
from make_imagenet import class_folders

from minigrad.training import load_checkpoint


def killed(process, folder, seconds, rng):
    """End a process at a random moment within so many seconds; each third one as soon as a temporary file is seen, while it is written."""
    until = time.monotonic() + float(rng.uniform(0.1, 1.05)) * seconds
    writing = rng.integers(3) == 0
    while time.monotonic() < until or (writing and process.poll() is None):
        if writing and time.monotonic() > until - seconds / 2 and any(folder.glob("*.tmp*")):
            break
        if process.poll() is not None:
            break
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def measured(process):
    started = time.monotonic()
    assert ended(process) == "used"
    return time.monotonic() - started


def training(work, seed, first, count):
    """Until the run is done: each second one is killed twice, the second time while it goes on."""
    folder = folder_of_images(work / "images")
    argv = ("--data", folder, "--epochs", "3", *FLAGS)
    seconds = measured(outside(*argv, "--output", work / "whole"))
    for number in range(first, first + count):
        rng, output = random(seed, "kills", number), work / f"killed {number}"
        killed(outside(*argv, "--output", output), output, seconds, rng)
        if number % 2:
            killed(outside(*way_on(argv, output)), output, seconds, rng)
        outcome, _ = inside(*way_on(argv, output))
        if outcome == "used":
            outcome = compared(output, work / "whole")
        yield f"{number}", outcome


def way_on(argv, output):
    """--resume where there is a checkpoint, else the command itself."""
    return ("--resume", output) if (output / "checkpoint.safetensors").exists() else (*argv, "--output", output)


def compared(one, other):
    a, b = load_checkpoint(one), load_checkpoint(other)
    pairs = ((a.values, b.values), (a.velocities, b.velocities))
    if not all(x.keys() == y.keys() and all(np.array_equal(x[n], y[n]) for n in x) for x, y in pairs):
        return "OTHER BITS"
    if {path.name for path in one.iterdir()} != {path.name for path in other.iterdir()}:
        return f"other files: {sorted(path.name for path in one.iterdir())}"
    return "used"


def preparing(work, seed, first, count):
    root = work / "images"
    class_folders(root, images=200, classes=4, width=120, height=90, odd=0)
    argv = ("prepare", "--data", root, "--size", "64", "--workers", "2", "--out")
    seconds = measured(outside(*argv, work / "whole"))
    for number in range(first, first + count):
        out = work / f"{number}"
        killed(outside(*argv, out), out, seconds, random(seed, "prepare", number))
        outcome = ended(outside(*argv, out))
        if outcome == "used" and contents(out) != contents(work / "whole"):
            outcome = "OTHER BYTES"
        yield f"{number}", outcome
