"""A prepared data set: all images as bytes, in one size, a few thousand to a file; they are read instead of decoded.

set.json              what the set holds: classes, shards with their checksums, components of colour, digests of the files below
train-00000.bin ...   shards: uint8 (n, side, side, 3), image after image
train-labels.npy      int64 (N,); train.jsonl: where each image came from; both for val, too
mean.npy              float32 (side, side, 3), the training images' mean"""

import os
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from minigrad.data.checks import DataError, read_file
from minigrad.data.records import SET, check_digest, read_array, read_set
from minigrad.names import one_name

OPEN = 64  # shards that are open at a time; some systems allow a process 256 files


class Shards:
    """The images in the files of a prepared set as a sequence: shards[i] is uint8 (side, side, 3), read-only.

    files: a list of (name, number of images). Raises DataError for a file that is missing or of the wrong length, also if it is cut short
    later: images are read, not mapped into memory, where that would end the process."""

    def __init__(self, folder, files, side):
        self.side, self.paths, counts = side, [folder / name for name, _ in files], [count for _, count in files]
        self.bytes = side * side * 3
        for path, count in zip(self.paths, counts, strict=True):
            expected = count * self.bytes
            size = path.stat().st_size if path.is_file() else None
            if size != expected:
                state = "is missing" if size is None else f"holds {size:,} bytes"
                raise DataError(f"{path} {state}, but {count:,} images take {expected:,}; prepare the set again, into the same folder.")
        self.starts = np.cumsum([0, *counts])
        self.opened = lru_cache(OPEN)(Opened)

    def __len__(self):
        return int(self.starts[-1])

    def __getitem__(self, i):
        shard = int(np.searchsorted(self.starts, i, side="right")) - 1
        content = self.opened(self.paths[shard]).read(int(i - self.starts[shard]) * self.bytes, self.bytes)
        if len(content) != self.bytes:
            raise DataError(f"{self.paths[shard]} was cut short while it was read; prepare the set again, into the same folder.")
        return np.frombuffer(content, np.uint8).reshape(self.side, self.side, 3)


class Opened:
    """A file that several threads read at once. It is closed when nobody holds it any more: a thread may still read from one that has
    made room for another."""

    def __init__(self, path):
        self.path, self.lock = path, Lock()
        try:
            self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as error:
            self.descriptor = None
            raise DataError(f"{path} cannot be read: {error.strerror}.") from None

    def read(self, start, size):
        """The bytes from number `start` on, `size` of them unless the file ends before."""
        try:
            if hasattr(os, "pread"):
                return os.pread(self.descriptor, size, start)
            with self.lock:  # Windows: the position belongs to the file
                os.lseek(self.descriptor, start, os.SEEK_SET)
                return os.read(self.descriptor, size)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}.") from None

    def __del__(self):
        if self.descriptor is not None:
            os.close(self.descriptor)


def is_prepared(folder):
    """Whether `folder` holds a finished prepared set."""
    return (Path(folder) / SET).is_file()


def load_prepared(folder):
    """The fields of the `Dataset` of a prepared set, a dict. What is small is checked whole, of shards the length.

    Raises DataError for files that are missing, broken or altered."""
    folder = Path(folder)
    record = read_set(folder)
    fields = {"name": one_name(record["name"]), "classes": tuple(map(one_name, record["names"])), "ids": tuple(record["ids"])}
    for split in ("train", "val"):
        files = [(shard["file"], shard["count"]) for shard in record["splits"][split]]
        fields[f"{split}_images"] = Shards(folder, files, record["side"])
        shape = (len(fields[f"{split}_images"]),)
        fields[f"{split}_labels"] = read_array(folder / f"{split}-labels.npy", shape, np.integer, record)
        if "digests" in record:
            name = f"{split}.jsonl"
            check_digest(folder, name, record, read_file(folder / name))
    fields["mean"] = read_array(folder / "mean.npy", (record["side"], record["side"], 3), np.floating, record)
    fields["colours"] = np.array(record["colours"]["std"], float), np.array(record["colours"]["directions"], float)
    return fields
