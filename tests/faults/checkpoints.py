"""Altered checkpoints: every word that reads one refuses it in a sentence. One whose field still makes sense may be taken."""

import json
import shutil
from dataclasses import replace

import numpy as np
from faults.common import MORE, WRONG, altered, inside, leaves, random, trained, with_value
from safetensors.numpy import load_file, save_file

from minigrad.training import load_checkpoint, save_checkpoint

BYTES = 200  # files whose bytes or arrays are altered, after one for each field


def cases(work, seed, first, count):
    folder, run = trained(work, "--colour-noise", "0.1")
    path, out = work / "altered.safetensors", work / "more"
    saved, content = load_checkpoint(run), (run / "checkpoint.safetensors").read_bytes()
    photo = next((folder / "val" / "dark").iterdir())
    length = int.from_bytes(content[:8], "little")
    fields = [("metadata", at) for at in leaves(saved.metadata)]
    fields += [("header", at) for at in leaves(json.loads(content[8 : 8 + length])) if len(at) > 1]
    every = [*fields, *[("bytes", ())] * BYTES]
    for number, (kind, at) in list(enumerate(every))[first : None if count is None else first + count]:
        rng = random(seed, "checkpoints", number)
        what = write(path, kind, at, rng, saved, content)
        for argv in (
            ("predict", "--checkpoint", path, photo),
            ("evaluate", "--checkpoint", path),
            ("--resume", path, "--epochs", "3", "--output", out),
            ("--checkpoint", path, "--data", folder, "--epochs", "1", "--output", out),
        ):
            outcome, _ = inside(*argv)
            if outcome == "used" and kind != "metadata" and path.read_bytes() != content:
                outcome = "SILENT: an altered file was taken"
            shutil.rmtree(out, ignore_errors=True)
            yield f"{number} {what}, {argv[0]}", outcome


def write(path, kind, at, rng, saved, content):
    """Write an altered checkpoint; returns what was done to it."""
    if kind == "metadata":  # by one who knows the check sums
        value = (*WRONG, KeyError, MORE)[int(rng.integers(len(WRONG) + 2))]
        save_checkpoint(path, replace(saved, metadata=with_value(saved.metadata, at, value)))
        return f"metadata {at}: {value!r}"
    if kind == "header":
        length = int.from_bytes(content[:8], "little")
        value = (*WRONG, KeyError, "F64", "BF16", [1] * 100, [0, 1 << 62], [0, 4])[int(rng.integers(len(WRONG) + 6))]
        text = json.dumps(with_value(json.loads(content[8 : 8 + length]), at, value)).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
        return f"header {at}: {value!r}"
    way = int(rng.integers(4))
    if way < 2:
        path.write_bytes(altered(rng, content) if way else flipped(rng, content))
        return ("a flipped bit", "bytes")[way]
    path.write_bytes(content)
    arrays = load_file(path)
    one, other = rng.choice(sorted(arrays), 2, replace=False)
    if way == 2:
        arrays[one] = arrays[one].astype(rng.choice(["float16", "float64", "int32", "uint8", "bool"]))
    else:
        arrays[one] = arrays[other] if rng.integers(2) else np.full_like(arrays[one], np.nan)
    save_file(arrays, path, metadata=metadata_of(content))
    return f"{one} as another"


def metadata_of(content):
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]


def flipped(rng, content):
    content = bytearray(content)
    content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    return content
