"""Data sets, photographs and the loader: what is read, what is refused and in which words, and which views an epoch shows."""

import ast
import gzip
import io
import pickle
import struct
import threading
import time
import weakref
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigrad import data
from minigrad.data import DataError, Folder, Loader, datasets, fit, load, mean_image, read_image, synthetic
from minigrad.data.ahead import ahead

DATA = Path(data.__file__).parent


def refused(act, *words):
    """Assert that `act` raises DataError with all the words, in one sentence of one line."""
    with pytest.raises(DataError) as caught:
        act()
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert message.endswith(".") and "\n" not in message and ". " not in message, message


def data_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("minigrad-data")]


# ---- Embedded and made-up images


def test_embedded():
    d = load()
    assert d.name == "fashion-mnist" == load("fashion-mnist").name
    assert d.train_images.shape == (10_000, 28, 28, 1) and d.val_images.shape == (2_000, 28, 28, 1)
    assert d.train_images.dtype == d.val_images.dtype == np.uint8
    assert d.train_labels.dtype == d.val_labels.dtype == np.int64
    assert d.train_labels.shape == (10_000,) and set(d.train_labels) == set(d.val_labels) == set(range(10))
    assert isinstance(d.classes, tuple) and d.classes[0] == "T-shirt/top" and d.classes[9] == "Ankle boot" and len(d.classes) == 10
    trouser, bag = (d.train_images[d.train_labels == i].astype(float).mean(axis=0)[..., 0] for i in (1, 8))
    assert trouser[:, :5].mean() < 5 < 50 < bag[14:, :5].mean()  # trousers are narrow, bags are wide


def test_licence_of_the_embedded_images():
    text = (DATA / "FASHION_MNIST_LICENSE").read_text(encoding="utf-8")
    assert "2017 Zalando SE, https://tech.zalando.com" in text and "MIT License" in text and "WITHOUT WARRANTY" in text


def test_dataset_is_frozen():
    with pytest.raises(AttributeError):
        load().name = "other"


def test_synthetic_images_can_be_learnt_and_repeated():
    d, again, other = (synthetic(9, 3, 60, seed) for seed in (5, 5, 6))
    assert d.train_images.shape == (60, 9, 9, 3) and d.val_images.shape == (15, 9, 9, 3) and d.train_images.dtype == np.uint8
    assert d.train_labels.dtype == np.int64 and d.train_labels.shape == (60,) and len(d.classes) == 3
    np.testing.assert_array_equal(d.train_images, again.train_images)
    np.testing.assert_array_equal(d.val_labels, again.val_labels)
    assert not np.array_equal(d.train_images, other.train_images)
    means = np.stack([d.train_images[d.train_labels == i].mean(axis=0) for i in range(3)])
    distance = ((d.val_images[:, None] - means) ** 2).sum(axis=(2, 3, 4))
    np.testing.assert_array_equal(distance.argmin(axis=1), d.val_labels)


@pytest.mark.parametrize(
    "name, values", [("size", (0, 2, 8, 0)), ("classes", (8, 0, 8, 0)), ("count", (8, 2, 0, 0)), ("seed", (8, 2, 8, -1))]
)
def test_synthetic_refuses(name, values):
    refused(lambda: synthetic(*values), name, "at least")


# ---- IDX files


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


# ---- CIFAR-10


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


def test_a_file_of_cifar_that_ends_between_two_images(tmp_path, rng, monkeypatch):
    arrays = cifar_arrays(rng)
    write_cifar_binary(tmp_path, arrays)
    monkeypatch.setattr(datasets, "BATCH", 6)  # images in the longest of these
    with pytest.raises(DataError, match="data_batch_1.bin is cut off: it holds 1 images, not 6"):
        load(f"cifar10:{tmp_path}")


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


# ---- Single photographs


def colours(H, W):
    """An image whose every pixel is different."""
    rows, columns = np.mgrid[:H, :W]
    return np.stack([rows * 5, columns * 5, 200 - rows - columns], axis=2).astype(np.uint8)


