"""Preparing a data set: whatever lies in the source arrives once and right, is resumed, checked and mended."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from make_imagenet import UNREADABLE, class_folders, encoded, packed, picture, wnid

from minigrad import data
from minigrad.data import DataError, Loader, load, prepare, records, shards, sources
from minigrad.data.devkit import Devkit
from minigrad.data.images import read_square

ROOT = Path(__file__).parents[2]
SIZES = {"images": 50, "classes": 4, "width": 50, "height": 38, "odd": 10}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    return root, class_folders(root, **SIZES)


@pytest.fixture(scope="module")
def tars(tmp_path_factory):
    root = tmp_path_factory.mktemp("tars")
    packed(root, **SIZES)
    return root


@pytest.fixture(scope="module")
def prepared(folders, tmp_path_factory):
    """The prepared set of `folders`, and what was printed."""
    out, stream = tmp_path_factory.mktemp("sets") / "whole", io.StringIO()
    prepare(folders[0], out, side=32, skip_bad=True, workers=2, stream=stream)
    return out, stream.getvalue()


def refused(act, *words):
    with pytest.raises(DataError) as caught:
        act()
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert message.endswith(".") and "\n" not in message
    return message


def content(folder):
    """All that matters of a prepared set, to be compared."""
    record = records.read_set(folder)
    return {key: value for key, value in record.items() if key not in ("source", "name", "sha256")}, load(folder).mean.tobytes()


# ---- what comes out


def test_every_image_is_there_as_it_would_be_decoded_on_the_fly(folders, prepared):
    plain, d = load(folders[0], size=32, skip_bad=True), load(prepared[0])
    assert len(d.classes) == 4 and d.ids == d.classes == plain.classes
    for split in ("train", "val"):
        images, expected = (getattr(x, f"{split}_images") for x in (d, plain))
        np.testing.assert_array_equal(getattr(d, f"{split}_labels"), getattr(plain, f"{split}_labels"))
        assert len(images) == len(expected) == len(getattr(d, f"{split}_labels"))
        for a, b in zip(images, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(d.mean, data.mean_image(plain.train_images), rtol=1e-6)
    assert d.mean.dtype == np.float32 and not d.train_images[0].flags.writeable


def test_odd_files_are_listed_once(folders, prepared):
    kinds, text = folders[1], prepared[1]
    damaged = sum(kinds.get(kind, 0) for kind in UNREADABLE)
    assert f"Damaged, {damaged} files" in text
    assert (
        "is grey" in text
        and "CMYK" in text
        and "is PNG, despite its name, and is 16-bit grey" in text
        and "truncated" in text
        and "is empty" in text
    )
    total = len(load(prepared[0]).train_labels) + len(load(prepared[0]).val_labels)
    assert total == SIZES["images"] - damaged
    lines = [line.split(" ")[2] for line in text.splitlines() if line.startswith("  ")]
    assert len(lines) == len(set(lines)) == sum(kinds.values()) - kinds["plain"]


def test_ilsvrc_as_it_is_handed_out_gives_the_same(tars, prepared, tmp_path):
    prepare(tars, tmp_path / "set", side=32, skip_bad=True, workers=1, stream=io.StringIO())
    a, b = load(prepared[0]), load(tmp_path / "set")
    assert b.ids == a.ids and b.classes == tuple(f"thing {i}, object {i}" for i in range(4))
    for split in ("train", "val"):
        np.testing.assert_array_equal(getattr(a, f"{split}_labels"), getattr(b, f"{split}_labels"))
        for x, y in zip(getattr(a, f"{split}_images"), getattr(b, f"{split}_images"), strict=True):
            np.testing.assert_array_equal(x, y)
    names = [json.loads(line) for line in (tmp_path / "set" / "val.jsonl").read_text().splitlines()]
    assert names[0][0] == 0 and names[0][1] == "ILSVRC2012_img_val.tar" and names[0][4].startswith("ILSVRC2012_val_")


def test_a_prepared_set_feeds_a_loader(prepared):
    d = load(prepared[0])
    plain = np.stack(list(d.train_images))
    common = {"mean": d.mean, "size": 28, "shuffle": True, "augment": True, "noise": data.noise_matrix(d.colours)}
    for (x, labels), (y, again) in zip(
        Loader(d.train_images, d.train_labels, 7, workers=2, **common).batches(1),
        Loader(plain, d.train_labels, 7, **common).batches(1),
        strict=True,
    ):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(labels, again)


# ---- damaged images


def test_without_skip_bad_damaged_images_are_an_error_that_costs_nothing(folders, prepared, tmp_path):
    root, out = tmp_path / "images", tmp_path / "set"
    shutil.copytree(folders[0], root)
    message = refused(lambda: prepare(root, out, side=32, workers=1, stream=io.StringIO()), "--skip-bad", "cannot be decoded")
    damaged = sum(folders[1].get(kind, 0) for kind in UNREADABLE)
    assert message.startswith(f"{damaged} of {SIZES['images']} images") and not shards.is_prepared(out)
    for path in root.rglob("*.JPEG"):  # mended by hand
        try:
            read_square(path, 32)
        except DataError:
            path.write_bytes(encoded(picture(np.random.default_rng(0), 1, 50, 38)))
    prepare(root, out, side=32, workers=1, stream=io.StringIO())
    assert len(load(out).train_labels) + len(load(out).val_labels) == SIZES["images"]


# ---- stopped, resumed, checked


@pytest.fixture
def interrupted(folders, tmp_path):
    """Images and a set of which all is done but the end: the images, the set."""
    root, out = tmp_path / "images", tmp_path / "set"
    shutil.copytree(folders[0], root)
    refused(lambda: prepare(root, out, side=32, workers=1, stream=io.StringIO()), "--skip-bad")
    return root, out


def test_a_run_that_was_stopped_goes_on(interrupted, prepared):
    root, out = interrupted
    done = sorted(out.glob("train-*.npz"))
    times = {path: path.with_suffix(".bin").stat().st_mtime_ns for path in done}
    done[0].unlink()  # killed before its record was written
    done[1].with_suffix(".bin").write_bytes(b"half a shard")
    done[2].with_suffix(".bin").unlink()
    (out / "train-00003.bin.tmp").write_bytes(b"half")
    (out / "train-00003.123.tmp.bin").write_bytes(b"half")
    prepare(root, out, side=32, skip_bad=True, workers=2, stream=io.StringIO())
    assert content(out) == content(prepared[0])
    changed = [path.with_suffix(".bin").stat().st_mtime_ns != times[path] for path in done]
    assert changed == [True] * 3 + [False] * (len(done) - 3)  # what was done is not done again
    assert {path.suffix for path in out.iterdir()} == {".bin", ".npy", ".json", ".jsonl"}
    assert not [path.name for path in out.iterdir() if ".tmp" in path.name]


def test_a_run_that_was_killed_between_its_last_file_and_tidying_up_is_tidied_up(interrupted, prepared):
    root, out = interrupted
    needed = {path: path.read_bytes() for path in [*out.glob("*.npz"), *out.glob("plan*")]}
    prepare(root, out, side=32, skip_bad=True, workers=1, stream=io.StringIO())
    for path, whole in needed.items():
        path.write_bytes(whole)
    prepare(root, out, side=32, skip_bad=True, workers=1, stream=io.StringIO())
    assert content(out) == content(prepared[0]) and not any(path.exists() for path in needed)


def test_what_workers_of_a_killed_run_leave_meanwhile_is_removed(interrupted, prepared, monkeypatch):
    root, out = interrupted
    module = sys.modules["minigrad.data.prepare"]  # the package has a function of that name

    def late(*arguments, finish=module.finish):
        (out / "train-00001.99.tmp.bin").write_bytes(b"half")
        finish(*arguments)

    monkeypatch.setattr(module, "finish", late)
    prepare(root, out, side=32, skip_bad=True, workers=1, stream=io.StringIO())
    assert content(out) == content(prepared[0]) and not list(out.glob("*.tmp*"))


def test_a_set_that_is_finished_is_checked_and_mended(folders, prepared, tmp_path):
    out = tmp_path / "set"
    shutil.copytree(prepared[0], out)
    before = content(out)
    shard = sorted(out.glob("train-*.bin"))[2]
    whole = shard.read_bytes()
    for damage in (bytes([whole[0] ^ 1]) + whole[1:], whole[:-1]):
        shard.write_bytes(damage)
        stream = io.StringIO()
        prepare(folders[0], out, side=32, workers=1, stream=stream)
        assert shard.read_bytes() == whole and content(out) == before and "every checksum right" in stream.getvalue()


def test_a_shard_that_cannot_be_mended_is_an_error(interrupted):
    root, out = interrupted
    prepare(root, out, side=32, skip_bad=True, workers=1, stream=io.StringIO())
    (out / "val-00000.bin").unlink()
    refused(lambda: load(out), "val-00000.bin is missing", "prepare the set again")
    for path in (root / "val").rglob("*.JPEG"):
        path.write_bytes(encoded(picture(np.random.default_rng(9), 3, 50, 38)))
    refused(lambda: prepare(root, out, side=32, workers=1, stream=io.StringIO()), "val-00000.bin was damaged", "others now")


def workers_of(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(child) for child in children.read_text().split()] if children.exists() else []
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def until(happens, seconds=30):
    """Wait until happens() is true; its value."""
    deadline = time.monotonic() + seconds
    while not (value := happens()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return value


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")
@pytest.mark.parametrize("victim", ["worker", "parent"])
def test_processes_die_together_and_with_a_message(interrupted, victim):
    root, out = interrupted
    next(iter(out.glob("train-*.npz"))).unlink()
    for path in (root / "train").rglob("*.JPEG"):
        path.unlink()
        os.mkfifo(path)  # whoever opens it waits for ever
    argv = ["prepare", "--data", str(root), "--out", str(out), "--size", "32", "--skip-bad", "--workers", "2"]
    process = subprocess.Popen([sys.executable, "alexnet.py", *argv], cwd=ROOT, stderr=subprocess.PIPE)
    workers = until(lambda: workers_of(process.pid))
    assert workers
    if victim == "worker":
        os.kill(workers[0], signal.SIGKILL)
        message = process.communicate(timeout=30)[1].decode()
        assert process.returncode == 2 and "A worker process ended unexpectedly" in message.splitlines()[-1]
    else:
        process.kill()
        process.communicate(timeout=30)
    assert until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def test_a_worker_that_dies_while_tasks_are_handed_out_is_told_as_such(folders, tmp_path, monkeypatch):
    """The pool's own connection is closed then, an OSError without a number that names no file."""

    def closed(*arguments):
        raise OSError("handle is closed")

    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor.submit", closed)
    refused(lambda: prepare(folders[0], tmp_path / "set", side=32, workers=1, stream=io.StringIO()), "A worker process ended unexpectedly")


