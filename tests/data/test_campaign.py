"""Data under faults, many at a time (slow, seeded): altered images, records, archives, and `prepare` killed at random.

What counts: an altered file is used as before, or refused in one sentence (DataError) within 10 seconds and 1 GB; it is never another
exception, and what `predict`, training and `prepare` take is the same. `-s` prints the counts."""

import io
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from make_imagenet import class_folders, packed
from PIL import Image

from minigrad import data
from minigrad.data import DataError, load, prepare, records, sources

ROOT = Path(__file__).parents[2]
IMAGES, FILES, ARCHIVES, KILLS, SECONDS = 1000, 300, 60, 30, 10
SCALE = float(os.environ.get("CAMPAIGN", "1"))  # a part of the counts, for a try

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="alarms and kills are POSIX's")]


def some(count):
    return max(1, round(count * SCALE))


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


def outcome(act):
    """ "used", "refused" or what went wrong, of act() under an alarm."""

    def late(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        act()
        return "used"
    except DataError as error:
        return "refused" if "\n" not in str(error) else f"two lines: {error}"
    except TimeoutError:
        return "HANG"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def tell(what, outcomes):
    counts = Counter(outcomes)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"\n{what}: {sum(counts.values()):,} altered, {dict(counts)}; peak {peak:,.0f} MB")
    assert set(counts) <= {"used", "refused"}, counts


def alexnet(*argv, **more):
    argv = [sys.executable, "alexnet.py", *map(str, argv)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=1200, **more)


# ---- images


def originals(rng):
    """(ending, bytes) of a small image in every kind of file."""
    pixels = Image.fromarray(rng.integers(0, 256, (48, 56, 3), np.uint8))
    kinds = [
        ("jpg", "JPEG", "RGB"),
        ("jpg", "JPEG", "CMYK"),
        ("png", "PNG", "RGB"),
        ("png", "PNG", "P"),
        ("png", "PNG", "RGBA"),
        ("gif", "GIF", "P"),
    ]
    kinds += [("bmp", "BMP", "RGB"), ("tif", "TIFF", "RGB"), ("tif", "TIFF", "F"), ("webp", "WEBP", "RGB"), ("ppm", "PPM", "RGB")]
    for ending, kind, mode in kinds:
        stream = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        pixels.convert(mode).save(stream, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {}))
        yield ending, stream.getvalue()


def test_images(tmp_path):
    rng = np.random.default_rng(0)
    root, kinds = tmp_path / "images", list(originals(rng))
    for i in range(some(IMAGES)):
        ending, content = kinds[i % len(kinds)]
        path = root / "train" / str(i % 2) / f"{i:04}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(altered(rng, content) or b"\0")
    for k in "01":
        (root / "val" / k).mkdir(parents=True)
        (root / "val" / k / "a.png").write_bytes(kinds[2][1])
        (root / "train" / k / "a.png").write_bytes(kinds[2][1])
    paths = sorted((root / "train").rglob("*.*"))

    loaded = load(root, size=32, skip_bad=True)
    trained = alexnet("--data", root, "--variant", "small", "--skip-bad", "--epochs", 1, "--output", tmp_path / "run")
    assert trained.returncode == 0 and "Traceback" not in trained.stderr, trained.stderr
    ready = alexnet("prepare", "--data", root, "--out", tmp_path / "set", "--size", 32, "--skip-bad")
    assert ready.returncode == 0 and "Traceback" not in ready.stderr, ready.stderr
    predicted = alexnet("predict", "--checkpoint", tmp_path / "run", *paths)
    assert predicted.returncode in (0, 2) and "Traceback" not in predicted.stderr, predicted.stderr
    taken = {line for line in predicted.stdout.splitlines() if not line.startswith("  ")}
    assert taken == set(map(str, loaded.train_images.paths)), "predict and training take different images"
    assert len(loaded.train_labels) == len(load(tmp_path / "set").train_labels)
    refused = predicted.stderr.splitlines()
    assert len(refused) == len(paths) - len(taken) and all(line.endswith(".") for line in refused)
    tell("images x (predict, training, prepare)", ["used"] * len(taken) + ["refused"] * len(refused))


# ---- records and arrays


