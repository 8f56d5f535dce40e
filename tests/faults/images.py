"""Altered images: `predict`, training from a folder, and `prepare` take the same ones and refuse the others."""

import io

import numpy as np
from faults.common import altered, attempt, ended, outside, random
from PIL import Image

from minigrad import data
from minigrad.data import load
from minigrad.data.images import read_fitted, read_square

SIDE = 32


def originals():
    """(ending, bytes) of a small image in every kind of file."""
    pixels = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 56, 3), np.uint8))
    kinds = [
        ("jpg", "JPEG", "RGB"),
        ("jpg", "JPEG", "CMYK"),
        ("png", "PNG", "RGB"),
        ("png", "PNG", "P"),
        ("png", "PNG", "RGBA"),
        ("gif", "GIF", "P"),
    ]
    kinds += [("bmp", "BMP", "RGB"), ("tif", "TIFF", "RGB"), ("tif", "TIFF", "F"), ("webp", "WEBP", "RGB"), ("ppm", "PPM", "RGB")]
    kinds += [("jp2", "JPEG2000", "RGB"), ("png", "PNG", "I;16"), ("tif", "TIFF", "1")]
    for ending, kind, mode in kinds:
        stream = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        image = pixels.convert("L").convert("I").convert(mode) if mode == "I;16" else pixels.convert(mode)
        image.save(stream, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {}))
        yield ending, stream.getvalue()


def cases(work, seed, first, count):
    root, kinds, outcomes = work / "images", list(originals()), {}
    for number in range(first, first + count):
        ending, content = kinds[number % len(kinds)]
        path = root / "train" / str(number % 2) / f"{number:04}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(altered(random(seed, "images", number), content) or b"\0")
        outcomes[path] = each_reader(path)
    for k in "01":
        for split in ("train", "val"):
            (root / split / k).mkdir(parents=True, exist_ok=True)
            (root / split / k / "a.png").write_bytes(kinds[2][1])
    outcomes.update(commands(work, root, outcomes))
    yield from ((str(path.relative_to(root)), outcome) for path, outcome in outcomes.items())


def each_reader(path):
    """As `predict`, training and `prepare` read a file."""
    found = {
        attempt(lambda: read_fitted(path, SIDE, SIDE)),
        attempt(lambda: read_square(path, SIDE)),
        attempt(lambda: read_square(str(path), SIDE, path.read_bytes())),
    }
    return found.pop() if len(found) == 1 else f"not alike: {found}"


def commands(work, root, outcomes):
    """The same with the three commands and all of the images; what differs from `outcomes`, {path: outcome}."""
    run, ready = work / "run", work / "set"
    common = ("--data", root, "--skip-bad")
    for process in (
        outside(*common, "--variant", "small", "--epochs", 1, "--output", run),
        outside("prepare", *common, "--out", ready, "--size", SIDE),
    ):
        if (outcome := ended(process)) != "used":
            yield root, outcome
            return
    whole = {path for path in root.rglob("a.png") if path.parts[-3] == "train"}
    taken = {path for path, outcome in outcomes.items() if outcome == "used"} | whole
    predicting = outside("predict", "--checkpoint", run, *sorted([*outcomes, *whole]))
    out, err = predicting.communicate()
    predicted = {line for line in out.splitlines() if not line.startswith("  ")}
    loaded = set(map(str, load(root, size=SIDE, skip_bad=True).train_images.paths))
    for path in outcomes:
        if (str(path) in predicted) != (path in taken) or (str(path) in loaded) != (path in taken):
            yield path, f"taken by some: predict {str(path) in predicted}, training {str(path) in loaded}"
    if len(data.load(ready).train_labels) != len(taken):
        yield ready, f"prepare took {len(data.load(ready).train_labels)}, not {len(taken)}"
    told = err.splitlines()
    if "Traceback" in err or len(told) != len(outcomes) + len(whole) - len(taken) or not all(line.endswith(".") for line in told):
        yield run, f"predict told {len(told)} lines: {err[-300:]}"
