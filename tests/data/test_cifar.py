"""CIFAR-10 and CIFAR-100: both versions of their archives, and no pickle that runs code."""

import pickle
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from refused import refused

from minigrad.data import DataError, cifar, load

BATCHES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
ANIMALS = "airplane automobile bird cat deer dog frog horse ship truck".split()


def cifar_arrays(rng):
    """{batch: (images (n, 32, 32, 3), labels)}, n different for each."""
    return {name: (rng.integers(0, 256, (n, 32, 32, 3), np.uint8), rng.integers(0, 10, n)) for n, name in enumerate(BATCHES, 1)}


def planes(images):
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), 3072)


def write_cifar_binary(folder, arrays):
    for name, (images, labels) in arrays.items():
        records = np.concatenate([labels[:, None].astype(np.uint8), planes(images)], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())


def write_cifar_python(folder, arrays, protocol=2, keys=bytes, order="C"):
    for name, (images, labels) in arrays.items():
        batch = {"data": np.asarray(planes(images), order=order), "labels": labels.tolist(), "filenames": ["a.png"] * len(labels)}
        if keys is bytes:
            batch = {key.encode(): value for key, value in batch.items()}
        (folder / name).write_bytes(pickle.dumps(batch, protocol))


def check_cifar(d, arrays):
    train = [arrays[name] for name in BATCHES[:5]]
    np.testing.assert_array_equal(d.train_images, np.concatenate([images for images, _ in train]))
    np.testing.assert_array_equal(d.train_labels, np.concatenate([labels for _, labels in train]))
    np.testing.assert_array_equal(d.val_images, arrays["test_batch"][0])
    np.testing.assert_array_equal(d.val_labels, arrays["test_batch"][1])
    assert d.train_labels.dtype == d.val_labels.dtype == np.int64 and d.train_images.dtype == np.uint8
    assert d.name == "cifar10" and d.classes == tuple(ANIMALS) and d.train_images.flags.c_contiguous


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-bin"])
def test_cifar_binary(tmp_path, rng, inside):
    arrays, folder = cifar_arrays(rng), tmp_path / inside
    folder.mkdir(exist_ok=True)
    write_cifar_binary(folder, arrays)
    check_cifar(load(f"cifar10:{tmp_path}"), arrays)
    (folder / "batches.meta.txt").write_text("\n".join(reversed(ANIMALS)) + "\n\n")
    assert load(f"cifar10:{tmp_path}").classes == tuple(reversed(ANIMALS))


@pytest.mark.parametrize("kind, short", [("cifar10", "data_batch_1"), ("cifar100", "train"), ("cifar100", "test")])
def test_a_file_of_cifar_that_ends_between_two_images(tmp_path, rng, monkeypatch, kind, short):
    if kind == "cifar10":
        write_cifar_binary(tmp_path, cifar_arrays(rng))
        whole = {**dict.fromkeys(BATCHES, 2), "data_batch_1": 6}
    else:
        write_cifar100(tmp_path, rng, "binary")
        whole = {"train": 7, "test": 3} | {short: 8}
    monkeypatch.setitem(cifar.ARCHIVES, kind, replace(cifar.ARCHIVES[kind], images=whole))
    with pytest.raises(DataError, match=rf"{short}.bin is cut off: it holds \d images, not {whole[short]}"):
        load(f"{kind}:{tmp_path}")


FINE = [f"fine {i}" for i in range(100)]


def write_cifar100(folder, rng, version, train=7, test=3):
    """An archive of CIFAR-100; returns what is in it, {"train": (images, labels), ...}. Superclasses are written, too, all of them 3."""
    arrays = {
        name: (rng.integers(0, 256, (n, 32, 32, 3), np.uint8), rng.integers(20, 100, n)) for name, n in (("train", train), ("test", test))
    }
    for name, (images, labels) in arrays.items():
        coarse = np.full(len(labels), 3)
        if version == "binary":
            records = np.concatenate([np.stack([coarse, labels], axis=1).astype(np.uint8), planes(images)], axis=1)
            (folder / f"{name}.bin").write_bytes(records.tobytes())
        else:
            batch = {b"data": planes(images), b"fine_labels": labels.tolist(), b"coarse_labels": coarse.tolist(), b"filenames": []}
            (folder / name).write_bytes(pickle.dumps(batch, 2))
    if version == "binary":
        (folder / "fine_label_names.txt").write_text("\n".join(name.replace(" ", "_") for name in FINE) + "\n")
    else:
        names = {b"fine_label_names": [name.encode() for name in FINE], b"coarse_label_names": [b"animals"] * 20}
        (folder / "meta").write_bytes(pickle.dumps(names, 2))
    return arrays


