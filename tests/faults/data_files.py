"""Altered files of data: every field of every JSON with every wrong value, and bytes of all other files, those of prepared sets, of IDX, of
CIFAR-10 and of labels. What can be mended by `prepare` is the same bytes again."""

import io
import json
import pickle
import shutil
import struct

import numpy as np
from faults.common import WRONG, altered, attempt, contents, leaves, random, with_value
from make_imagenet import class_folders

from minigrad.data import load, prepare, records, sources
from minigrad.data.prepare import planned

BYTES = 100  # files of each kind whose bytes are altered
VALUES = (*WRONG, KeyError)


def cases(work, seed, first, count):
    root, ready = work / "images", work / "set"
    class_folders(root, images=40, classes=2, width=40, height=36, odd=0)
    prepare(root, ready, side=16, workers=1, stream=io.StringIO())
    every = [
        *fields_of_a_set(ready),
        *fields_of_a_plan(work / "begun", root),
        *fields_of_a_report(work / "report"),
        *bytes_of_a_set(seed, root, ready),
        *bytes_of_older_sets(seed, work, root),
        *bytes_of_labels(seed, work / "flat", root),
    ]
    for name, case in every[first : None if count is None else first + count]:
        yield name, case()


# ---- every field of every JSON


def fields_of_a_set(ready):
    """Of set.json as it is; with a digest that is right, by one who knows it; and without, as older versions wrote it."""
    record = records.read_set(ready)
    older = {key: value for key, value in record.items() if key not in ("digests", "sha256")}

    def case(change, written):
        whole = (ready / records.SET).read_bytes()
        try:
            (ready / records.SET).write_text(json.dumps(written))
            outcome = attempt(lambda: list(load(ready).train_images))
        finally:
            (ready / records.SET).write_bytes(whole)
        return "SILENT" if outcome == "used" and change == "as it is" else outcome

    for change, original in (("as it is", record), ("signed", record), ("older", older)):
        for at in leaves(original):
            for value in VALUES:
                written = with_value(original, at, value)
                if repr(written) == repr(original) or (at[0] == "sha256" and value is KeyError):
                    continue
                if change == "signed":
                    written = records.signed({key: item for key, item in written.items() if key != "sha256"})
                yield f"set.json {change} {at}: {value!r}", lambda change=change, written=written: case(change, written)


def fields_of_a_plan(begun, root):
    """Of plan.json and of the lists beside it, without digests."""
    found = sources.find(root)
    begun.mkdir()
    plan = {"format": 1, "name": "images", "source": str(root.resolve()), "side": 16, "ids": list(found.ids), "names": list(found.names)}
    rows = {f"plan-{split}.jsonl": records.image_rows(files) for split, files in found.splits.items()}

    def case(written, more=b""):
        (begun / "plan.json").write_text(json.dumps(written))
        for name, content in rows.items():
            (begun / name).write_bytes(more + content)
        return attempt(lambda: planned(root, begun, 16, None))

    for at in leaves(plan):
        for value in VALUES:
            yield f"plan.json {at}: {value!r}", lambda at=at, value=value: case(with_value(plan, at, value))
    row = [0, "train/a.jpg", 512, 100, "a.jpg"]
    for i in range(len(row)):
        for value in WRONG:
            changed = json.dumps([*row[:i], value, *row[i + 1 :]]).encode() + b"\n"
            yield f"plan-train.jsonl {i}: {value!r}", lambda changed=changed: case(plan, changed)


def fields_of_a_report(folder):
    """Of what is kept of a shard until the set is finished. What is wrong there is made again, so it is never refused."""
    folder.mkdir()
    total, moment = np.zeros((16, 16, 3), np.uint32), np.zeros((3, 3))
    report = {"file": "train-00000.bin", "count": 2, "sha256": "0" * 64, "bad": ["a"], "remarks": ["b"], "kept": [0, 2]}

    def case(written, at, value):
        path = folder / "train-00000.npz"
        np.savez(path, total=total, moment=moment, report=json.dumps(written))
        found = []
        outcome = attempt(lambda: found.append(records.read_report(path, 16, 3)))
        return "refused" if outcome == "used" and found == [None] else outcome

    for at in leaves(report):
        for value in VALUES:
            yield f"report {at}: {value!r}", lambda at=at, value=value: case(with_value(report, at, value), at, value)


