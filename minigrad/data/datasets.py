"""Data sets by their names: the embedded Fashion-MNIST, files of Fashion-MNIST and of CIFAR, folders of photographs, made-up images."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from minigrad.data.checks import DataError, at_home, check_labels
from minigrad.data.cifar import ARCHIVES, read_cifar
from minigrad.data.folders import SYSTEM, is_file, is_folder, read_folders, training_folder, visible
from minigrad.data.idx import FASHION_MNIST, read_fashion_mnist
from minigrad.data.images import Folder, Some, evenly_spaced, open_image
from minigrad.data.records import read_set
from minigrad.data.shards import Shards, is_prepared, load_prepared
from minigrad.names import one_name

KINDS = ("fashion-mnist:", *(f"{name}:" for name in ARCHIVES))  # of folders that hold files of their own format
GLANCES = 100  # photographs whose sizes say what a folder holds


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images to train and to validate with.

    name           short, fit for a file name
    *_images       uint8 (N, H, W, C), C 1 or 3; or a `Folder`, `Shards` or `Some`: sequences of uint8 (H, W, 3), read when asked for
    *_labels       int64 (N,), from 0 to len(classes) - 1
    classes        tuple of str
    ids            tuple of str, the classes' WordNet ids (folder names); of prepared sets only
    mean, colours  the training images' mean and components of colour (colour.py); of prepared sets only"""

    name: str
    train_images: np.ndarray | Folder | Shards | Some
    train_labels: np.ndarray
    val_images: np.ndarray | Folder | Shards | Some
    val_labels: np.ndarray
    classes: tuple
    ids: tuple = ()
    mean: np.ndarray | None = None
    colours: tuple | None = None


def load(spec=None, *, size=28, skip_bad=False, val_share=None, seed=0):
    """The data set that `spec` names; test images serve as validation images.

    None, "fashion-mnist"   the embedded part: 10,000 + 2,000 images, 28 x 28 grey
    "fashion-mnist:DIR"     the four IDX files, plain or .gz (MNIST's own have the same format)
    "cifar10:DIR"           the official archive, binary or Python version, unpacked
    "cifar100:DIR"          the same of CIFAR-100, its hundred fine classes
    DIR                     what `prepare` made, or DIR/train/<class>/* and DIR/val/<class>/*: image files, decoded on demand

    The photographs of a folder become squares of `size` pixels, or, from 64 on, of size * 256 / 224, so that crops of `size` can be cut
    from them. With skip_bad every file of a folder is decoded once on loading; what fails is left out and listed on stderr.

    val_share: the share of each class's training images, a number between 0 and 1, to validate with instead of the set's own validation
    images, which are left alone: drawn by the seed, the same ones each time (see `held_out`). Class folders may then lie in DIR itself.
    Raises DataError with one sentence for anything that is missing or broken."""
    spec = "fashion-mnist" if spec is None else os.fspath(spec)
    found = read(spec, size, skip_bad, val_share is None)
    return found if val_share is None else held_out(found, val_share, seed)


def read(spec, size, skip_bad, validate):
    """The data set that `spec` names. validate: whether folders of photographs must hold validation images."""
    if spec == "fashion-mnist":
        return embedded()
    kind, folder = parts(spec)
    if kind == "fashion-mnist:":
        return dataset("fashion-mnist", *read_fashion_mnist(existing(folder)), FASHION_MNIST)
    if kind:
        name = kind.removesuffix(":")
        return dataset(name, *read_cifar(ARCHIVES[name], existing(folder)))
    spec = at_home(spec)
    if is_prepared(spec):
        prepared = Dataset(**load_prepared(spec))
        for split, labels in (("train", prepared.train_labels), ("val", prepared.val_labels)):
            check_labels(labels, prepared.classes, Path(spec) / f"{split}-labels.npy")
        return prepared
    folder = existing(spec)
    pixels = round(size * 256 / 224) if size >= 64 else size
    return dataset(one_name(folder.resolve().name) or "images", *read_folders(folder, pixels, skip_bad, validate))


def held_out(dataset, share, seed):
    """The data set with that share of each class's training images to validate with: of n images share * n, rounded, at least one; which,
    is drawn from the seed and the class's number. The others train, in the order they had. Raises DataError for a class of one image."""
    labels, chosen = dataset.train_labels, np.zeros(len(dataset.train_labels), bool)
    for label, name in enumerate(dataset.classes):
        own = np.flatnonzero(labels == label)
        if len(own) == 1:
            raise DataError(f"{dataset.name} has one image of the class {name}, which cannot both train and validate.")
        count = min(max(1, round(share * len(own))), len(own) - 1)
        chosen[np.random.default_rng([seed, label]).permutation(own)[:count]] = len(own) > 0
    halves = {}
    for split, numbers in (("train", np.flatnonzero(~chosen)), ("val", np.flatnonzero(chosen))):
        images = dataset.train_images
        halves[f"{split}_images"] = images[numbers] if isinstance(images, np.ndarray) else Some(images, numbers)
        halves[f"{split}_labels"] = labels[numbers]
    return replace(dataset, **halves)


def parts(spec):
    """What comes before a folder in `spec`, as `load` takes it, and the folder: "cifar10:" and DIR; "" and DIR for photographs."""
    kind = next((kind for kind in KINDS if spec.startswith(kind)), "")
    return kind, spec.removeprefix(kind)


def absolute(spec):
    """`spec`, as `load` takes it, with the absolute path of its folder."""
    if spec == "fashion-mnist":
        return spec
    kind, folder = parts(spec)
    return kind + os.path.realpath(at_home(folder))


def only_classes(spec):
    """Whether `spec` names a folder of photographs without any to validate with, which `load` takes with a val_share alone."""
    folder = at_home(spec)
    named = spec == "fashion-mnist" or parts(spec)[0]
    return not named and not is_prepared(folder) and folder.is_dir() and not (folder / "val").is_dir()


def side(spec):
    """The shorter side in pixels of the photographs that `spec` names, prepared or not: the middle one of up to 100, evenly spaced, that
    can be opened. None if it names no folder of photographs."""
    folder = at_home(spec)
    if is_prepared(folder):
        return read_set(folder)["side"]
    if spec == "fashion-mnist" or parts(spec)[0] or not folder.is_dir():
        return None
    classes = [path for path in visible(training_folder(folder)) if is_folder(path) and path.name not in SYSTEM]
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
    folder = at_home(folder)
    if not folder.is_dir():
        kinds = "fashion-mnist, fashion-mnist:DIR, cifar10:DIR, cifar100:DIR or a folder with train/<class>/* and val/<class>/*"
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
