"""Checkpoints: all that a run needs to go on, and all that evaluation needs to know, in one safetensors file.

The arrays are stored by the names of the parameters, velocities with a prefix; everything else is JSON in the file's header. So is a
check sum of every array and of that JSON, so that a file which was altered since is noticed."""

import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from minigrad import files
from minigrad.training import fields
from minigrad.training.arrays import assign, columns_of, to_host, whole_shape
from minigrad.training.errors import TrainingError, reason

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"  # beside it: the weights alone, of the epoch with the lowest validation error
FORMAT = 3  # of the files written here, and the newest that can be read. Format 2 has no check sums, format 1 no number either
HEADER = "minigrad"  # the entry of a safetensors header that holds the metadata
SUMS = "crc32"  # the entry with the check sums: {"metadata": sum, "arrays": {name: sum}}
DTYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}  # by their names in safetensors headers
PIECE = 1 << 18  # numbers of an array that are looked at while they are in the processor's cache
VELOCITY = "velocity."
MEAN = "mean"


@dataclass(frozen=True)
class Checkpoint:
    """What is saved of a run.

    values      arrays by parameter name
    velocities  arrays by the same names; empty if there is only a network
    mean        the mean image (H, W, 3) that was subtracted, or None
    metadata    a dict of JSON types: config, position, schedule and history"""

    values: dict
    velocities: dict
    mean: np.ndarray | None
    metadata: dict


def save_checkpoint(path, checkpoint):
    """Write `checkpoint` to the safetensors file `path`, whole or not at all.

    The file is complete on the disk before it takes the place of its predecessor, which a failure leaves alone. Raises TrainingError
    with the path and the reason."""
    path = Path(path)
    tensors = checkpoint.values | {VELOCITY + name: v for name, v in checkpoint.velocities.items()}
    if checkpoint.mean is not None:
        tensors[MEAN] = checkpoint.mean
    arrays = {name: np.ascontiguousarray(to_host(array)) for name, array in tensors.items()}
    text = json.dumps(checkpoint.metadata | {"format": FORMAT})
    sums = {"metadata": zlib.crc32(text.encode()), "arrays": {name: check_sum(array) for name, array in arrays.items()}}
    try:
        with files.replacing(path, durable=True) as temporary:
            write_arrays(temporary, arrays, {HEADER: text, SUMS: json.dumps(sums)})
    except OSError as error:
        raise TrainingError(f"Could not write the checkpoint {path}: {reason(error)}.") from error


def write_arrays(path, arrays, texts):
    """Write a safetensors file: the length of its header, the header, and the arrays one after the other, those of 8 bytes a number first.

    That library's own writer makes a temporary file beside `path`, of a name that nobody can tell, which stays when it is killed."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    header, at = {"__metadata__": texts}, 0
    arrays = dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))
    for name, array in arrays.items():
        header[name] = {"dtype": names[array.dtype], "shape": array.shape, "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    content = json.dumps(header).encode()
    content += b" " * (-len(content) % 8)
    with open(path, "wb") as file:
        file.write(len(content).to_bytes(8, "little"))
        file.write(content)
        for array in arrays.values():
            file.write(array.reshape(-1).view(np.uint8))


def check_sum(array, before=0):
    """The CRC-32 of the dtype, shape and content of a contiguous array, going on from that of what came before.

    It finds what faults do to a file at a fifth of the price of a cryptographic digest, which nobody would be there to sign."""
    return zlib.crc32(array.reshape(-1).view(np.uint8), check_sum_of_nothing(array, before))


def check_sum_of_nothing(array, before=0):
    """The CRC-32 of an array's dtype and shape, which its content goes on from."""
    return zlib.crc32(f"{array.dtype.str} {array.shape}".encode(), before)


def load_checkpoint(path):
    """Read the checkpoint at `path`, a file or the folder of a run.

    Raises TrainingError if there is none, if it is of a newer format than FORMAT, if the file is cut short, no safetensors file or no
    checkpoint, if it was altered since it was written, or if it holds what no run can have written: fields of another type or range,
    arrays that are not float32 or float64, numbers that are not finite."""
    path = Path(path)
    if path.is_dir():
        path = path / CHECKPOINT
    if not path.is_file():
        raise TrainingError(f"There is no checkpoint at {path}: name a {CHECKPOINT} or the folder of a run.")
    try:
        header = read_header(path)
        metadata, sums = read_metadata(path, header.pop("__metadata__", None))
        compare_names(path, header, sums)
        with ThreadPoolExecutor(2) as threads:
            arrays = list(threads.map(lambda name: read_array(path, name, header[name], sums and sums[name]), header))
    except OSError as error:
        raise TrainingError(f"Could not read the checkpoint {path}: {reason(error)}.") from error
    tensors = dict(zip(header, arrays, strict=True))
    mean = tensors.pop(MEAN, None)
    if mean is not None and (mean.ndim != 3 or mean.shape[2] not in (1, 3) or min(mean.shape) < 1):
        raise unusable(path, f"its mean image has shape {mean.shape}, not (H, W, 3)")
    velocities = {n.removeprefix(VELOCITY): v for n, v in tensors.items() if n.startswith(VELOCITY)}
    values = {name: value for name, value in tensors.items() if not name.startswith(VELOCITY)}
    return Checkpoint(values, velocities, mean, metadata)