@pytest.mark.parametrize("version", ["binary", "python"])
@pytest.mark.parametrize("inside", [True, False])
def test_cifar100_has_the_fine_classes(tmp_path, rng, version, inside):
    folder = tmp_path / f"cifar-100-{version}" if inside else tmp_path
    folder.mkdir(exist_ok=True)
    arrays = write_cifar100(folder, rng, version)
    d = load(f"cifar100:{tmp_path}")
    for name, images, labels in (("train", d.train_images, d.train_labels), ("test", d.val_images, d.val_labels)):
        np.testing.assert_array_equal(images, arrays[name][0])
        np.testing.assert_array_equal(labels, arrays[name][1])
    assert d.name == "cifar100" and d.classes == tuple(name.replace(" ", "_" if version == "binary" else " ") for name in FINE)


def test_cifar100_without_its_names_or_files(tmp_path, rng):
    refused(lambda: load(f"cifar100:{tmp_path}"), "no CIFAR-100", "train.bin and test.bin", "cifar-100-python")
    write_cifar100(tmp_path, rng, "binary")
    (tmp_path / "fine_label_names.txt").unlink()
    refused(lambda: load(f"cifar100:{tmp_path}"), "fine_label_names.txt", "No such file")
    refused(lambda: load(f"cifar10:{tmp_path}"), "no CIFAR-10")
    (tmp_path / "fine_label_names.txt").write_text("a b\n")
    refused(lambda: load(f"cifar100:{tmp_path}"), "train.bin", "2 classes")


@pytest.mark.parametrize("protocol", [0, 2, 3, 4])
@pytest.mark.parametrize("keys, order, inside", [(bytes, "C", "cifar-10-batches-py"), (str, "F", "")])
def test_cifar_python(tmp_path, rng, protocol, keys, order, inside):
    arrays, folder = cifar_arrays(rng), tmp_path / inside
    folder.mkdir(exist_ok=True)
    write_cifar_python(folder, arrays, protocol, keys, order)
    check_cifar(load(f"cifar10:{tmp_path}"), arrays)
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [name.encode() for name in ANIMALS[::-1]]}, protocol))
    assert load(f"cifar10:{tmp_path}").classes == tuple(ANIMALS[::-1])


