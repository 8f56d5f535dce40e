"""The records of a prepared set: which fields they have, of which type and range, and digests by which altered ones are noticed.

Every file that `prepare` writes about its images is read here and nowhere else."""

import hashlib
import io
import json
import math
import os
import re
from pathlib import Path, PurePosixPath

import numpy as np

from minigrad.data.checks import DataError, read_file
from minigrad.data.sources import ImageFile

SET, PLAN = "set.json", "plan.json"
MOST = 1 << 25  # bytes of set.json and plan.json: a hundred times ImageNet's, and no more than a gigabyte once it is read
FORMAT = 1  # of prepared sets; others are refused
SPLITS = ("train", "val")
ADVICE = f"this program reads prepared sets of format {FORMAT}: prepare the images again"


# ---- kinds of values: what is expected, and whether a value is that


def text(value):
    """a text"""
    return isinstance(value, str)


def texts(value):
    """a list of two texts or more"""
    return isinstance(value, list) and len(value) >= 2 and all(map(text, value))


def folder_name(value):
    """the name of a folder"""
    return text(value) and value not in ("", ".", "..") and not set(value) & set("/\0" + "\\:" * (os.name == "nt"))


def pixels(value):
    """a whole number from 1 to 10000"""
    return type(value) is int and 1 <= value <= 10_000


def digest(value):
    """64 hexadecimal digits"""
    return text(value) and re.fullmatch("[0-9a-f]{64}", value) is not None


def digests(value):
    """a digest of each file"""
    return isinstance(value, dict) and all(map(folder_name, value)) and all(map(digest, value.values()))


def numbers(value, shape):
    if not shape:
        return type(value) in (int, float) and math.isfinite(value)
    return isinstance(value, list) and len(value) == shape[0] and all(numbers(row, shape[1:]) for row in value)


def colours(value):
    """std, three numbers of at least 0, and directions, three rows of three numbers"""
    fits = isinstance(value, dict) and numbers(value.get("std"), (3,)) and numbers(value.get("directions"), (3, 3))
    return fits and min(value["std"]) >= 0


def count(value):
    """a whole number of at least 0"""
    return type(value) is int and 0 <= value < 1 << 40


def shards(value):
    """for train and val a list of shards, each with file, count and sha256"""
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(split), list) and value[split] for split in SPLITS)
        and all(
            isinstance(shard, dict)
            and shard.get("file") == f"{split}-{i:05}.bin"
            and count(shard.get("count"))
            and digest(shard.get("sha256"))
            for split in SPLITS
            for i, shard in enumerate(value[split])
        )
        and all(sum(shard["count"] for shard in value[split]) > 0 for split in SPLITS)
    )


PLAN_FIELDS = {"name": folder_name, "source": text, "side": pixels, "ids": texts, "names": texts}
SET_FIELDS = PLAN_FIELDS | {"colours": colours, "splits": shards}
LATER_FIELDS = {"digests": digests, "sha256": digest, "left": text}  # that older records lack


# ---- reading and writing


def read_set(folder):
    """The contents of set.json, a dict. Raises DataError if it is of another format or altered, naming the field."""
    return read_record(Path(folder) / SET, SET_FIELDS)


def read_plan(folder):
    """The contents of plan.json, a dict; errors as in `read_set`."""
    return read_record(Path(folder) / PLAN, PLAN_FIELDS)


def read_record(path, fields):
    try:
        record = json.loads(read_file(path, MOST))
        found = f"of format {record['format']}"
    except DataError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{path} is damaged, but {ADVICE}.") from None
    if type(record["format"]) is not int or record["format"] != FORMAT:
        raise DataError(f"{path} is {found[:60]}, but {ADVICE}.")
    for name, kind in {**fields, **{name: kind for name, kind in LATER_FIELDS.items() if name in record}}.items():
        if name not in record:
            raise DataError(f"{path} is damaged: it lacks {name}, but {ADVICE}.")
        if not kind(record[name]):
            raise DataError(
                f"{path} is damaged: {name} is {brief(record[name])}, but expected is {kind.__doc__}; prepare the images again."
            )
    if len(record["ids"]) != len(record["names"]) or len(set(record["ids"])) != len(record["ids"]):
        raise DataError(f"{path} is damaged: ids and names are not one for each class; prepare the images again.")
    if ("digests" in record) != ("sha256" in record) or record.get("sha256", "") not in ("", digest_of(record)):
        raise DataError(f"{path} is damaged: it was altered after it was written; prepare the images again.")
    return record