# ---- what is refused


def test_a_disk_that_is_too_small(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(0, 0, 500_000_100))
    refused(lambda: prepare(folders[0], tmp_path / "set", side=256, stream=io.StringIO()), "0.01 GB more", "0.50 GB are free", "--out")
    assert not list((tmp_path / "set").glob("*.bin"))


Disk = namedtuple("Disk", "total used free")


def test_folders_that_are_something_else(folders, prepared, tmp_path):
    def attempt(source, out, **more):
        return lambda: prepare(source, out, stream=io.StringIO(), **more)

    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    refused(attempt(folders[0], tmp_path / "full"), "full is not empty")
    refused(attempt(folders[0], prepared[0]), "begun with pixels: 32, not 256")
    refused(attempt(tmp_path, prepared[0], side=32), "begun with images from", str(tmp_path))
    refused(attempt(tmp_path / "nowhere", tmp_path / "out"), "nowhere is not a folder")
    refused(attempt(tmp_path, tmp_path / "out"), "no folder train", "one tar file")
    (tmp_path / "file").write_text("")
    refused(attempt(folders[0], tmp_path / "file"), "file", "cannot be written")


@pytest.mark.parametrize(
    "damage, words", [(b"{", "is damaged"), (b'{"format": 99}', "is of format 99"), (b"[]", "is damaged"), (b'{"format": 1}', "is damaged")]
)
def test_a_record_of_another_kind(prepared, tmp_path, damage, words):
    (tmp_path / "set.json").write_bytes(damage)
    refused(lambda: load(tmp_path), "set.json", words, "format 1")


