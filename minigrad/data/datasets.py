"""Data sets: the embedded Fashion-MNIST, the files of Fashion-MNIST and CIFAR-10, folders of photographs, made-up images."""

import gzip
import io
import os
import pickle
import sys
import zlib
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from minigrad.data.ahead import ahead
from minigrad.data.images import DataError, Folder, open_image, read_image
from minigrad.data.shards import Shards, is_prepared, load_prepared, read_set
from minigrad.device import cores

FASHION_MNIST = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag".split() + ["Ankle boot"]
CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()
RECORD = 1 + 3 * 32 * 32  # bytes of a CIFAR-10 image: its label, then its red, green and blue values
BATCH = 10_000  # images in each file of CIFAR-10
GLANCES = 50_000  # of so many files the headers are looked at on loading; of more it takes minutes


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images to train and to validate with.

    name           short, fit for a file name
    *_images       uint8 (N, H, W, C), C 1 or 3; or a `Folder` or `Shards`: lazy sequences of uint8 (H, W, 3)
    *_labels       int64 (N,), from 0 to len(classes) - 1
    classes        tuple of str
    ids            tuple of str, the classes' WordNet ids (folder names), where a prepared set knows them
    mean, colours  the training images' mean and components of colour (colour.py), where a prepared set knows them"""

    name: str
    train_images: np.ndarray | Folder | Shards
    train_labels: np.ndarray
    val_images: np.ndarray | Folder | Shards
    val_labels: np.ndarray
    classes: tuple
    ids: tuple = ()
    mean: np.ndarray | None = None
    colours: tuple | None = None


def load(spec=None, *, size=28, skip_bad=False):
    """The data set that `spec` names; test images serve as validation images.

    None, "fashion-mnist"   the embedded part: 10,000 + 2,000 images, 28 x 28 grey
    "fashion-mnist:DIR"     the four IDX files, plain or .gz (MNIST's own have the same format)
    "cifar10:DIR"           the official archive, binary or Python version, unpacked
    DIR                     what `prepare` made, or DIR/train/<class>/* and DIR/val/<class>/*: image files, decoded on demand

    The photographs of a folder get `size` pixels, or, from 64 on, size * 256 / 224: what random crops of `size` are cut
    from. With skip_bad every file of a folder is decoded once on loading and what fails is left out and listed on stderr.
    Raises DataError with one sentence for anything that is missing or broken."""
    spec = "fashion-mnist" if spec is None else os.fspath(spec)
    if spec == "fashion-mnist":
        return _embedded()
    for prefix, read in (("fashion-mnist:", _fashion_mnist), ("cifar10:", _cifar10)):
        if spec.startswith(prefix):
            return read(_existing(Path(spec.removeprefix(prefix))))
    if is_prepared(spec):
        dataset = Dataset(**load_prepared(spec))
        for split, labels in (("train", dataset.train_labels), ("val", dataset.val_labels)):
            _check_labels(labels, dataset.classes, Path(spec) / f"{split}-labels.npy")
        return dataset
    return _folders(_existing(Path(spec)), round(size * 256 / 224) if size >= 64 else size, skip_bad)


def absolute(spec):
    """`spec`, as `load` takes it, with a folder that does not depend on the working directory."""
    if spec == "fashion-mnist":
        return spec
    prefix = next(prefix for prefix in ("fashion-mnist:", "cifar10:", "") if spec.startswith(prefix))
    return prefix + str(Path(spec.removeprefix(prefix)).resolve())


def side(spec):
    """The shorter side in pixels of the first photograph in a folder, prepared or not; None if `spec` names no such folder."""
    folder = Path(spec)
    if is_prepared(folder):
        return read_set(folder)["side"]
    if spec.startswith(("fashion-mnist", "cifar10:")) or not (folder / "train").is_dir():
        return None
    first = next((file for place in visible(folder / "train") if place.is_dir() for file in visible(place)), None)
    try:
        with open_image(first) as image:
            return min(image.size)
    except DataError:  # said when it is loaded
        return None