WRONG = (None, True, -1, 0, 1 << 70, 1.5, float("nan"), "", "x/../../y", "\0", "\ud800", [], [[]], {}, [None], ["a", "a"])


def fields(value, at=()):
    """The places of all values in JSON, as tuples of keys."""
    if at:
        yield at
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(min(2, len(value))):
            yield from fields(value[key], (*at, key))


def with_field(value, at, new):
    """JSON with one value replaced; `new` "delete": without it."""
    value = json.loads(json.dumps(value))
    inner = value
    for key in at[:-1]:
        inner = inner[key]
    if new == "delete":
        del inner[at[-1]]
    else:
        inner[at[-1]] = new
    return value


def small_set(tmp_path):
    class_folders(tmp_path / "images", images=40, classes=2, width=40, height=36, odd=0)
    prepare(tmp_path / "images", tmp_path / "set", side=16, workers=1, stream=io.StringIO())
    return tmp_path / "images", tmp_path / "set"


@pytest.mark.parametrize("older", [False, True])
def test_every_field_of_set_json(tmp_path, older):
    """older: as sets without digests are, in which types and ranges alone are checked."""
    _, out = small_set(tmp_path)
    record = records.read_set(out)
    if older:
        record = {key: value for key, value in record.items() if key not in ("digests", "sha256")}
    outcomes, silent = [], []
    for at in fields(record):
        for wrong in (*WRONG, "delete"):
            changed = with_field(record, at, wrong)
            if changed == record and repr(changed) == repr(record):
                continue
            (out / "set.json").write_text(json.dumps(changed))
            outcomes.append(outcome(lambda: list(load(out).train_images)))
            if outcomes[-1] == "used":
                silent.append((at, wrong))
    tell(f"fields of set.json, {'older' if older else 'with digests'}", outcomes)
    assert older or not [at for at, wrong in silent if at != ("left",) or wrong != "delete"], silent


def test_every_field_of_a_plan(tmp_path):
    root, out = small_set(tmp_path)
    begun, plan = tmp_path / "begun", None
    found = sources.find(root)
    begun.mkdir()
    plan = {"format": 1, "name": "images", "source": str(root.resolve()), "side": 16, "ids": list(found.ids), "names": list(found.names)}
    rows = {split: records.image_rows(files) for split, files in found.splits.items()}
    outcomes = []

    def attempt():
        from minigrad.data.prepare import planned

        planned(root, begun, 16, None)

    for at in fields(plan):
        for wrong in (*WRONG, "delete"):
            (begun / "plan.json").write_text(json.dumps(with_field(plan, at, wrong)))
            for split in rows:
                (begun / f"plan-{split}.jsonl").write_bytes(rows[split])
            outcomes.append(outcome(attempt))
    (begun / "plan.json").write_text(json.dumps(plan))
    first = json.loads(rows["train"].splitlines()[0])
    for at in range(len(first)):
        for wrong in WRONG:
            row = [*first[:at], wrong, *first[at + 1 :]]
            (begun / "plan-train.jsonl").write_bytes(json.dumps(row).encode() + b"\n" + rows["train"])
            outcomes.append(outcome(attempt))
    tell("fields of plans", outcomes)


def test_files_of_data(tmp_path):
    """Every file of a prepared set, records of shards, IDX, CIFAR-10 and files of labels, altered in their bytes."""
    rng = np.random.default_rng(1)
    _, out = small_set(tmp_path)
    files = [path for path in sorted(out.iterdir()) if path.suffix != ".bin"]
    outcomes, count = [], some(FILES) // 3
    for i in range(count):
        path = files[i % len(files)]
        whole = path.read_bytes()
        changed = altered(rng, whole)
        path.write_bytes(changed)
        outcomes.append(outcome(lambda: load(out)))
        if outcomes[-1] == "used" and changed != whole and path.name != "set.json":
            outcomes[-1] = f"silent: {path.name}"
        path.write_bytes(whole)
    tell("files of a prepared set", outcomes)

    outcomes = []
    idx, cifar = idx_folder(tmp_path / "idx"), cifar_folder(tmp_path / "cifar")
    for i in range(count):
        folder, spec = ((idx, f"fashion-mnist:{idx}"), (cifar, f"cifar10:{cifar}"))[i % 2]
        names = sorted(folder.iterdir())
        path = names[int(rng.integers(len(names)))]
        whole = path.read_bytes()
        path.write_bytes(altered(rng, whole))
        outcomes.append(outcome(lambda spec=spec: load(spec)))
        path.write_bytes(whole)
    tell("IDX and CIFAR-10", outcomes)

    outcomes = []
    root = tmp_path / "flat"
    shutil.copytree(tmp_path / "images", root)
    for i, path in enumerate(sorted((root / "val").rglob("*.JPEG"))):
        path.rename(root / "val" / f"{i}.JPEG")
    for path in list((root / "val").iterdir()):
        if path.is_dir():
            path.rmdir()
    lines = "".join(f"{path.name} {i % 2}\n" for i, path in enumerate(sorted((root / "val").iterdir()))).encode()
    for _ in range(count):
        (root / "val.txt").write_bytes(altered(rng, lines))
        outcomes.append(outcome(lambda: sources.find(root)))
    tell("files of labels", outcomes)