def saved(tmp_path, image, name="photo.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.ppm", "a.without-known-ending"])
def test_plain_images_come_back_as_they_are(tmp_path, name):
    path = saved(tmp_path, Image.fromarray(colours(6, 9)), name, format="PNG" if "without" in name else None)
    image = read_image(path)
    assert image.dtype == np.uint8 and image.flags.writeable
    np.testing.assert_array_equal(image, colours(6, 9))
    np.testing.assert_array_equal(read_image(str(path)), image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_cameras_rotation_is_undone(tmp_path, orientation):
    upright = colours(6, 9)
    # How the camera stores an upright image, by the definition of each EXIF orientation.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright.transpose(1, 0, 2), 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(read_image(path), upright)


def test_grey_and_black_and_white(tmp_path):
    grey = colours(6, 9)[..., 0]
    np.testing.assert_array_equal(read_image(saved(tmp_path, Image.fromarray(grey))), np.repeat(grey[..., None], 3, 2))
    bits = Image.fromarray(grey * 8).convert("1")
    assert set(np.unique(read_image(saved(tmp_path, bits)))) == {0, 255}


def test_16_bit_grey(tmp_path):
    values = np.array([[0, 128, 129, 257, 32767, 65535]], np.uint16)
    for name in ("a.png", "a.tiff"):
        image = read_image(saved(tmp_path, Image.fromarray(values), name))
        np.testing.assert_array_equal(image[0], np.array([[0, 0, 1, 1, 127, 255]] * 3).T)
    image = read_image(saved(tmp_path, Image.fromarray(values.astype(np.int32) + 1), "a.tiff"))
    assert image[0, 0, 0] == 0 and image[0, -1, 0] == 255  # 65536 does not wrap around


def test_palette(tmp_path):
    image = Image.fromarray(colours(6, 9)).quantize(16)
    np.testing.assert_array_equal(read_image(saved(tmp_path, image)), np.asarray(image.convert("RGB")))
    np.testing.assert_array_equal(read_image(saved(tmp_path, image, "a.gif")), np.asarray(image.convert("RGB")))


def test_transparency_lies_on_white(tmp_path):
    black = Image.new("RGBA", (3, 1))
    black.putdata([(0, 0, 0, 0), (0, 0, 0, 255), (0, 0, 0, 51)])
    image = read_image(saved(tmp_path, black))
    np.testing.assert_array_equal(image[0], [[255] * 3, [0] * 3, [204] * 3])
    grey = black.convert("LA")
    np.testing.assert_array_equal(read_image(saved(tmp_path, grey)), image)
    palette = Image.new("P", (3, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1, 0])
    image = read_image(saved(tmp_path, palette, transparency=0))
    np.testing.assert_array_equal(image[0], [[255] * 3, [40, 50, 60], [255] * 3])
    marked = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    image = read_image(saved(tmp_path, marked, transparency=(1, 2, 3)))
    np.testing.assert_array_equal(image[0], [[255] * 3, [4, 5, 6]])


def test_cmyk(tmp_path):
    for name in ("a.jpg", "a.tiff"):
        path = saved(tmp_path, Image.new("CMYK", (16, 8), (0, 255, 255, 0)), name)  # magenta and yellow make red
        np.testing.assert_allclose(read_image(path).astype(int), np.broadcast_to([255, 0, 0], (8, 16, 3)), atol=3)


def test_images_that_cannot_be_read(tmp_path):
    refused(lambda: read_image(tmp_path / "none.jpg"), "none.jpg", "No such file")
    refused(lambda: read_image(tmp_path), str(tmp_path), "cannot be opened")
    path = tmp_path / "text.jpg"
    path.write_text("no image")
    refused(lambda: read_image(path), "text.jpg is no image")
    (tmp_path / "empty.jpg").touch()
    refused(lambda: read_image(tmp_path / "empty.jpg"), "empty.jpg is empty")
    for kind in ("JPEG", "PNG", "GIF", "TIFF"):
        stream = io.BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(stream, kind)
        path = tmp_path / f"half.{kind.lower()}"
        path.write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
        refused(lambda path=path: read_image(path), path.name, "cannot be")


def test_fit_without_resizing_cuts_out_the_centre():
    image = colours(9, 14)
    np.testing.assert_array_equal(fit(image, 9, 14), image)
    np.testing.assert_array_equal(fit(image, 9, 9), image[:, 2:11])
    np.testing.assert_array_equal(fit(image, 9, 9), fit(image[:, 2:11], 9, 9))
    np.testing.assert_array_equal(fit(image.transpose(1, 0, 2).copy(), 9, 9), image.transpose(1, 0, 2)[2:11])


def test_fit_resizes_the_shorter_side():
    """Half: the same as resizing all of it with Pillow and then taking the centre."""
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    whole = np.asarray(Image.fromarray(image).resize((15, 10), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(fit(image, 10, 10), whole[:, 2:12])
    flat = np.zeros((20, 60, 3), np.uint8)
    flat[:, 20:40] = 255
    out = fit(flat, 10, 10)
    assert out.shape == (10, 10, 3) and out.dtype == np.uint8 and out[:, 1:9].min() == 255
    assert fit(flat, 4, 12)[:, :3].max() == 0  # all of the width


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (7, 5), (300, 299)])
def test_fit_takes_any_size(shape):
    out = fit(np.full((*shape, 3), 77, np.uint8), 13, 11)
    assert out.shape == (13, 11, 3) and (out == 77).all()


# ---- Folders of photographs


def make_folder(root, splits=("train", "val"), classes=("dog", "cat"), count=2, size=(12, 9)):
    """Images of one colour each, (class number) * 50 + (image number) * 10; the classes not in alphabetical order."""
    for split in splits:
        for c, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", size, (c * 50 + i * 10,) * 3).save(root / split / name / f"{i}.png")
    return root


def test_folder(tmp_path):
    root = make_folder(tmp_path / "pets")
    (root / "train" / ".hidden").mkdir()
    (root / "train" / "dog" / ".DS_Store").write_text("not an image")
    (root / "train" / "readme.txt").write_text("not a class")
    d = load(root, size=8)
    assert d.name == "pets" and d.classes == ("cat", "dog")
    assert isinstance(d.train_images, Folder) and len(d.train_images) == 4
    np.testing.assert_array_equal(d.train_labels, [0, 0, 1, 1])
    assert d.train_labels.dtype == np.int64
    assert [int(image[0, 0, 0]) for image in d.train_images] == [50, 60, 0, 10]
    assert all(image.shape == (8, 8, 3) and image.dtype == np.uint8 for image in d.val_images)


@pytest.mark.parametrize("size, side", [(28, 28), (63, 63), (64, 73), (224, 256)])
def test_stored_size_leaves_room_for_crops(tmp_path, size, side):
    d = load(str(make_folder(tmp_path)), size=size)
    assert d.train_images[0].shape == (side, side, 3)


def test_folder_val_may_lack_a_class(tmp_path):
    make_folder(tmp_path, splits=["train"])
    make_folder(tmp_path, splits=["val"], classes=["dog"])
    np.testing.assert_array_equal(load(str(tmp_path)).val_labels, [1, 1])


def test_folders_that_are_wrong(tmp_path):
    refused(lambda: load("no such folder"), "no such folder is not a folder", "cifar10:DIR")
    refused(lambda: load(str(tmp_path)), str(tmp_path / "train"), "train/<class>/*", "val/<class>/*")
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    refused(lambda: load(str(tmp_path)), str(tmp_path / "train"), "no folder for a class")
    (tmp_path / "train" / "a").mkdir()
    (tmp_path / "val" / "b").mkdir()
    refused(lambda: load(str(tmp_path)), str(Path("val") / "b"), "train does not have")
    (tmp_path / "val" / "b").rename(tmp_path / "val" / "a")
    refused(lambda: load(str(tmp_path)), str(Path("train") / "a"), "no images")


def test_bad_files_in_a_folder(tmp_path, capsys):
    root = make_folder(tmp_path)
    (root / "train" / "cat" / "00.jpg").write_text("no image")
    refused(lambda: load(root), "00.jpg is no image")
    d = load(root, skip_bad=True)
    assert len(d.train_images) == 4 and len(d.train_labels) == 4
    assert capsys.readouterr().err.count("00.jpg") == 1
    assert not data_threads()


def test_images_that_fail_when_they_are_decoded(tmp_path, capsys):
    root = make_folder(tmp_path, size=(60, 60))
    path = root / "train" / "dog" / "0.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    d = load(root)  # the header is sound
    refused(lambda: d.train_images[2], str(path), "cannot be decoded")
    refused(lambda: mean_image(d.train_images), str(path))
    loader = Loader(d.train_images, d.train_labels, 1, mean=np.zeros((28, 28, 3)), workers=2)
    batches = loader.batches(0)
    next(batches), next(batches)
    refused(lambda: next(batches), str(path))
    assert not data_threads()
    d = load(root, skip_bad=True)
    np.testing.assert_array_equal(d.train_labels, [0, 0, 1])
    assert mean_image(d.train_images).shape == (28, 28, 3)
    assert capsys.readouterr().err.count(str(path)) == 1


def test_skip_bad_does_not_leave_a_class_without_images(tmp_path):
    root = make_folder(tmp_path, count=1)
    (root / "train" / "cat" / "0.png").write_text("no image")
    refused(lambda: load(root, skip_bad=True), str(Path("train") / "cat"), "no images")


# ---- The mean image


@pytest.mark.parametrize("C", [1, 3])
def test_mean_image(rng, C):
    images = rng.integers(0, 256, (7, 5, 4, C), np.uint8)
    mean = mean_image(images)
    assert mean.shape == (5, 4, 3) and mean.dtype == np.float32
    np.testing.assert_allclose(mean, np.broadcast_to(images.astype(float).mean(axis=0), (5, 4, 3)), rtol=1e-6)


class Lazy:
    """N images of one grey level each, which remembers which were asked for."""

    def __init__(self, N, shape=(4, 4, 3), fail_at=None):
        self.N, self.shape, self.fail_at, self.asked = N, shape, fail_at, []

    def __len__(self):
        return self.N

    def __getitem__(self, i):
        self.asked.append(int(i))
        if i == self.fail_at:
            raise DataError(f"image {i} is broken.")
        return np.full(self.shape, i % 256, np.uint8)


def test_mean_image_of_a_folder_is_a_sample_of_all_of_it():
    few, many = Lazy(10), Lazy(4000)
    np.testing.assert_allclose(mean_image(few), np.full((4, 4, 3), 4.5))
    assert sorted(few.asked) == list(range(10))
    mean_image(many)
    asked = sorted(many.asked)
    assert len(set(asked)) == 1000 and asked[0] == 0 and asked[-1] == 3999 and 3 <= min(np.diff(asked)) and max(np.diff(asked)) <= 5
    assert not data_threads()


def test_mean_image_needs_images():
    refused(lambda: mean_image(np.zeros((0, 4, 4, 3), np.uint8)), "at least one image")


# ---- The loader


def all_of(loader, epoch=0, start=0):
    """The batches from `start` on, end to end."""
    parts = list(loader.batches(epoch, start))
    return np.concatenate([x for x, _ in parts]), np.concatenate([labels for _, labels in parts])


def marked(N, H=9, W=9, C=3):
    """Images that can be told apart, and so can their pixels, with labels that are their numbers."""
    return np.random.default_rng(1).integers(0, 256, (N, H, W, C), np.uint8), np.arange(N)


def zero(size):
    return np.zeros((size, size, 3), np.float32)


@pytest.mark.parametrize("C", [1, 3])
@pytest.mark.parametrize("lazy", [False, True])
def test_plain_batches(C, lazy):
    images, labels = marked(11, C=C)
    mean = np.random.default_rng(2).uniform(0, 255, (9, 9, 3)).astype(np.float32)
    loader = Loader(list(images) if lazy else images, labels.astype(np.uint8), 4, mean=mean, scale=0.25)
    batches = list(loader.batches(0))
    assert len(loader) == 3 and [len(x) for x, _ in batches] == [4, 4, 3]
    for x, y in batches:
        assert x.dtype == np.float32 and x.shape[1:] == (9, 9, 3) and x.flags.c_contiguous and y.dtype == np.int64
    x, y = all_of(loader)
    np.testing.assert_array_equal(y, labels)
    np.testing.assert_array_equal(x, (images - mean) * np.float32(0.25))


@pytest.mark.parametrize("N, batch_size, number", [(1, 1, 1), (1, 8, 1), (8, 8, 1), (9, 8, 2), (16, 8, 2)])
def test_number_of_batches(N, batch_size, number):
    loader = Loader(*marked(N), batch_size, mean=zero(9))
    assert len(loader) == number == len(list(loader.batches(0)))


def test_central_crop_and_the_centre_of_the_mean():
    images, labels = marked(3, 12, 9)
    mean = np.random.default_rng(2).uniform(0, 255, (11, 13, 3)).astype(np.float32)
    x, _ = all_of(Loader(images, labels, 2, mean=mean, size=6))
    np.testing.assert_array_equal(x, images[:, 3:9, 1:7] - mean[2:8, 3:9])
    x, _ = all_of(Loader(images, labels, 2, mean=mean))
    np.testing.assert_array_equal(x, images[:, 1:10] - mean[1:10, 2:11])


def test_order():
    loader = Loader(*marked(30), 7, mean=zero(9), shuffle=True, seed=3)
    (x, order), (_, again), (_, later) = all_of(loader), all_of(loader), all_of(loader, epoch=1)
    np.testing.assert_array_equal(x, marked(30)[0][order])
    np.testing.assert_array_equal(order, again)
    assert sorted(order) == sorted(later) == list(range(30))
    assert not np.array_equal(order, np.arange(30)) and not np.array_equal(order, later)
    _, other = all_of(Loader(*marked(30), 7, mean=zero(9), shuffle=True, seed=4))
    assert not np.array_equal(order, other)
    _, plain = all_of(Loader(*marked(30), 7, mean=zero(9), augment=True))
    np.testing.assert_array_equal(plain, np.arange(30))


@pytest.mark.parametrize("size", [6, 9])
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("batch_size, workers", [(1, 1), (5, 3), (12, 1), (64, 4)])
def test_views_do_not_depend_on_workers_or_batch_size(size, lazy, batch_size, workers):
    images, labels = marked(25)
    options = {"mean": zero(9) + 100, "size": size, "shuffle": True, "augment": True, "seed": 7}
    expected = all_of(Loader(images, labels, 7, **options), epoch=2)
    found = all_of(Loader(list(images) if lazy else images, labels, batch_size, workers=workers, **options), epoch=2)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("start", [0, 1, 3])
def test_an_epoch_taken_up_again_goes_on_as_it_would_have(start):
    loader = Loader(*marked(25), 7, mean=zero(9), shuffle=True, augment=True, workers=2)
    for whole, part in zip(all_of(loader, 5), all_of(loader, 5, start), strict=True):
        np.testing.assert_array_equal(whole[7 * start :], part)
    assert list(loader.batches(5, len(loader))) == []


def test_views_follow_the_image_and_not_its_place_in_the_order():
    images, labels = marked(25)
    options = {"mean": zero(9), "size": 6, "augment": True, "seed": 7}
    x, _ = all_of(Loader(images, labels, 7, **options))
    shuffled, order = all_of(Loader(images, labels, 7, shuffle=True, **options))
    np.testing.assert_array_equal(shuffled, x[order])
    fewer, _ = all_of(Loader(images[:10], labels[:10], 7, **options))
    np.testing.assert_array_equal(fewer, x[:10])


def test_views_change_with_seed_and_epoch():
    images, labels = marked(25)
    x, later = (all_of(Loader(images, labels, 25, mean=zero(9), size=6, augment=True), epoch)[0] for epoch in (0, 1))
    other, _ = all_of(Loader(images, labels, 25, mean=zero(9), size=6, augment=True, seed=1))
    assert not np.array_equal(x, later) and not np.array_equal(x, other)


def views_of(images, size, epochs, padding=0):
    """How often each (top, left, mirrored) was seen, found by looking the crops up among all there could be."""
    N, H, W, _ = images.shape
    loader = Loader(images, np.arange(N), N, mean=zero(size), size=size, augment=True)
    padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    count = np.zeros((H + 2 * padding - size + 1, W + 2 * padding - size + 1, 2), int)
    for epoch in range(epochs):
        x, _ = all_of(loader, epoch)
        for crop, image in zip(x, padded, strict=True):
            places = np.ndindex(count.shape)
            found = [p for p in places if np.array_equal(crop[:, :: (-1) ** p[2]], image[p[0] : p[0] + size, p[1] : p[1] + size])]
            assert len(found) == 1  # never beyond the edges
            count[found[0]] += 1
    return count


def test_crops_are_at_all_places_with_equal_probability():
    count = views_of(marked(60, 8, 7)[0], 6, 40)
    assert count.shape == (3, 2, 2) and count.sum() == 2400
    assert abs(count - 200).max() < 60  # each of the 12 views 200 times, 60 being more than four standard deviations


def test_images_of_the_right_size_are_padded_and_cropped():
    count = views_of(marked(60, 9, 9)[0], 9, 20, padding=1)
    assert count.shape == (3, 3, 2) and count.sum() == 1200
    assert count.min() > 30 and count.max() < 110


def test_crops_of_224_reach_both_ends_and_never_beyond():
    """From 256 pixels: 33 x 33 places (ALEXNET: 2,178 views). Rows and columns are told from the pixels themselves."""
    rows, columns = np.mgrid[:256, :256].astype(np.uint8)
    images = Images256(np.stack([rows, columns, columns], axis=2), 700)
    x = np.concatenate(
        [
            x[:, [0, 0, -1, -1], [0, -1, 0, -1]]
            for x, _ in Loader(images, np.arange(700), 50, mean=zero(224), size=224, augment=True).batches(0)
        ]
    )
    tops, bottoms = x[:, 0, 0], x[:, 2, 0]
    lefts, rights = np.minimum(x[:, 0, 1], x[:, 1, 1]), np.maximum(x[:, 0, 1], x[:, 1, 1])
    np.testing.assert_array_equal(bottoms - tops, np.full(700, 223))
    np.testing.assert_array_equal(rights - lefts, np.full(700, 223))
    assert set(tops) == set(lefts) == set(range(33))
    mirrored = x[:, 0, 1] > x[:, 1, 1]
    assert 280 < mirrored.sum() < 420
    assert abs(np.corrcoef(np.stack([tops, lefts, mirrored])) - np.eye(3)).max() < 0.15


@pytest.mark.parametrize("size, H, W", [(5, 8, 9), (9, 9, 9), (64, 69, 72)])
@pytest.mark.parametrize("C, lazy", [(3, False), (3, True), (1, True)])
def test_ten_crops_are_corners_and_centre_and_their_mirrors(size, H, W, C, lazy):
    images, labels = marked(5, H, W, C)
    mean = np.random.default_rng(2).uniform(0, 255, (size, size, 3)).astype(np.float32)
    loader = Loader(list(images) if lazy else images, labels, 2, mean=mean, size=size, crops=10, scale=0.5, workers=2)
    x, y = all_of(loader)
    assert x.shape == (5, 10, size, size, 3) and x.dtype == np.float32
    np.testing.assert_array_equal(y, labels)
    p = size // 8 if H == W == size else 0
    bottom, right = H + 2 * p - size, W + 2 * p - size
    for image, crops in zip(images, x, strict=True):
        for flipped in (0, 1):
            padded = np.zeros((H + 2 * p, W + 2 * p, 3), np.float32)
            inside = (image[:, ::-1] if flipped else image) - (mean if p else np.float32(0))
            padded[p : p + H, p : p + W] = inside
            for k, (top, left) in enumerate([(0, 0), (0, right), (bottom // 2, right // 2), (bottom, 0), (bottom, right)]):
                expected = padded[top : top + size, left : left + size] - (0 if p else mean)
                np.testing.assert_allclose(crops[5 * flipped + k], expected * 0.5, atol=1e-5)


def test_ten_crops_of_256_pixels_are_the_papers():
    loader = Loader(Images256(np.zeros((256, 256, 3), np.uint8), 1), [0], 1, mean=zero(224), size=224, crops=10)
    views = np.stack(loader._views(0))[:, :, 0].tolist()
    places = [[0, 0], [0, 32], [16, 16], [32, 0], [32, 32]]
    assert views == [[*place, mirrored] for mirrored in (0, 1) for place in places]


class Images256:
    """The same image many times."""

    def __init__(self, image, N):
        self.image, self.N = image, N

    def __len__(self):
        return self.N

    def __getitem__(self, i):
        return self.image


@pytest.mark.parametrize("lazy", [False, True])
def test_the_centre_of_the_mean_is_subtracted_wherever_the_crop_lies(lazy):
    images = np.full((40, 8, 8, 3), 100, np.uint8)
    mean = np.random.default_rng(2).uniform(0, 255, (8, 8, 3)).astype(np.float32)
    x, _ = all_of(Loader(list(images) if lazy else images, np.zeros(40, int), 16, mean=mean, size=5, augment=True, scale=2))
    np.testing.assert_array_equal(x, np.broadcast_to((100 - mean[1:6, 1:6]) * 2, (40, 5, 5, 3)))


def test_padding_is_the_mean():
    """Zero once the mean is subtracted: a set whose images are all its mean is zero in every view."""
    image = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    image = np.concatenate([image[:, :8], image[:, 7::-1]], axis=1)  # its own mirror image
    images = np.repeat(image[None], 30, axis=0)
    x, _ = all_of(Loader(images, np.zeros(30, int), 30, mean=mean_image(images), augment=True))
    assert not x.any()
    x, _ = all_of(Loader(images, np.zeros(30, int), 30, mean=mean_image(images) - 1, augment=True))
    assert set(np.unique(x)) == {0, 1} and (x == 0).all(axis=(0, 3)).sum() == 0


def test_images_and_batches_are_left_alone():
    images, labels = marked(12)
    images.flags.writeable = False
    mean = zero(9) + 3
    loader = Loader(images, labels, 5, mean=mean, augment=True, scale=0.5)
    expected, y = all_of(loader)
    for x, labels_of_batch in loader.batches(0):
        x[...] = np.nan
        labels_of_batch[...] = -1
    again, y_again = all_of(loader)
    np.testing.assert_array_equal(expected, again)
    np.testing.assert_array_equal(y, y_again)
    assert (mean == 3).all()


def test_batches_need_no_more_than_a_few_in_advance():
    images = Lazy(4000)
    loader = Loader(images, np.zeros(4000, int), 16, mean=zero(4), workers=2)
    images.asked.clear()
    with closing(loader.batches(0, start=10)) as batches:
        assert not images.asked  # nothing before the first is asked for
        next(batches)
        deadline = time.monotonic() + 5
        while len(images.asked) < 48 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.01)
        assert min(images.asked) == 160 and max(images.asked) < 160 + 16 * 4
        assert data_threads()
    assert not data_threads()


@pytest.mark.parametrize("lazy, size, crops, workers", [(False, 9, 1, 1), (True, 9, 1, 4), (True, 64, 1, 2), (False, 64, 10, 3)])
def test_memory_is_bounded_by_what_is_said(monkeypatch, lazy, size, crops, workers):
    """Also over 50 epochs, of a consumer who is slow at first."""
    images, labels = marked(40, size, size)
    loader = Loader(list(images) if lazy else images, labels, 4, mean=zero(size), workers=workers, crops=crops)
    made, most = [], 0

    def empty(shape, dtype):
        x = np.empty(shape, dtype)
        made.append(weakref.ref(x))
        return x

    monkeypatch.setattr("minigrad.device.memory.empty", empty)
    for epoch in range(50):
        for i, _ in enumerate(loader.batches(epoch)):
            time.sleep(0.01 if epoch == 0 and i < 4 else 0)
            most = max(most, sum(batch() is not None for batch in made))
        made[:] = [batch for batch in made if batch() is not None]
    each = 4 * crops * size * size * 3 * 4
    assert 2 * each <= most * each <= loader.memory <= (4 + workers) * each


@pytest.mark.parametrize("lazy", [False, True])
def test_threads_end_with_the_generator(lazy):
    images, labels = marked(200)
    loader = Loader(list(images) if lazy else images, labels, 4, mean=zero(9), augment=True, workers=3)
    batches = loader.batches(0)
    next(batches)
    assert data_threads()
    batches.close()
    assert not data_threads()
    for _ in loader.batches(0):
        break  # forgotten, not closed
    assert not data_threads()
    with pytest.raises(ZeroDivisionError), closing(loader.batches(0)) as batches:
        for x, _ in batches:
            x[0] / (1 // 0)
    assert not data_threads()
    all_of(loader)
    assert not data_threads()


@pytest.mark.parametrize("workers", [1, 3])
def test_errors_of_threads_reach_the_consumer(workers):
    loader = Loader(Lazy(40, fail_at=21), np.arange(40), 8, mean=zero(4), workers=workers)
    seen = []
    with pytest.raises(DataError, match="image 21 is broken"):
        for _, labels in loader.batches(0):
            seen += labels.tolist()
    assert seen == list(range(16))  # the batches before it came
    assert not data_threads()


def test_work_not_yet_begun_is_dropped():
    begun, gate = [], threading.Event()

    def work(task):
        begun.append(task)
        if task == 1:
            gate.wait(5)
        return task

    results = ahead(work, range(50), 1, 10)
    assert next(results) == 0
    threading.Timer(0.02, gate.set).start()
    results.close()
    assert begun == [0, 1] or begun == [0]
    assert list(ahead(work, range(50), 3, 4)) == list(range(50))
    assert list(ahead(work, [], 3, 4)) == []


@pytest.mark.parametrize(
    "change, words",
    [
        ({"batch_size": 0}, ("batch_size", "at least 1", "not 0")),
        ({"workers": 0}, ("workers", "at least 1", "not 0")),
        ({"seed": -1}, ("seed", "at least 0", "not -1")),
        ({"labels": np.arange(4)}, ("5 images", "(4,)")),
        ({"labels": np.zeros((5, 2), int)}, ("5 images", "(5, 2)")),
        ({"labels": np.zeros(5)}, ("integers", "float64")),
        ({"images": np.zeros((5, 8, 9, 3), np.float32)}, ("uint8", "float32")),
        ({"images": np.zeros((5, 8, 9, 4), np.uint8)}, ("uint8", "(8, 9, 4)")),
        ({"images": np.zeros((5, 8, 9), np.uint8)}, ("uint8", "(8, 9)")),
        ({"images": np.zeros((0, 8, 9, 3), np.uint8), "labels": np.zeros(0, int)}, ("no images",)),
        ({"size": 9}, ("9 x 9", "8 x 9")),
        ({"size": 0}, ("0 x 0",)),
        ({"mean": np.zeros((9, 7, 3))}, ("8 x 8", "(9, 7, 3)")),
        ({"mean": np.zeros((9, 9))}, ("(8, 8, 3)", "(9, 9)")),
        ({"mean": np.zeros(3)}, ("(8, 8, 3)", "(3,)")),
        ({"crops": 5}, ("crops", "1 or 10", "5")),
        ({"noise": np.zeros(3)}, ("noise", "(3, 3)", "(3,)")),
    ],
)
def test_loader_refuses(change, words):
    arguments = {"images": np.zeros((5, 8, 9, 3), np.uint8), "labels": np.arange(5), "batch_size": 2, "mean": np.zeros((8, 9, 3))}
    Loader(**arguments)
    refused(lambda: Loader(**{**arguments, **change}), *words)


@pytest.mark.parametrize("epoch, start", [(-1, 0), (0, -1), (0, 4)])
def test_batches_that_do_not_exist(epoch, start):
    loader = Loader(*marked(5), 2, mean=zero(9))
    refused(lambda: loader.batches(epoch, start), f"batch {start}", f"epoch {epoch}", "3 batches")


# ---- The package


def test_data_imports_nothing_but_numpy_the_standard_library_and_the_device():
    """Pillow is imported where it is needed: inside functions."""
    for path in DATA.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            else:
                continue
            assert not any(name.split(".")[0] in ("PIL", "matplotlib", "tqdm") for name in names), path.name
            assert all(name.startswith(("minigrad.data", "minigrad.device")) for name in names if name.startswith("minigrad")), path.name


def test_public_names():
    names = (
        "DataError Dataset Folder Loader Some absolute colours fit load mean_image noise_matrix prepare read_image side synthetic".split()
    )
    assert sorted(data.__all__) == names and all(hasattr(data, name) for name in names)
    assert issubclass(DataError, ValueError)