def test_arrays_of_a_set_that_are_missing_or_wrong(prepared, tmp_path):
    out = tmp_path / "set"
    shutil.copytree(prepared[0], out)
    np.save(out / "mean.npy", np.zeros(3))
    refused(lambda: load(out), "mean.npy", "(3,)", "(32, 32, 3)")
    shutil.copy(prepared[0] / "mean.npy", out)
    labels = np.load(out / "val-labels.npy")
    np.save(out / "val-labels.npy", labels + 1)
    refused(lambda: load(out), "val-labels.npy was altered")
    record = records.read_set(out)
    older = {key: value for key, value in record.items() if key not in ("digests", "sha256")}
    (out / "set.json").write_text(json.dumps(older))
    refused(lambda: load(out), "val-labels.npy", "holds the label")
    np.save(out / "val-labels.npy", labels / 2)
    refused(lambda: load(out), "val-labels.npy", "float64")
    (out / "val-labels.npy").write_bytes(b"")
    refused(lambda: load(out), "val-labels.npy", "no NumPy array")
    (out / "train-labels.npy").unlink()
    refused(lambda: load(out), "train-labels.npy", "No such file")


# ---- ILSVRC's files


def test_labels_of_flat_validation_images(tars, tmp_path):
    """Every form the labels come in says the same."""
    root = tmp_path / "root"
    root.mkdir()
    for name in ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"):
        shutil.copy(tars / name, root)
    found = sources.find(tars)
    labels = {place.name: label for label, place in found.splits["val"]}
    ids, names = found.ids, sorted(labels)
    refused(lambda: sources.find(root), "--labels FILE", "LOC_val_solution.csv")
    forms = {
        "val.txt": "".join(f"{name} {labels[name]}\n" for name in reversed(names)),
        "LOC_val_solution.csv": "ImageId,PredictionString\n"
        + "".join(f"{Path(name).stem},{ids[labels[name]]} 1 2 3 4 {ids[0]} 5 6 7 8\n" for name in reversed(names)),
        "imagenet_2012_validation_synset_labels.txt": "".join(f"{ids[labels[name]]}\n" for name in names),
    }
    for name, text in forms.items():
        (root / name).write_text(text)
        assert sources.find(root).splits == found.splits, name
        (root / name).unlink()
        (tmp_path / "elsewhere.txt").write_text(text)
        assert sources.find(root, tmp_path / "elsewhere.txt").splits == found.splits, name
    for text, words in (
        ("", "is empty"),
        (forms["val.txt"].split("\n", 1)[1], f"says nothing of {Path(names[-1]).stem}"),
        (forms["imagenet_2012_validation_synset_labels.txt"] + "n0\n", f"{len(names) + 1} lines"),
        ("n99999999\n" * len(names), "n99999999"),
        ("7\n" * len(names), "meta.mat"),
        (forms["val.txt"].replace(" 3\n", " 4\n"), "numbered 0 to 3"),
    ):
        (root / "val.txt").write_text(text)
        refused(lambda: sources.find(root), "val.txt", words)
    refused(lambda: sources.find(root, tmp_path / "none"), "no file of labels")