def idx_folder(folder):
    folder.mkdir()
    for split, N in (("train", 6), ("t10k", 3)):
        (folder / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, N, 28, 28) + bytes(N * 784))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, N) + bytes(N))
    return folder


def cifar_folder(folder):
    import pickle

    folder.mkdir()
    batch = {b"data": np.zeros((4, 3072), np.uint8), b"labels": [0, 1, 2, 3]}
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        (folder / name).write_bytes(pickle.dumps(batch, protocol=i % 5))
    return folder


# ---- archives


def test_archives(tmp_path):
    rng = np.random.default_rng(2)
    root = tmp_path / "tars"
    packed(root, images=20, classes=2, width=40, height=36, odd=0)
    paths, outcomes = sorted(root.iterdir()), []
    for i in range(some(ARCHIVES)):
        path = paths[i % len(paths)]
        whole = path.read_bytes()
        path.write_bytes(altered_header(rng, whole) if i % 2 and path.suffix == ".tar" else altered(rng, whole))
        outcomes.append(outcome(lambda: sources.find(root)))
        path.write_bytes(whole)
    tell("tars and devkits", outcomes)


def altered_header(rng, content):
    """A tar one of whose headers names another size, or is of another kind, its checksum right."""
    content = bytearray(content)
    with tarfile.open(fileobj=io.BytesIO(bytes(content))) as tar:
        starts = [member.offset for member in tar]
    at = int(rng.choice(starts))
    if rng.integers(2):
        size = int(rng.choice([-1, -512, -(1 << 40), 1 << 33, 1 << 62]))
        content[at + 124 : at + 136] = (b"\xff" if size < 0 else b"\x80") + (size % (1 << 88)).to_bytes(11, "big")
    else:
        content[at + 156] = int(rng.choice(list(b"012345671xgLKSV")))
    content[at + 148 : at + 156] = b" " * 8
    content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])
    return bytes(content)


# ---- prepare, killed


def test_prepare_killed_at_random(tmp_path):
    rng = np.random.default_rng(3)
    root = tmp_path / "images"
    class_folders(root, images=400, classes=4, width=120, height=90, odd=0)
    argv = [sys.executable, "alexnet.py", "prepare", "--data", str(root), "--size", "64", "--workers", "2", "--out"]
    begun = time.monotonic()
    subprocess.run([*argv, str(tmp_path / "whole")], cwd=ROOT, check=True, capture_output=True)
    seconds = time.monotonic() - begun
    expected, outcomes = contents(tmp_path / "whole"), []
    for i in range(some(KILLS)):
        out = tmp_path / f"{i}"
        process = subprocess.Popen([*argv, str(out)], cwd=ROOT, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.1, 1) * seconds)
        process.kill()
        process.wait()
        again = subprocess.run([*argv, str(out)], cwd=ROOT, capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        outcomes.append("used" if contents(out) == expected else "other bytes")
        shutil.rmtree(out)
    tell("prepare, killed and run again", outcomes)


def contents(folder):
    """The bytes of all files of a prepared set."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_the_campaign_finds_is_found():
    """A reader that lets an IndexError through is noticed, and one that waits."""
    assert outcome(lambda: [][0]).startswith("IndexError") and outcome(lambda: data.read_image("none")) == "refused"
