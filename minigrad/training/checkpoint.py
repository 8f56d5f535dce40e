"""Checkpoints: all that a run needs to go on, and all that evaluation needs to know, in one safetensors file.

The arrays are stored by the names of the parameters, velocities with a prefix; everything else is JSON in the file's header."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from minigrad import files
from minigrad.training.arrays import assign, to_host
from minigrad.training.errors import TrainingError, reason

CHECKPOINT = "checkpoint.safetensors"
FORMAT = 2  # of the files written here, and the newest that can be read. Files of format 1 hold the same but no number
HEADER = "minigrad"  # the entry of a safetensors header that holds the metadata
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
    tensors = {name: np.ascontiguousarray(to_host(array)) for name, array in tensors.items()}
    header = {HEADER: json.dumps(checkpoint.metadata | {"format": FORMAT})}
    try:
        with files.replacing(path, durable=True) as temporary:
            with open(temporary, "wb") as file:
                mode = os.fstat(file.fileno()).st_mode
            save_file(tensors, temporary, metadata=header)
            os.chmod(temporary, mode)  # safetensors may have made a file that only its owner can read
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"Could not write the checkpoint {path}: {reason(error)}.") from error


def load_checkpoint(path):
    """Read the checkpoint at `path`, a file or the folder of a run.

    Raises TrainingError if there is none, if it is of a newer format than FORMAT, or if the file is cut short, no safetensors file or
    no checkpoint."""
    path = Path(path)
    if path.is_dir():
        path = path / CHECKPOINT
    if not path.is_file():
        raise TrainingError(f"There is no checkpoint at {path}: name a {CHECKPOINT} or the folder of a run.")
    try:
        with safe_open(path, framework="np") as file:
            metadata = read_metadata(path, file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except OSError as error:
        raise TrainingError(f"Could not read the checkpoint {path}: {reason(error)}.") from error
    except SafetensorError as error:
        raise TrainingError(f"{path} is cut short or is no safetensors file, so it cannot be a checkpoint ({error}).") from error
    mean = tensors.pop(MEAN, None)
    velocities = {n.removeprefix(VELOCITY): v for n, v in tensors.items() if n.startswith(VELOCITY)}
    values = {name: value for name, value in tensors.items() if not name.startswith(VELOCITY)}
    return Checkpoint(values, velocities, mean, metadata)


def read_metadata(path, header):
    """The metadata in a safetensors header, without the number of the format."""
    try:
        metadata = json.loads(header[HEADER])
        version = metadata.pop("format", 1)
        if version > FORMAT:
            raise TrainingError(
                f"{path} is a checkpoint of format {version}, but this minigrad reads formats up to {FORMAT}: a newer one is needed."
            )
        return metadata
    except (AttributeError, KeyError, TypeError, ValueError):
        raise TrainingError(
            f"{path} is a safetensors file but no checkpoint of minigrad: its header has no valid '{HEADER}' entry."
        ) from None


def restore(checkpoint, net, optimizer=None):
    """Copy the weights of `checkpoint` into `net` and, if `optimizer` is given, its velocities.

    Names and shapes are compared before anything is written. Raises TrainingError with the first that differs."""
    pairs = matched(checkpoint, "", checkpoint.values, {p.name: p.value for p in net.parameters()})
    if optimizer is not None:
        pairs += matched(checkpoint, "the velocity of ", checkpoint.velocities, velocities_of(optimizer))
    for target, array in pairs:
        assign(target, array)


def velocities_of(optimizer):
    """{parameter's name: velocity}."""
    names = [parameter.name for parameter in optimizer.parameters]
    return dict(zip(names, optimizer.velocities, strict=True))


def matched(checkpoint, what, there, here):
    """Pair the arrays of two dicts that must have equal names and shapes: a list of (here, there)."""
    for name in here | there:
        theirs, ours = (d[name].shape if name in d else "missing" for d in (there, here))
        if theirs != ours:
            known = checkpoint.metadata | checkpoint.metadata.get("config", {})
            facts = [f"variant {known['variant']}"] if "variant" in known else []
            facts += [f"{known['num_classes']} classes"] if "num_classes" in known else []
            raise TrainingError(
                f"The checkpoint{' (' + ', '.join(facts) + ')' if facts else ''} does not fit this network: "
                f"{what}{name} is {theirs} in the checkpoint and {ours} in the network."
            )
    return [(here[name], there[name]) for name in here]
