"""A prepared data set: all images as bytes, in one size, a few thousand to a file; they are mapped into memory instead of decoded.

set.json              what the set holds: classes, shards with their checksums, components of colour
train-00000.bin ...   shards: uint8 (n, side, side, 3), image after image
train-labels.npy      int64 (N,); train.jsonl: where each image came from; both for val, too
mean.npy              float32 (side, side, 3), the training images' mean"""

import json
from pathlib import Path

import numpy as np

from minigrad.data.checks import DataError

SET = "set.json"
FORMAT = 1  # of prepared sets; others are refused


class Shards:
    """The images in the files of a prepared set as a sequence: shards[i] is uint8 (side, side, 3), a view of the file.

    files: a list of (name, number of images). Raises DataError for a file that is missing or of the wrong length."""

    def __init__(self, folder, files, side):
        self.side, self.paths, counts = side, [folder / name for name, _ in files], [count for _, count in files]
        for path, count in zip(self.paths, counts, strict=True):
            expected = count * side * side * 3
            size = path.stat().st_size if path.exists() else None
            if size != expected:
                state = "is missing" if size is None else f"holds {size:,} bytes"
                raise DataError(f"{path} {state}, but {count:,} images take {expected:,}; prepare the set again, into the same folder.")
        self.starts = np.cumsum([0, *counts])
        self.maps = [None] * len(counts)

    def __len__(self):
        return int(self.starts[-1])

    def __getitem__(self, i):
        shard = int(np.searchsorted(self.starts, i, side="right")) - 1
        if self.maps[shard] is None:
            shape = -1, self.side, self.side, 3
            self.maps[shard] = np.asarray(np.memmap(self.paths[shard], np.uint8, "r")).reshape(shape)
        return self.maps[shard][i - self.starts[shard]]


def is_prepared(folder):
    """Whether `folder` holds a finished prepared set."""
    return (Path(folder) / SET).is_file()


def read_set(folder):
    """The contents of set.json, a dict. Raises DataError if it is of another format or something is missing in it."""
    path = Path(folder) / SET
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        found = f"of format {record['format']}"
        if record["format"] == FORMAT:
            if {"name", "names", "ids", "splits", "side", "colours"} <= record.keys():
                return record
            found = "damaged"
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        found = "damaged"
    raise DataError(f"{path} is {found}, but this program reads prepared sets of format {FORMAT}: prepare the images again.")


def load_prepared(folder):
    """The fields of the `Dataset` of a prepared set, a dict. Raises DataError for files that are missing or broken."""
    folder = Path(folder)
    record = read_set(folder)
    fields = {"name": record["name"], "classes": tuple(record["names"]), "ids": tuple(record["ids"])}
    for split in ("train", "val"):
        files = [(shard["file"], shard["count"]) for shard in record["splits"][split]]
        fields[f"{split}_images"] = Shards(folder, files, record["side"])
        fields[f"{split}_labels"] = read_array(folder / f"{split}-labels.npy", (len(fields[f"{split}_images"]),), np.integer)
    fields["mean"] = read_array(folder / "mean.npy", (record["side"], record["side"], 3), np.floating)
    fields["colours"] = np.array(record["colours"]["std"]), np.array(record["colours"]["directions"])
    return fields


def read_array(path, shape, kind):
    """The array in a .npy file. Raises DataError unless it has this shape and its dtype is of NumPy's `kind`, such as np.integer."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no NumPy array'}.") from None
    if array.shape != shape:
        raise DataError(f"{path} holds an array of shape {array.shape}, but {shape} is expected.")
    if not np.issubdtype(array.dtype, kind):
        raise DataError(f"{path} holds numbers of type {array.dtype}, which is none of NumPy's kind {kind.__name__}.")
    return array
