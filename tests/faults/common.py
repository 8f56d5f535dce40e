"""What the parts of the campaign share: bytes and values that are wrong, and what came of a case."""

import contextlib
import io
import json
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
from PIL import Image

from alexnet import AlexNet
from minigrad.commands import run
from minigrad.commands.errors import UsageError
from minigrad.data import DataError
from minigrad.training import TrainingError

ROOT = Path(__file__).parents[2]
SECONDS = 10  # that a case may take beyond honest work
PATIENCE = 120  # seconds until a command in a process of its own counts as hanging
FLAGS = ("--batch-size", "8", "--lr", "0.001")
WRONG = (None, True, -1, 0, 1.5, "x", "", [], {}, float("nan"), float("inf"), 1 << 70, 10**7, "\0", "\ud800", "x/../../y", [[]], ["a", "a"])
MORE = "more"  # instead of a value: a field beside it that nobody knows


class Ended(BaseException):
    """Somebody ends the campaign: what was found so far is told."""


def random(seed, part, number):
    """The generator of one case."""
    return np.random.default_rng([seed, sum(part.encode()), number])


# ---- what is wrong


def altered(rng, content):
    """The bytes of a file, altered in one of seven ways."""
    content = bytearray(content)
    N, way = len(content), rng.integers(7)
    at = int(rng.integers(N))
    if way == 0:
        content[at] ^= 1 << int(rng.integers(8))
    elif way == 1:
        content = content[:at]
    elif way == 2:
        content[at : at + 64] = rng.bytes(64)
    elif way == 3:
        content[at : at + 4] = b"\xff\xff\xff\xff"
    elif way == 4:
        content[at:at] = rng.bytes(int(rng.integers(1, 64)))
    elif way == 5:
        del content[at : at + int(rng.integers(1, 64))]
    else:  # in the header, where sizes are
        for at in rng.integers(min(N, 100), size=3):
            content[at] = int(rng.integers(256))
    return bytes(content)


def leaves(value, at=(), most=2):
    """The places of all values in JSON, as tuples of keys; of long lists the first `most`."""
    if at:
        yield at
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(min(most, len(value))):
            yield from leaves(value[key], (*at, key), most)


def with_value(value, at, new):
    """JSON with one value replaced; `new` KeyError: without it; MORE: with another field beside it."""
    value = json.loads(json.dumps(value))
    inner = value
    for key in at[:-1]:
        inner = inner[key]
    if new is KeyError:
        del inner[at[-1]]
    elif new is MORE and isinstance(inner, dict):
        inner[MORE] = 1
    else:
        inner[at[-1]] = new
    return value


# ---- what came of it


def attempt(act):
    """ "used", "refused" in one sentence, or what went wrong, of act() under an alarm."""

    def late(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        act()
        return "used"
    except (DataError, TrainingError, UsageError) as error:
        return "refused" if "\n" not in str(error) else f"two lines: {error}"
    except TimeoutError:
        return "HANG"
    except Ended:
        raise
    except BaseException:
        return traceback.format_exc()[-600:]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def said(code, error):
    """The same of a command: its exit code, and what it said on standard error."""
    if "Traceback" in error or code not in (0, 2):
        return f"code {code}: {error[-600:]}"
    if code == 2 and not (error.splitlines() or [""])[-1].startswith("alexnet.py: "):
        return f"code 2 without a sentence: {error[-300:]}"
    return "refused" if code else "used"


def inside(*argv):
    """`alexnet.py argv` in this process: what came of it, and what was printed."""
    out, err, result = io.StringIO(), io.StringIO(), []
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        outcome = attempt(lambda: result.append(run(AlexNet, [str(a) for a in argv])))
    if outcome == "used":
        outcome = said(result[0], err.getvalue())
    if "nan%" in out.getvalue():
        outcome = f"prints nan: {out.getvalue()[-300:]}"
    return outcome, out.getvalue()


def outside(*argv, **more):
    """`alexnet.py argv` in a process of its own, as `subprocess.Popen`."""
    more = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "errors": "replace", "cwd": ROOT, **more}
    return subprocess.Popen([sys.executable, str(ROOT / "alexnet.py"), *map(str, argv)], **more)


def ended(process):
    """What came of a process."""
    try:
        _, error = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "HANG"
    return said(process.returncode, error)


# ---- what is altered


def folder_of_images(root, train=15, val=4, pixels=28):
    """A folder of 2 x 15 images to train and 2 x 4 to validate."""
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("val", val)):
        for name, grey in (("bright", 200), ("dark", 50)):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                image = (grey + rng.integers(-40, 40, (pixels, pixels, 3))).astype(np.uint8)
                Image.fromarray(image).save(root / part / name / f"{i}.png")
    return root


def trained(work, *more):
    """A folder of images, and that of a run of two epochs with them."""
    folder, run = folder_of_images(work / "images"), work / "run"
    outcome, _ = inside("--data", folder, "--epochs", "2", *FLAGS, "--output", run, *more)
    assert outcome == "used", outcome
    return folder, run


def contents(folder):
    """The bytes of all files in a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