def test_names_of_classes(folders, tmp_path):
    shutil.copytree(folders[0], tmp_path / "root")
    (tmp_path / "root" / "synset_words.txt").write_text(f"{wnid(0)} tench, Tinca tinca\n{wnid(2)} great white shark\n")
    assert sources.find(tmp_path / "root").names == ("tench, Tinca tinca", wnid(1), "great white shark", wnid(3))


def test_the_devkit_unpacked(tars, tmp_path):
    with tarfile.open(tars / "ILSVRC2012_devkit_t12.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
    kit = Devkit(tmp_path / "ILSVRC2012_devkit_t12" / "data")
    assert (
        kit.synsets()
        == Devkit(tars / "ILSVRC2012_devkit_t12.tar.gz").synsets()
        == {4 - i: (wnid(i), f"thing {i}, object {i}") for i in range(4)}
    )
    meta = kit.path / "meta.mat"
    for damage in (meta.read_bytes()[:300], b"not MATLAB" * 99, b""):
        meta.write_bytes(damage)
        refused(kit.synsets, "meta.mat is not")
    meta.unlink()
    refused(kit.synsets, "holds no meta.mat")


def test_a_devkit_as_matlab_writes_it(tmp_path):
    """Compressed, as the real one is."""
    scipy = pytest.importorskip("scipy.io")
    kind = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("children", object)]
    rows = [(1, "n02119789", "kit fox, Vulpes macrotis", np.zeros((1, 0))), (300, "n01440764", "tench, Tinca tinca", np.array([[7, 1000]]))]
    scipy.savemat(tmp_path / "meta.mat", {"synsets": np.array(rows, kind)[:, None]}, do_compression=True)
    assert Devkit(tmp_path).synsets() == {1: ("n02119789", "kit fox, Vulpes macrotis"), 300: ("n01440764", "tench, Tinca tinca")}


def test_tars_that_are_damaged(tars, tmp_path):
    for name in ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"):
        shutil.copytree(tars, tmp_path / name)
        path = tmp_path / name / name
        whole = path.read_bytes()
        for part in (whole[: len(whole) // 2], b"no tar" * 999, b""):
            path.write_bytes(part)
            refused(lambda root=path.parent: sources.find(root), name)