def synthetic(size, classes, count, seed):
    """`count` made-up training images and a quarter as many for validation, uint8 (size, size, 3).

    Each class has a colour and a coarse pattern of its own, half hidden under noise. Raises DataError for numbers below 1,
    or a seed below 0."""
    for name, value, least in (("size", size, 1), ("classes", classes, 1), ("count", count, 1), ("seed", seed, 0)):
        if value < least:
            raise DataError(f"synthetic: {name} must be at least {least}, not {value}.")
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 64, (classes, 1, 1, 3), np.uint8) + rng.integers(0, 64, (classes, 4, 4, 3), np.uint8)
    cell = np.arange(size) * 4 // size
    patterns = coarse[:, cell[:, None], cell]

    def make(N):
        labels = rng.integers(0, classes, N)
        images = rng.integers(0, 128, (N, size, size, 3), np.uint8)
        for image, label in zip(images, labels, strict=True):
            image += patterns[label]
        return images, labels

    return Dataset("synthetic", *make(count), *make(max(1, count // 4)), tuple(f"class {i}" for i in range(classes)))


def _existing(folder):
    if not folder.is_dir():
        kinds = "fashion-mnist, fashion-mnist:DIR, cifar10:DIR or a folder with train/<class>/* and val/<class>/*"
        raise DataError(f"{folder} is not a folder; data are {kinds}.")
    return folder


def _embedded():
    with np.load(Path(__file__).with_name("fashion_mnist.npz"), allow_pickle=False) as file:
        arrays = file["x_train"][..., None], file["y_train"], file["x_test"][..., None], file["y_test"]
    return _dataset("fashion-mnist", *arrays, FASHION_MNIST)


def _dataset(name, train_images, train_labels, val_images, val_labels, classes):
    return Dataset(name, train_images, train_labels.astype(np.int64), val_images, val_labels.astype(np.int64), tuple(classes))


def _read(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None


# ---- Fashion-MNIST


def _fashion_mnist(folder):
    arrays = []
    for split in ("train", "t10k"):
        image_path, label_path = (_idx_path(folder, f"{split}-{kind}") for kind in ("images-idx3", "labels-idx1"))
        images, labels = _idx(image_path, 3), _idx(label_path, 1)
        if len(images) != len(labels):
            raise DataError(f"{image_path} holds {len(images)} images, but {label_path} holds {len(labels)} labels.")
        _check_labels(labels, FASHION_MNIST, label_path)
        arrays += [images[..., None], labels]
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise DataError(f"{folder} holds images of two sizes: {arrays[0].shape[1:3]} to train and {arrays[2].shape[1:3]} to test.")
    return _dataset("fashion-mnist", *arrays, FASHION_MNIST)


def _idx_path(folder, name):
    for separator, ending in product("-.", ("", ".gz")):
        path = folder / f"{name.replace('-idx', separator + 'idx')}-ubyte{ending}"
        if path.exists():
            return path
    raise DataError(
        f"{folder} does not hold {name}-ubyte or {name}-ubyte.gz; expected are train-images-idx3-ubyte, "
        "train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each plain or .gz."
    )


def _idx(path, ndim):
    """The array of an IDX file: magic number 0x800 + ndim, then ndim sizes, all big-endian 32-bit; then the bytes."""
    content = _read(path)
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except EOFError:
            content = zlib.decompressobj(wbits=31).decompress(content)  # as far as it goes, to be counted below
        except (OSError, zlib.error) as error:
            raise DataError(f"{path} is no sound gzip file: {error}.") from None
    header = 4 * (1 + ndim)
    magic = int.from_bytes(content[:4], "big")
    if len(content) >= 4 and magic != 0x800 + ndim:
        raise DataError(f"{path} starts with the number {magic:#010x}; an IDX file of its kind starts with {0x800 + ndim:#010x}.")
    if len(content) < header:
        raise DataError(f"{path} is cut off: it holds {len(content)} bytes, but its header alone has {header}.")
    shape = tuple(np.frombuffer(content, ">u4", ndim, 4).tolist())
    expected = header + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        state = "is cut off" if len(content) < expected else "is too long"
        sizes = " x ".join(map(str, shape))
        raise DataError(f"{path} {state}: it holds {len(content)} bytes, but {sizes} values and a header take {expected}.")
    if expected == header:
        raise DataError(f"{path} holds no data: its sizes are {' x '.join(map(str, shape))}.")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _check_labels(labels, classes, path):
    if len(labels) == 0:
        return
    low, high = labels.min(), labels.max()
    if low < 0 or high >= len(classes):
        wrong = low if low < 0 else high
        raise DataError(f"{path} holds the label {wrong}, but the {len(classes)} classes are numbered 0 to {len(classes) - 1}.")


# ---- CIFAR-10


def _cifar10(folder):
    """Either version of the archive, in `folder` itself or in the subfolder it unpacks to."""
    for version, ending, read, read_classes in (
        ("bin", ".bin", _cifar10_binary, _cifar10_binary_classes),
        ("py", "", _cifar10_pickle, _cifar10_pickle_classes),
    ):
        names = [f"{name}{ending}" for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")]
        for place in (folder, folder / f"cifar-10-batches-{version}"):
            if any((place / name).exists() for name in names):
                classes = read_classes(place)
                parts = [_cifar10_file(place / name, read, classes) for name in names]
                counts = [len(labels) for _, labels in parts]
                if min(counts) < max(counts) == BATCH:  # a download may break off between two images
                    raise DataError(
                        f"{place / names[counts.index(min(counts))]} is cut off: it holds {min(counts):,} images, not {BATCH:,}."
                    )
                images, labels = (np.concatenate(arrays) for arrays in zip(*parts[:5], strict=True))
                return _dataset("cifar10", images, labels, *parts[5], classes)
    raise DataError(
        f"{folder} holds no CIFAR-10; expected are data_batch_1.bin to data_batch_5.bin and test_batch.bin, or the same "
        "names without .bin, there or in cifar-10-batches-bin or cifar-10-batches-py."
    )


def _cifar10_file(path, read, classes):
    """Images (N, 32, 32, 3) and labels (N,) of one file, whose pixels are stored plane after plane."""
    pixels, labels = read(path, _read(path))
    if len(labels) == 0:
        raise DataError(f"{path} holds no images.")
    _check_labels(labels, classes, path)
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def _cifar10_binary(path, content):
    if len(content) % RECORD:
        raise DataError(f"{path} is cut off or no CIFAR-10: its {len(content)} bytes are no multiple of {RECORD}, an image's.")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    return records[:, 1:], records[:, 0]


def _cifar10_binary_classes(folder):
    path = folder / "batches.meta.txt"
    return _read(path).decode(errors="replace").split() if path.exists() else CIFAR10


def _cifar10_pickle(path, content):
    batch = _unpickle(path, content)
    pixels, labels = batch.get("data"), batch.get("labels")
    pixels = pixels.bytes_of_images() if isinstance(pixels, _Array) else None
    if pixels is None or not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{path} is no CIFAR-10 batch: expected are data, bytes of shape (N, {RECORD - 1}), and labels, N integers.")
    if len(pixels) != len(labels):
        raise DataError(f"{path} holds {len(pixels)} images, but {len(labels)} labels.")
    return pixels, np.array(labels, object)


def _cifar10_pickle_classes(folder):
    path = folder / "batches.meta"
    if not path.exists():
        return CIFAR10
    names = _unpickle(path, _read(path)).get("label_names")
    if not isinstance(names, list) or not names:
        raise DataError(f"{path} holds no list of label_names.")
    return [_text(name) for name in names]


def _unpickle(path, content):
    """The dictionary in a pickle, its keys as str. Nothing that the pickle names is imported or called."""
    try:
        content = _Unpickler(io.BytesIO(content), encoding="latin1").load()
        return {_text(key): value for key, value in content.items()}
    except Exception as error:  # a pickle is a program, and a broken one can fail in any way
        raise DataError(f"{path} cannot be read as a file of CIFAR-10's Python version: {error}.") from None


def _text(value):
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


class _Array:
    """What a pickle says of a NumPy array."""

    def __init__(self, *_):
        self.state = None

    def __setstate__(self, state):
        self.state = state

    def bytes_of_images(self):
        """uint8 (N, 3072), or None if the array is of another kind."""
        try:
            _, shape, dtype, fortran, content = self.state
            content = content.encode("latin1") if isinstance(content, str) else content
            array = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")
        except (TypeError, ValueError, OverflowError):
            return None
        return array if isinstance(dtype, _Type) and dtype.code == "u1" and array.shape[1:] == (RECORD - 1,) else None


class _Type:
    """What a pickle says of a NumPy dtype."""

    def __init__(self, code, *_):
        self.code = _text(code)

    def __setstate__(self, state):
        """The byte order, which single bytes do not have."""


def _latin1(text, encoding):
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Pickles can call anything that can be imported. Here the four names that arrays are made of get harmless stand-ins,
    and every other name is refused."""

    STAND_INS = {
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Type,
        ("_codecs", "encode"): _latin1,
    }

    def find_class(self, module, name):
        try:
            return self.STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, but only arrays of numbers are allowed") from None


# ---- Folders of photographs


def _folders(folder, side, skip_bad):
    entries = {split: files_by_class(folder / split) for split in ("train", "val")}
    classes = list(entries["train"])
    unknown = [name for name in entries["val"] if name not in classes]
    if unknown:
        raise DataError(f"{folder / 'val' / unknown[0]} is a class that {folder / 'train'} does not have.")
    arrays = []
    for split, files in entries.items():
        bad = _bad_files([path for paths in files.values() for path in paths], skip_bad)
        files = {name: [path for path in paths if path not in bad] for name, paths in files.items()}
        for name, paths in files.items():
            if not paths:
                raise DataError(f"{folder / split / name} holds no images.")
        labels = np.repeat([classes.index(name) for name in files], [len(paths) for paths in files.values()])
        arrays += [Folder([path for paths in files.values() for path in paths], side), labels]
    return _dataset(folder.resolve().name or "images", *arrays, classes)


def files_by_class(folder):
    """{class: its files}, both sorted by name; what is hidden (.DS_Store, ...) does not count."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected are image files as train/<class>/* and val/<class>/*.")
    files = {place.name: [p for p in visible(place) if p.is_file()] for place in visible(folder) if place.is_dir()}
    if not files:
        raise DataError(f"{folder} holds no folder for a class; expected are image files as {folder.name}/<class>/*.")
    return files


def visible(folder):
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}.") from None


def _bad_files(paths, skip_bad):
    """The set of files that are no images, listed on stderr; without skip_bad the first is raised as DataError.

    skip_bad decodes every file, so that none can fail later; without it a look at the headers must do."""
    if not skip_bad:
        if len(paths) <= GLANCES:
            for path in paths:
                open_image(path).close()
        return set()

    def trouble(path):
        try:
            read_image(path)
        except DataError as error:
            return str(error)

    workers = cores()
    with closing(ahead(trouble, paths, workers, 4 * workers)) as troubles:
        bad = {path: error for path, error in zip(paths, troubles, strict=True) if error}
    if bad:
        print(f"Left out, {len(bad)} of {len(paths)} files:", *bad.values(), sep="\n  ", file=sys.stderr)
    return set(bad)
