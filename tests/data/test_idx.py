"""IDX files: read as they are, plain or zipped, and refused when anything in them is wrong."""

import gzip
import struct

import numpy as np
import pytest
from refused import refused

from minigrad.data import load

IDX = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def idx(array):
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def idx_arrays(rng):
    images = [rng.integers(0, 256, (n, 5, 7), np.uint8) for n in (6, 3)]
    return [images[0], np.arange(6, dtype=np.uint8), images[1], np.array([9, 0, 9], np.uint8)]


def write_idx(folder, arrays, separator="-", zipped=False):
    for name, array in zip(IDX, arrays, strict=True):
        content = idx(array)
        path = folder / (name.replace("-idx", separator + "idx") + "-ubyte" + (".gz" if zipped else ""))
        path.write_bytes(gzip.compress(content) if zipped else content)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("separator", "-.")
def test_idx_files(tmp_path, rng, separator, zipped):
    arrays = idx_arrays(rng)
    write_idx(tmp_path, arrays, separator, zipped)
    d = load(f"fashion-mnist:{tmp_path}")
    np.testing.assert_array_equal(d.train_images, arrays[0][..., None])
    np.testing.assert_array_equal(d.train_labels, arrays[1])
    np.testing.assert_array_equal(d.val_images, arrays[2][..., None])
    np.testing.assert_array_equal(d.val_labels, arrays[3])
    assert d.train_labels.dtype == np.int64 and d.train_images.dtype == np.uint8
    assert d.name == "fashion-mnist" and d.classes == load().classes


def test_idx_files_that_are_missing(tmp_path, rng):
    refused(lambda: load(f"fashion-mnist:{tmp_path}"), str(tmp_path), "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte", ".gz")
    write_idx(tmp_path, idx_arrays(rng))
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    refused(lambda: load(f"fashion-mnist:{tmp_path}"), "does not hold t10k-images-idx3-ubyte")
    refused(lambda: load(f"fashion-mnist:{tmp_path / 'nowhere'}"), "nowhere is not a folder")


@pytest.mark.parametrize(
    "name, change, words",
    [
        ("train-images-idx3", lambda b: b[:-1], ("cut off", "holds 225 bytes", "6 x 5 x 7", "take 226")),
        ("train-images-idx3", lambda b: b[:9], ("cut off", "holds 9 bytes", "header alone has 16")),
        ("t10k-labels-idx1", lambda b: b"", ("cut off", "holds 0 bytes", "header alone has 8")),
        ("t10k-labels-idx1", lambda b: b + b"\0", ("too long", "holds 12 bytes", "take 11")),
        ("train-labels-idx1", lambda b: b"\0\0\x08\x03" + b[4:], ("0x00000803", "starts with 0x00000801")),
        ("t10k-images-idx3", lambda b: b"\x89PNG" + b[4:], ("0x89504e47", "starts with 0x00000803")),
        ("train-images-idx3", lambda b: idx(np.zeros((0, 5, 7), np.uint8)), ("no data", "0 x 5 x 7")),
        ("train-images-idx3", lambda b: struct.pack(">4I", 0x803, *[2**32 - 1] * 3), ("cut off", str((2**32 - 1) ** 3 + 16))),
        ("train-labels-idx1", lambda b: idx(np.zeros(5, np.uint8)), ("6 images", "5 labels", "train-images-idx3")),
        ("t10k-labels-idx1", lambda b: idx(np.array([0, 10, 3], np.uint8)), ("the label 10", "10 classes", "0 to 9")),
        ("t10k-images-idx3", lambda b: idx(np.zeros((3, 7, 7), np.uint8)), ("two sizes", "(5, 7)", "(7, 7)")),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files_that_are_wrong(tmp_path, rng, name, change, words, zipped):
    write_idx(tmp_path, idx_arrays(rng), zipped=zipped)
    path = tmp_path / f"{name}-ubyte{'.gz' if zipped else ''}"
    content = path.read_bytes()
    path.write_bytes(gzip.compress(change(gzip.decompress(content))) if zipped else change(content))
    refused(lambda: load(f"fashion-mnist:{tmp_path}"), str(tmp_path), *words)


def test_gzip_files_that_are_cut_off_or_broken(tmp_path, rng):
    write_idx(tmp_path, idx_arrays(rng), zipped=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(lambda: load(f"fashion-mnist:{tmp_path}"), path.name, "is cut off", "226")
    path.write_bytes(whole[:40] + bytes(20) + whole[60:])
    refused(lambda: load(f"fashion-mnist:{tmp_path}"), path.name, "no sound gzip file")
    path.write_bytes(gzip.decompress(whole))
    refused(lambda: load(f"fashion-mnist:{tmp_path}"), path.name, "no sound gzip file")