def brief(value):
    value = json.dumps(value)
    return value if len(value) <= 40 else value[:37] + "..."


def digest_of(record):
    """The SHA-256 of a record without its own, in whatever order and layout it is written."""
    return sha256(json.dumps({name: record[name] for name in record if name != "sha256"}, sort_keys=True).encode())


def signed(record):
    """A record with its digest."""
    return {**record, "sha256": digest_of(record)}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def check_digest(folder, name, record, content):
    """Raise DataError if the `content` of the file `name` in `folder` is not that of which the record has the digest."""
    if "digests" in record and record["digests"].get(name) != sha256(content):
        raise DataError(f"{Path(folder) / name} was altered or damaged; prepare the set again, into the same folder, and it is mended.")


def image_rows(files):
    """The bytes of a .jsonl file of [(label, ImageFile), ...]: where each image came from."""
    return b"".join(json.dumps([label, *image]).encode() + b"\n" for label, image in files)


def read_image_rows(folder, name, record):
    """[(label, ImageFile), ...] of a .jsonl file. Raises DataError if it is damaged, naming the line."""
    path = Path(folder) / name
    content = read_file(path)
    check_digest(folder, name, record, content)
    files, classes = [], len(record["ids"])
    for number, line in enumerate(content.splitlines(), 1):
        try:
            label, *image = json.loads(line)
            files.append((label, ImageFile(*image)))
            fits = type(label) is int and 0 <= label < classes and is_place(files[-1][1])
        except (ValueError, TypeError, RecursionError):
            fits = False
        if not fits:
            raise DataError(
                f"{path} is damaged: line {number:,} is no label below {classes} and the place of an image; name another --out."
            )
    if not files:
        raise DataError(f"{path} is damaged: it names no images; name another --out.")
    return files


def is_place(image):
    """Whether an ImageFile names a file below its source, and bytes in it or all of it."""
    if not isinstance(image.path, str) or "\0" in image.path or image.path.startswith("/") or ".." in PurePosixPath(image.path).parts:
        return False
    in_tar = [image.offset, image.size, image.name]
    return in_tar == [None] * 3 or (count(image.offset) and count(image.size) and text(image.name))


def read_array(path, shape, kind, record=None):
    """The array in a .npy file. Raises DataError unless it has this shape, its dtype is of NumPy's `kind`, such as np.integer, its numbers
    are finite, and its digest is that in `record`."""
    content = read_file(path, 1 << 30)
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
        found = f"an array of shape {array.shape}"
    except Exception:  # a header that is altered fails in many ways
        raise DataError(f"{path} cannot be read: it is no NumPy array.") from None
    if array.shape != shape:
        raise DataError(f"{path} holds {found}, but {shape} is expected.")
    if not np.issubdtype(array.dtype, kind):
        raise DataError(f"{path} holds numbers of type {array.dtype}, which is none of NumPy's kind {kind.__name__}.")
    if not np.isfinite(array).all():
        raise DataError(f"{path} holds numbers that are not finite.")
    if record is not None:
        check_digest(path.parent, path.name, record, content)
    return array


def read_report(path, side, files):
    """The report of a shard and the sums over its pixels, (dict, total, moment), or None if the file is damaged: then the shard is made
    again. files: the number of image files that it was made of."""
    try:
        content = read_file(path, 1 << 30)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            total, moment, report = arrays["total"], arrays["moment"], json.loads(str(arrays["report"]))
        kept = report["kept"]
        fits = (
            total.shape == (side, side, 3)
            and total.dtype == np.uint32
            and moment.shape == (3, 3)
            and moment.dtype == np.float64
            and np.isfinite(moment).all()
            and report["file"] == path.with_suffix(".bin").name
            and digest(report["sha256"])
            and all(isinstance(report[key], list) and all(map(text, report[key])) for key in ("bad", "remarks"))
            and all(type(i) is int and 0 <= i < files for i in kept)
            and kept == sorted(set(kept))
            and report["count"] == len(kept) == files - len(report["bad"])
        )
    except Exception:
        return None
    return (report, total, moment) if fits else None


def array_file(array):
    """The bytes of a .npy file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def labels_file(files):
    return array_file(np.array([label for label, _ in files], np.int64))


def file_digest(path):
    """The SHA-256 of a file, or None if there is no such file."""
    if not path.exists():
        return None
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