def test_cifar_of_python_2(tmp_path, rng):
    """The official files were written by Python 2, whose strings are bytes: opcode by opcode as they are."""
    arrays = cifar_arrays(rng)
    for name, (images, labels) in arrays.items():
        raw = planes(images).tobytes()
        array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR(I1\n(I%d\nI3072\nt" % len(labels)
        dtype = b"cnumpy\ndtype\n(U\x02u1I0\nI1\ntR(I3\nU\x01|NNNI-1\nI-1\nI0\ntb"
        numbers = b"".join(b"I%d\n" % label for label in labels)
        content = array + dtype + b"I00\nT" + struct.pack("<I", len(raw)) + raw + b"tb"
        (tmp_path / name).write_bytes(b"\x80\x02}(U\x04data" + content + b"U\x06labels](" + numbers + b"eu.")
    check_cifar(load(f"cifar10:{tmp_path}"), arrays)


class Calls:
    """Pickled, a request to call a function when the pickle is read."""

    def __init__(self, function, *arguments):
        self.request = function, arguments

    def __reduce__(self):
        return self.request


def touch(path):
    Path(path).touch()


@pytest.mark.parametrize("function", [touch, exec, np.fromfile, np.load], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["data_batch_3", "batches.meta"])
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path, rng, function, name):
    write_cifar_python(tmp_path, cifar_arrays(rng))
    trace = tmp_path / "trace"
    argument = f"open({str(trace)!r}, 'w').close()" if function is exec else str(trace)
    bomb = pickle.dumps({b"data": Calls(function, argument)}, 2)
    if function in (touch, exec):
        pickle.loads(bomb)  # so it would be, if read carelessly
        assert trace.exists()
        trace.unlink()
    (tmp_path / name).write_bytes(bomb)
    refused(lambda: load(f"cifar10:{tmp_path}"), name, f".{function.__name__}", "only arrays of numbers")
    assert not trace.exists()


def test_a_pickle_gets_no_codec_but_latin1(tmp_path, rng):
    write_cifar_python(tmp_path, cifar_arrays(rng))
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR.")
    refused(lambda: load(f"cifar10:{tmp_path}"), "data_batch_1", "rot13")


@pytest.mark.parametrize(
    "batch, words",
    [
        ([1, 2], ("data_batch_2", "cannot be read")),
        ({}, ("data_batch_2", "(N, 3072)")),
        ({"data": np.zeros((2, 3072), np.uint8)}, ("data_batch_2", "N integers")),
        ({"data": np.zeros((2, 3072), np.float32), "labels": [0, 1]}, ("data_batch_2", "(N, 3072)")),
        ({"data": np.zeros((2, 3072), np.int8), "labels": [0, 1]}, ("data_batch_2", "(N, 3072)")),
        ({"data": np.zeros((2, 3071), np.uint8), "labels": [0, 1]}, ("data_batch_2", "(N, 3072)")),
        ({"data": np.zeros(3072, np.uint8), "labels": [0]}, ("data_batch_2", "(N, 3072)")),
        ({"data": [[0] * 3072], "labels": [0]}, ("data_batch_2", "(N, 3072)")),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0, "1"]}, ("data_batch_2", "N integers")),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1, 2]}, ("data_batch_2", "2 images", "3 labels")),
        ({"data": np.zeros((0, 3072), np.uint8), "labels": []}, ("data_batch_2", "no images")),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0, -1]}, ("data_batch_2", "the label -1", "0 to 9")),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 10**30]}, ("data_batch_2", f"the label {10**30}")),
    ],
)
def test_cifar_pickles_that_are_wrong(tmp_path, rng, batch, words):
    write_cifar_python(tmp_path, cifar_arrays(rng))
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps(batch, 3))
    refused(lambda: load(f"cifar10:{tmp_path}"), *words)


def test_cifar_pickles_that_are_cut_off(tmp_path, rng):
    write_cifar_python(tmp_path, cifar_arrays(rng))
    path = tmp_path / "data_batch_5"
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:1000], b"", b"nonsense"):
        path.write_bytes(content)
        refused(lambda: load(f"cifar10:{tmp_path}"), "data_batch_5 cannot be read")
    path.write_bytes(whole)
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({"label_names": 10}, 2))
    refused(lambda: load(f"cifar10:{tmp_path}"), "batches.meta", "label_names")


def test_cifar_files_that_are_missing_or_wrong(tmp_path, rng):
    refused(lambda: load(f"cifar10:{tmp_path}"), str(tmp_path), "data_batch_1.bin", "test_batch.bin", "cifar-10-batches-py")
    refused(lambda: load("cifar10:nowhere"), "nowhere is not a folder")
    write_cifar_binary(tmp_path, cifar_arrays(rng))
    path = tmp_path / "data_batch_4.bin"
    whole = path.read_bytes()
    path.unlink()
    refused(lambda: load(f"cifar10:{tmp_path}"), "data_batch_4.bin", "No such file")
    path.write_bytes(whole[:-1])
    refused(lambda: load(f"cifar10:{tmp_path}"), "data_batch_4.bin", f"{4 * 3073 - 1} bytes", "no multiple of 3073")
    path.write_bytes(b"")
    refused(lambda: load(f"cifar10:{tmp_path}"), "data_batch_4.bin", "no images")
    path.write_bytes(b"\x0a" + whole[1:])
    refused(lambda: load(f"cifar10:{tmp_path}"), "data_batch_4.bin", "the label 10", "10 classes", "0 to 9")