# ---- bytes


def bytes_of_a_set(seed, root, ready):
    """A file of a prepared set that is altered is refused; `prepare` mends it or says why it cannot."""
    whole = contents(ready)
    names = sorted(whole)

    def case(number):
        rng, name = random(seed, "set", number), names[number % len(names)]
        changed = altered(rng, whole[name])
        (ready / name).write_bytes(changed)
        try:
            outcome = attempt(lambda: list(load(ready).train_images))
            if outcome == "used" and changed != whole[name] and not same_record(name, changed, whole) and not name.endswith(".bin"):
                return "SILENT"
            mended = attempt(lambda: prepare(root, ready, side=16, workers=1, stream=io.StringIO()))
            if mended == "used" and {n: c for n, c in contents(ready).items() if n != records.SET} != {
                n: c for n, c in whole.items() if n != records.SET
            }:
                return "SILENT: mended to something else"
            return outcome if mended in ("used", "refused") else mended
        finally:
            for path in ready.iterdir():
                path.unlink()
            for n, content in whole.items():
                (ready / n).write_bytes(content)

    return [(f"bytes of {names[i % len(names)]}, {i}", lambda i=i: case(i)) for i in range(BYTES)]


def same_record(name, changed, whole):
    """Whether set.json says the same in other bytes (a blank more)."""
    try:
        return name == records.SET and json.loads(changed) == json.loads(whole[name])
    except ValueError:
        return False


def bytes_of_older_sets(seed, work, root):
    """IDX files and CIFAR-10's, which have no digests."""
    folders = {"fashion-mnist": idx_folder(work / "idx"), "cifar10": cifar_folder(work / "cifar")}

    def case(number):
        rng, (kind, folder) = random(seed, "older", number), list(folders.items())[number % 2]
        names = sorted(folder.iterdir())
        path = names[int(rng.integers(len(names)))]
        whole = path.read_bytes()
        path.write_bytes(altered(rng, whole))
        try:
            return attempt(lambda: load(f"{kind}:{folder}"))
        finally:
            path.write_bytes(whole)

    return [(f"bytes of {list(folders)[i % 2]}, {i}", lambda i=i: case(i)) for i in range(BYTES)]


def idx_folder(folder):
    folder.mkdir()
    for split, N in (("train", 6), ("t10k", 3)):
        (folder / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, N, 28, 28) + bytes(N * 784))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, N) + bytes(N))
    return folder


def cifar_folder(folder):
    folder.mkdir()
    batch = {b"data": np.zeros((4, 3072), np.uint8), b"labels": [0, 1, 2, 3]}
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        (folder / name).write_bytes(pickle.dumps(batch, protocol=i % 5))
    return folder


def bytes_of_labels(seed, flat, root):
    """val.txt of flat validation images, and LOC_synset_mapping.txt beside it. What is taken has a label for every image."""
    shutil.copytree(root, flat)
    for i, path in enumerate(sorted((flat / "val").rglob("*.JPEG"))):
        path.rename(flat / "val" / f"{i}.JPEG")
    for path in list((flat / "val").iterdir()):
        if path.is_dir():
            path.rmdir()
    images = sorted((flat / "val").iterdir())
    lines = {"val.txt": "".join(f"{path.name} {i % 2}\n" for i, path in enumerate(images)).encode()}
    lines["LOC_synset_mapping.txt"] = "".join(f"{path.name} tench, Tinca\n" for path in sorted((flat / "train").iterdir())).encode()

    def find():
        if len(sources.find(flat).splits["val"]) != len(images):
            raise AssertionError("an image was left out")

    def case(number):
        for name, content in lines.items():
            (flat / name).write_bytes(content)
        name = list(lines)[number % 2]
        (flat / name).write_bytes(altered(random(seed, "labels", number), lines[name]))
        return attempt(find)

    return [(f"bytes of labels, {i}", lambda i=i: case(i)) for i in range(BYTES)]