def read_header(path):
    """The header of a safetensors file, once that library has found no fault in it: {name: {"dtype", "shape", "data_offsets"}}, offsets in
    bytes from the start of the file. Raises TrainingError, OSError."""
    try:
        with safe_open(path, framework="np") as file:
            names = list(file.keys())
    except SafetensorError as error:
        raise TrainingError(f"{path} is cut short or is no safetensors file, so it cannot be a checkpoint ({error}).") from error
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    for name in names:
        header[name]["data_offsets"] = [8 + length + offset for offset in header[name]["data_offsets"]]
    return {name: header[name] for name in [*names, "__metadata__"] if name in header}


def read_array(path, name, entry, wanted):
    """One array, whose check sum should be `wanted` (None: it has none). Each piece is looked at while it is in the processor's cache, and
    nothing is mapped into memory: a file that is cut short meanwhile is an error, and no crash.

    Raises TrainingError if it is not float32 or float64, was altered, or holds a number that is not finite; OSError."""
    if entry["dtype"] not in DTYPES:
        raise unusable(path, f"{name} is of the type {entry['dtype']}, not float32 or float64")
    try:
        array = np.empty(entry["shape"], DTYPES[entry["dtype"]])
    except ValueError as error:  # more axes than NumPy has, or an axis of 0 beside some that are endless
        raise unusable(path, f"{name} has a shape that no array has ({error})") from None
    flat, total, finite = array.reshape(-1), check_sum_of_nothing(array), True
    with open(path, "rb", buffering=0) as file:
        file.seek(entry["data_offsets"][0])
        for i in range(0, flat.size, PIECE):
            piece = flat[i : i + PIECE]
            if file.readinto(piece.view(np.uint8)) != piece.nbytes:
                raise damaged(path, f"{name} is cut short")
            total = zlib.crc32(piece.view(np.uint8), total)
            finite = finite and bool(np.isfinite(piece.min()) and np.isfinite(piece.max()))  # a NaN is its own minimum
    if wanted not in (None, total):
        raise damaged(path, f"{name} has another check sum")
    if not finite:
        raise unusable(path, f"{name} holds numbers that are not finite")
    return array


def compare_names(path, header, sums):
    """Raises TrainingError unless a file holds the arrays that it was written with; sums: {name: check sum}, or None if it has none."""
    if sums is not None and header.keys() != sums.keys():
        name = min(header.keys() ^ sums.keys())
        raise damaged(path, f"{name} is {'missing' if name in sums else 'not one of its arrays'}")


def unusable(path, what):
    return TrainingError(f"{path} is no checkpoint that can be used: {what}.")


def damaged(path, what):
    return TrainingError(f"{path} was altered since it was written ({what}): use a copy, or another checkpoint.")


def read_metadata(path, header):
    """The metadata in a safetensors header, without the number of the format, and the check sums {name: sum}, or None if it has none."""
    try:
        metadata = json.loads(header[HEADER])
        version = metadata.pop("format", 1)
        if version > FORMAT:
            raise TrainingError(
                f"{path} is a checkpoint of format {version}, but this minigrad reads formats up to {FORMAT}: a newer one is needed."
            )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise TrainingError(
            f"{path} is a safetensors file but no checkpoint of minigrad: its header has no valid '{HEADER}' entry."
        ) from None
    sums = None
    if SUMS in header or version > 2:
        try:
            sums = json.loads(header[SUMS])
            as_written, sums = sums["metadata"] == zlib.crc32(header[HEADER].encode()), dict(sums["arrays"])
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise damaged(path, f"its header has no valid '{SUMS}' entry") from None
        if not as_written:
            raise damaged(path, f"the '{HEADER}' entry of its header has another check sum")
    try:
        fields.whole(1, FORMAT)(version, "format")
        return fields.METADATA(metadata, ""), sums
    except fields.FieldError as error:
        raise unusable(path, error) from None


def restore(checkpoint, net, optimizer=None):
    """Copy the weights of `checkpoint` into `net` and, if `optimizer` is given, its velocities.

    Where ranks share layers (minigrad/hybrid.py) each copies its own columns. Names and shapes are compared before anything is written.
    Raises TrainingError with the first that differs."""
    owned = {p.name: getattr(p, "owned", None) for p in net.parameters()}  # a network of one's own may have parameters of its own
    pairs = matched(checkpoint, "", checkpoint.values, {p.name: p.value for p in net.parameters()}, owned)
    if optimizer is not None:
        pairs += matched(checkpoint, "the velocity of ", checkpoint.velocities, velocities_of(optimizer), owned)
    for target, array in pairs:
        assign(target, array)


def velocities_of(optimizer):
    """{parameter's name: velocity}."""
    names = [parameter.name for parameter in optimizer.parameters]
    return dict(zip(names, optimizer.velocities, strict=True))


def matched(checkpoint, what, there, here, owned):
    """Pair the arrays of two dicts that must have equal names and shapes: a list of (here, there). owned: {name: the `Columns` of the
    array that are here, or None}."""
    for name in here | there:
        theirs = there[name].shape if name in there else "missing"
        ours = whole_shape(here[name], owned[name]) if name in here else "missing"
        if theirs != ours:
            known = checkpoint.metadata | checkpoint.metadata.get("config", {})
            facts = [f"variant {known['variant']}"] if "variant" in known else []
            facts += [f"{known['num_classes']} classes"] if "num_classes" in known else []
            raise TrainingError(
                f"The checkpoint{' (' + ', '.join(facts) + ')' if facts else ''} does not fit this network: "
                f"{what}{name} is {theirs} in the checkpoint and {ours} in the network."
            )
    return [(here[name], columns_of(there[name], owned[name])) for name in here]
