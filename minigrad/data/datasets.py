"""Data sets by their names: the embedded Fashion-MNIST, files of Fashion-MNIST and CIFAR-10, folders of photographs, made-up images."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigrad.data.checks import DataError, check_labels
from minigrad.data.cifar10 import read_cifar10
from minigrad.data.folders import SYSTEM, is_file, is_folder, read_folders, visible
from minigrad.data.idx import FASHION_MNIST, read_fashion_mnist
from minigrad.data.images import Folder, evenly_spaced, open_image
from minigrad.data.records import read_set
from minigrad.data.shards import Shards, is_prepared, load_prepared
from minigrad.names import one_name

GLANCES = 100  # photographs whose sizes say what a folder holds


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images to train and to validate with.

    name           short, fit for a file name
    *_images       uint8 (N, H, W, C), C 1 or 3; or a `Folder` or `Shards`: sequences of uint8 (H, W, 3), read when asked for
    *_labels       int64 (N,), from 0 to len(classes) - 1
    classes        tuple of str
    ids            tuple of str, the classes' WordNet ids (folder names); of prepared sets only
    mean, colours  the training images' mean and components of colour (colour.py); of prepared sets only"""

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

    The photographs of a folder become squares of `size` pixels, or, from 64 on, of size * 256 / 224, so that crops of `size` can be cut
    from them. With skip_bad every file of a folder is decoded once on loading; what fails is left out and listed on stderr. Raises
    DataError with one sentence for anything that is missing or broken."""
    spec = "fashion-mnist" if spec is None else os.fspath(spec)
    if spec == "fashion-mnist":
        return embedded()
    if spec.startswith("fashion-mnist:"):
        return dataset("fashion-mnist", *read_fashion_mnist(existing(spec.removeprefix("fashion-mnist:"))), FASHION_MNIST)
    if spec.startswith("cifar10:"):
        return dataset("cifar10", *read_cifar10(existing(spec.removeprefix("cifar10:"))))
    spec = Path(spec).expanduser()
    if is_prepared(spec):
        prepared = Dataset(**load_prepared(spec))
        for split, labels in (("train", prepared.train_labels), ("val", prepared.val_labels)):
            check_labels(labels, prepared.classes, Path(spec) / f"{split}-labels.npy")
        return prepared
    folder = existing(spec)
    pixels = round(size * 256 / 224) if size >= 64 else size
    return dataset(one_name(folder.resolve().name) or "images", *read_folders(folder, pixels, skip_bad))


def absolute(spec):
    """`spec`, as `load` takes it, with the absolute path of its folder."""
    if spec == "fashion-mnist":
        return spec
    prefix = next(prefix for prefix in ("fashion-mnist:", "cifar10:", "") if spec.startswith(prefix))
    return prefix + str(Path(spec.removeprefix(prefix)).expanduser().resolve())


def side(spec):
    """The shorter side in pixels of the photographs that `spec` names, prepared or not: the middle one of up to 100, evenly spaced, that
    can be opened. None if it names no folder of photographs."""
    folder = Path(spec).expanduser()
    if is_prepared(folder):
        return read_set(folder)["side"]
    if spec == "fashion-mnist" or spec.startswith(("fashion-mnist:", "cifar10:")) or not (folder / "train").is_dir():
        return None
    classes = [path for path in visible(folder / "train") if is_folder(path) and path.name not in SYSTEM]
    files = [path for each in classes for path in visible(each) if path.name not in SYSTEM and is_file(path)]
    sides = []
    for i in evenly_spaced(len(files), GLANCES) if files else ():
        try:
            with open_image(files[i]) as image:
                sides.append(min(image.size))
        except DataError:  # `load` says so
            pass
    return sorted(sides)[len(sides) // 2] if sides else None


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


def existing(folder):
    """The path `folder`. Raises DataError if there is no such folder."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        kinds = "fashion-mnist, fashion-mnist:DIR, cifar10:DIR or a folder with train/<class>/* and val/<class>/*"
        raise DataError(f"{folder} is not a folder; data are {kinds}.")
    return folder


def embedded():
    """The part of Fashion-MNIST that comes with the package: 10,000 + 2,000 images."""
    with np.load(Path(__file__).with_name("fashion_mnist.npz"), allow_pickle=False) as file:
        arrays = file["x_train"][..., None], file["y_train"], file["x_test"][..., None], file["y_test"]
    return dataset("fashion-mnist", *arrays, FASHION_MNIST)


def dataset(name, train_images, train_labels, val_images, val_labels, classes):
    """A `Dataset` of labels of any integer dtype."""
    return Dataset(
        name, train_images, train_labels.astype(np.int64), val_images, val_labels.astype(np.int64), tuple(map(one_name, classes))
    )
