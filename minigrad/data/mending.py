"""Mending a finished prepared set: what is small is made again from what is there, the lists of images from the images themselves."""

import numpy as np

from minigrad.data.checks import DataError
from minigrad.data.records import SPLITS, array_file, file_digest, image_rows, labels_file, read_array, sha256
from minigrad.data.sources import find
from minigrad.files import write_bytes


def mend_rows(record, source, labels, out):
    """Make the lists of images that are missing or altered again, from the images. Raises DataError if those are others now."""
    lost = [
        split for split in SPLITS if "digests" in record and file_digest(out / f"{split}.jsonl") != record["digests"].get(f"{split}.jsonl")
    ]
    found = find(source, labels) if lost else None
    for split in lost:
        content = image_rows(found.splits[split])
        if sha256(content) != record["digests"].get(f"{split}.jsonl"):
            raise DataError(
                f"{out / split}.jsonl was damaged and cannot be made again, because some images were left out or are others now: "
                "remove the folder and prepare the images again."
            )
        write_bytes(out / f"{split}.jsonl", content, durable=True)


def mend(record, files, out, stream):
    """Make labels and mean image again where they are missing or altered; the shards have been checked. What is mended is said."""
    contents = {f"{split}-labels.npy": lambda split=split: labels_file(files[split]) for split in SPLITS}
    contents["mean.npy"] = lambda: array_file(mean_of(record, out))
    for name, content in contents.items():
        if is_right(record, files, out / name):
            continue
        content = content()
        if "digests" in record and sha256(content) != record["digests"].get(name):
            raise DataError(f"{out / name} was damaged and cannot be made again as it was: remove the folder and prepare the images again.")
        write_bytes(out / name, content, durable=True)
        print(f"{out / name} was damaged and is mended.", file=stream)


def is_right(record, files, path):
    """Whether labels or mean image are those that were written. Sets of older versions have no digests: labels are compared."""
    if "digests" in record:
        return file_digest(path) == record["digests"].get(path.name)
    try:
        if path.name == "mean.npy":
            return read_array(path, (record["side"], record["side"], 3), np.floating) is not None
        split = path.name.removesuffix("-labels.npy")
        return read_array(path, (len(files[split]),), np.integer).tolist() == [label for label, _ in files[split]]
    except DataError:
        return False


def mean_of(record, out):
    """The mean image of the training shards, summed up as when they were made."""
    side, N = record["side"], sum(shard["count"] for shard in record["splits"]["train"])
    total = np.zeros((side, side, 3))
    for shard in record["splits"]["train"]:
        with open(out / shard["file"], "rb") as file:
            while pixels := file.read(3 * side * side):
                total += np.frombuffer(pixels, np.uint8).reshape(side, side, 3)
    return (total / N).astype(np.float32)
