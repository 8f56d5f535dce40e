"""Data sets: labelled images to train on, and others to validate with.

Every file is checked before it is believed; what is wrong with it is a `DataError` of one sentence that names it."""

import gzip
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FASHION_CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR_RECORD = 1 + 3 * 32 * 32  # bytes: the label, then a plane of 32 x 32 for red, green and blue


class DataError(ValueError):
    """What is wrong with a data set or an image, and what would have been right, in one sentence."""


@dataclass(frozen=True)
class Dataset:
    """train_images, val_images: uint8 (N, H, W, C), C 1 or 3, or a `Folder`; the labels: int64 (N,), indices into `classes`."""

    name: str
    train_images: "np.ndarray | Folder"
    train_labels: np.ndarray
    val_images: "np.ndarray | Folder"
    val_labels: np.ndarray
    classes: tuple

    def __post_init__(self):
        for part in ("train", "val"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if len(images) == 0:
                raise DataError(f"{self.name} has no {'training' if part == 'train' else 'validation'} images; at least one is needed.")
            if len(images) != len(labels):
                raise DataError(f"{self.name} has {len(images)} {part} images but {len(labels)} labels; there must be one for each.")
            wrong = (labels < 0) | (labels >= len(self.classes))
            if wrong.any():
                i = int(wrong.argmax())
                raise DataError(
                    f"Label {labels[i]} of {part} image {i} of {self.name} is not one of the classes 0 to {len(self.classes) - 1}."
                )


def load(spec=None, *, size=28, skip_bad=False):
    """The data set of a description: None or "fashion-mnist" (embedded), "fashion-mnist:DIR" (IDX files), "cifar10:DIR" (the binary or
    the python archive, unpacked), or a folder with train/<class>/* and val/<class>/*.

    size: pixels that a network wants; images of a folder are prepared for it (see `Folder`). skip_bad: leave out images of a folder that
    cannot be decoded instead of raising DataError."""
    if spec in (None, "fashion-mnist"):
        with np.load(Path(__file__).with_name("fashion_mnist.npz"), allow_pickle=False) as file:
            x, y, x_val, y_val = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
        return Dataset("fashion-mnist", x[..., None], y.astype(np.int64), x_val[..., None], y_val.astype(np.int64), FASHION_CLASSES)
    kind, colon, folder = spec.partition(":")
    if colon and kind in ("fashion-mnist", "cifar10"):
        return {"fashion-mnist": fashion_mnist, "cifar10": cifar10}[kind](existing(folder))
    return class_folders(existing(spec), size, skip_bad)


def existing(folder):
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"There is no data folder {folder}; --data takes fashion-mnist, fashion-mnist:DIR, cifar10:DIR or DIR.")
    if not any(folder.iterdir()):
        raise DataError(f"The data folder {folder} is empty.")
    return folder


# ---- Fashion-MNIST


def fashion_mnist(folder):
    """The four IDX files of Fashion-MNIST (or MNIST), gzipped or not."""
    x, y, x_val, y_val = (read_idx(find_idx(folder, name), 3 if "images" in name else 1) for name in IDX_FILES)
    return Dataset("fashion-mnist", x[..., None], y.astype(np.int64), x_val[..., None], y_val.astype(np.int64), FASHION_CLASSES)


def find_idx(folder, name):
    for spelling in (name, name.replace("-idx", ".idx")):
        for path in (folder / spelling, folder / f"{spelling}.gz"):
            if path.is_file():
                return path
    raise DataError(f"There is no {name} or {name}.gz in {folder}; Fashion-MNIST has {', '.join(IDX_FILES)}.")


def read_idx(path, axes):
    """A uint8 array with that many axes from an IDX file: 0 0 8 axes, then each axis' size as 4 bytes, big end first, then the numbers."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from None
    magic = bytes((0, 0, 8, axes))
    if content[:4] != magic:
        raise DataError(f"{path} begins with {content[:4].hex(' ')}, but an IDX file of {axes} axes of bytes begins with {magic.hex(' ')}.")
    header = 4 + 4 * axes
    shape = tuple(int(n) for n in np.frombuffer(content[4:header].ljust(4 * axes, b"\0"), ">u4"))
    expected = header + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise DataError(f"{path} has {len(content):,} bytes, but its header speaks of {expected:,}: it is cut off or damaged.")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


# ---- CIFAR-10


def cifar10(folder):
    """CIFAR-10 from its binary archive (*.bin) or its python archive (pickles, of which no code is run)."""
    for place in (folder, folder / "cifar-10-batches-bin", folder / "cifar-10-batches-py"):
        for suffix, read in ((".bin", read_cifar_binary), ("", read_cifar_pickle)):
            if (place / f"data_batch_1{suffix}").is_file():
                names = [f"data_batch_{i}{suffix}" for i in range(1, 6)]
                parts = [read(need(place, name)) for name in (*names, f"test_batch{suffix}")]
                images, labels = (np.concatenate([part[i] for part in parts[:5]]) for i in (0, 1))
                return Dataset("cifar10", images, labels, *parts[5], CIFAR_CLASSES)
    raise DataError(f"There is no data_batch_1.bin and no data_batch_1 in {folder}; unpack CIFAR-10's binary or python archive there.")


def need(place, name):
    if not (place / name).is_file():
        raise DataError(f"{name} is missing in {place}; CIFAR-10 has five training batches and one of test images.")
    return place / name


def planes_to_images(planes):
    """(N, 3072) -> (N, 32, 32, 3)."""
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def read_cifar_binary(path):
    content = path.read_bytes()
    if not content or len(content) % CIFAR_RECORD:
        raise DataError(
            f"{path} has {len(content):,} bytes, which is no multiple of {CIFAR_RECORD} (a label and 3 x 32 x 32): it is cut off."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, CIFAR_RECORD)
    check_cifar_labels(path, records[:, 0])
    return planes_to_images(records[:, 1:]), records[:, 0].astype(np.int64)


def check_cifar_labels(path, labels):
    if labels.max() > 9 or labels.min() < 0:
        i = int((labels > 9).argmax())
        raise DataError(f"Label {labels[i]} of image {i} in {path} is not one of the classes 0 to 9.")


class ArraysOnly(pickle.Unpickler):
    """Builds dicts, lists, strings and NumPy arrays; anything else that a pickle may ask for, it refuses, and so runs no code."""

    allowed = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }

    def find_class(self, module, name):
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no part of a data set")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_cifar_pickle(path):
    try:
        with open(path, "rb") as file:
            batch = ArraysOnly(file, encoding="bytes").load()
        planes, labels = np.asarray(batch[b"data"], np.uint8), np.asarray(batch[b"labels"], np.int64)
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DataError(f"{path} is no batch of CIFAR-10 or is cut off: {error}.") from None
    if planes.ndim != 2 or planes.shape[1] != 3072 or labels.shape != planes.shape[:1]:
        raise DataError(f"{path} holds data {planes.shape} and labels {labels.shape}, but CIFAR-10 has (N, 3072) and (N,).")
    check_cifar_labels(path, labels)
    return planes_to_images(planes), labels


# ---- image files


def read_image(path):
    """An image file as uint8 (H, W, 3): turned as its EXIF says, grey and palette as colours, what is transparent on white.

    Raises DataError with the file's name if it cannot be decoded."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            image.load()
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):  # 16 or 32 bits of grey: Pillow's own conversion would clip at 255
                grey = np.asarray(image, np.float64)
                deep = grey.max(initial=0) > 255
                image = Image.fromarray((grey / 257 if deep else grey).clip(0, 255).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            return np.array(image.convert("RGB"))
    except FileNotFoundError:
        raise DataError(f"There is no image {path}.") from None
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise DataError(f"{path} cannot be decoded as an image: {error}.") from None


def fit(image, height, width):
    """uint8 (H, W, 3) -> uint8 (height, width, 3): resized until it just covers that, then its centre."""
    from PIL import Image

    H, W = image.shape[:2]
    scale = max(height / H, width / W)
    box_h, box_w = height / scale, width / scale
    top, left = (H - box_h) / 2, (W - box_w) / 2
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC, box=(left, top, left + box_w, top + box_h))
    return np.asarray(resized)


class Folder:
    """Image files as a sequence of uint8 (size, size, 3), decoded when they are asked for: the shorter side resized to `size`, the centre kept."""

    def __init__(self, paths, size):
        self.paths, self.size = list(paths), size

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        return fit(read_image(self.paths[i]), self.size, self.size)


def class_folders(folder, size, skip_bad):
    """DIR/train/<class>/* and DIR/val/<class>/*. Crops of 224 are taken from images of 256 (paper §2, §4.1)."""
    size = size if size < 64 else round(size * 256 / 224)
    for part in ("train", "val"):
        if not (folder / part).is_dir():
            raise DataError(f"There is no folder {folder / part}; {folder} must hold train/<class>/* and val/<class>/*.")
    classes = folders_in(folder / "train")
    if len(classes) < 2:
        raise DataError(f"{folder / 'train'} has {len(classes)} class folders; at least 2 are needed, each with its images.")
    unknown = set(folders_in(folder / "val")) - set(classes)
    if unknown:
        raise DataError(f"The class {min(unknown)} in {folder / 'val'} is not in {folder / 'train'}.")
    parts = []
    for part in ("train", "val"):
        paths, labels = [], []
        for label, name in enumerate(classes):
            place = folder / part / name
            for path in sorted(place.iterdir()) if place.is_dir() else ():
                if path.is_file() and not path.name.startswith("."):
                    paths.append(path)
                    labels.append(label)
        good = [i for i, path in enumerate(paths) if readable(path, skip_bad)]
        parts += [Folder([paths[i] for i in good], size), np.array([labels[i] for i in good], np.int64)]
    return Dataset(folder.resolve().name, *parts, tuple(classes))


def folders_in(folder):
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())


def readable(path, skip_bad):
    """Whether the file is an image. Without skip_bad only its header is looked at, and a bad one is a DataError."""
    from PIL import Image

    if skip_bad:
        try:
            read_image(path)
        except DataError:
            return False
        return True
    try:
        with Image.open(path):
            return True
    except Exception as error:
        raise DataError(f"{path} is no image that can be decoded ({error}); --skip-bad leaves such files out.") from None


def synthetic(size, classes, count, seed):
    """Made-up images (count, size, size, 3) to try things out with: noise over stripes whose direction and colour depend on the label."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] * (8 * np.pi / size)
    angles = np.pi * np.arange(classes) / classes
    stripes = np.sin(np.cos(angles)[:, None, None] * rows + np.sin(angles)[:, None, None] * columns)
    patterns = 128 + 40 * stripes[..., None] * rng.uniform(0.5, 1, (classes, 1, 1, 3))

    def some(n):
        labels = rng.integers(0, classes, n)
        noise = rng.integers(-60, 61, (n, size, size, 3), dtype=np.int16)
        return (patterns.astype(np.int16)[labels] + noise).clip(0, 255).astype(np.uint8), labels

    return Dataset("synthetic", *some(count), *some(max(1, count // 8)), tuple(f"stripes {i}" for i in range(classes)))
