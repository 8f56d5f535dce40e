"""The files of CIFAR-10 and CIFAR-100, in either version of their archives: binary, or pickles of Python 2.

A pickle is a program. These are read with an interpreter that knows arrays of bytes and nothing else, so that no file can run code."""

import io
import pickle
import pickletools
from dataclasses import dataclass

import numpy as np

from minigrad.data.checks import DataError, check_labels, read_file

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()
PIXELS = 3 * 32 * 32  # bytes of an image: its red, green and blue values
MOST = 200_000_000  # bytes of a file; the largest, CIFAR-100's, has 155 million
STEPS = 500_000  # of the program that a pickle is; the longest, CIFAR-100's, has some 200,000


@dataclass(frozen=True)
class Archive:
    """What the archives differ in. folders, endings, class_files: of the binary version and of Python's.

    train, test   names of the files with images, less the ending
    images        in each of them, {name: how many}; a download may break off between two images
    label_bytes   before each image of the binary version; the last is its class, one before that CIFAR-100's superclass
    label_key     of the labels in a pickle, name_key of the classes' names
    classes       their names, where the archive lacks the file with them; None if it must be there"""

    name: str
    folders: tuple[str, str]
    train: tuple[str, ...]
    test: str
    images: dict[str, int]
    label_bytes: int
    label_key: str
    name_key: str
    class_files: tuple[str, str]
    classes: list[str] | None
    endings: tuple[str, str] = (".bin", "")

    @property
    def record(self):
        """Bytes of an image in the binary version, its labels first."""
        return self.label_bytes + PIXELS


BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
ARCHIVES = {
    "cifar10": Archive(
        name="CIFAR-10",
        folders=("cifar-10-batches-bin", "cifar-10-batches-py"),
        train=BATCHES,
        test="test_batch",
        images=dict.fromkeys((*BATCHES, "test_batch"), 10_000),
        label_bytes=1,
        label_key="labels",
        name_key="label_names",
        class_files=("batches.meta.txt", "batches.meta"),
        classes=CIFAR10,
    ),
    "cifar100": Archive(
        name="CIFAR-100",
        folders=("cifar-100-binary", "cifar-100-python"),
        train=("train",),
        test="test",
        images={"train": 50_000, "test": 10_000},
        label_bytes=2,
        label_key="fine_labels",
        name_key="fine_label_names",
        class_files=("fine_label_names.txt", "meta"),
        classes=None,
    ),
}


def read_cifar(archive, folder):
    """The `Archive` unpacked into `folder` or its usual subfolder: images uint8 (N, 32, 32, 3) and labels (N,) to train, images and labels
    to test, and the classes' names. Raises DataError for a file that is missing or broken."""
    for inside, ending, class_file, read, read_classes in zip(
        archive.folders, archive.endings, archive.class_files, (read_binary, read_pickle), (binary_classes, pickle_classes), strict=True
    ):
        names = [*archive.train, archive.test]
        for part_folder in (folder, folder / inside):
            paths = {name: part_folder / f"{name}{ending}" for name in names}
            if any(path.is_file() for path in paths.values()):
                classes = read_classes(archive, part_folder / class_file)
                parts = [read_part(archive, path, read, classes) for path in paths.values()]
                compare_counts(archive, dict(zip(names, (len(labels) for _, labels in parts), strict=True)), paths)
                images, labels = (np.concatenate(arrays) for arrays in zip(*parts[:-1], strict=True))
                return images, labels, *parts[-1], classes
    first, last = archive.train[0], archive.train[-1]
    train = f"{first}.bin to {last}.bin" if first != last else f"{first}.bin"
    raise DataError(
        f"{folder} holds no {archive.name}; expected are {train} and {archive.test}.bin, or the same names without .bin, there or in "
        f"{' or '.join(archive.folders)}."
    )


def compare_counts(archive, counts, paths):
    """Raises DataError for the shortest of the files if others are complete. None is, where an archive has been made anew with fewer."""
    short = [name for name in counts if counts[name] < archive.images[name]]
    if short and len(short) < len(counts):
        name = min(short, key=counts.get)
        raise DataError(f"{paths[name]} is cut off: it holds {counts[name]:,} images, not {archive.images[name]:,}.")


def read_part(archive, path, read, classes):
    """Images (N, 32, 32, 3) and labels (N,) of one file. Its pixels are stored plane after plane: red, green, blue."""
    pixels, labels = read(archive, path, read_file(path, MOST))
    if len(labels) == 0:
        raise DataError(f"{path} holds no images.")
    check_labels(labels, classes, path)
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def read_binary(archive, path, content):
    """Pixels (N, 3072) and labels (N,) of the content of a binary file."""
    if len(content) % archive.record:
        raise DataError(
            f"{path} is cut off or no {archive.name}: its {len(content)} bytes are no multiple of {archive.record}, an image's."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, archive.record)
    return records[:, archive.label_bytes :], records[:, archive.label_bytes - 1]


def binary_classes(archive, path):
    if not path.exists() and archive.classes is not None:
        return archive.classes
    return read_file(path, 1_000_000).decode(errors="replace").split()


def read_pickle(archive, path, content):
    """Pixels (N, 3072) and labels (N,) of the content of a pickle."""
    batch = unpickle(archive, path, content)
    pixels, labels = batch.get("data"), batch.get(archive.label_key)
    pixels = pixels.bytes_of_images() if isinstance(pixels, PickledArray) else None
    if pixels is None or not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(
            f"{path} is no file of {archive.name}: expected are data, bytes of shape (N, {PIXELS}), and {archive.label_key}, N integers."
        )
    if len(pixels) != len(labels):
        raise DataError(f"{path} holds {len(pixels)} images, but {len(labels)} labels.")
    return pixels, np.array(labels, object)


def pickle_classes(archive, path):
    if not path.exists() and archive.classes is not None:
        return archive.classes
    names = unpickle(archive, path, read_file(path, 1_000_000)).get(archive.name_key)
    if not isinstance(names, list) or not names or not all(isinstance(name, str | bytes) for name in names):
        raise DataError(f"{path} holds no list of {archive.name_key}.")
    return [as_text(name) for name in names]


def unpickle(archive, path, content):
    """The dictionary in a pickle, its keys as str. Nothing that the pickle names is imported or called."""
    try:
        check_program(content)
        found = Unpickler(content).load()
        return {as_text(key): value for key, value in found.items() if isinstance(key, str | bytes)}
    except Exception as error:  # a pickle is a program, and a broken one can fail in any way
        raise DataError(f"{path} cannot be read as a file of {archive.name}'s Python version: {error}.") from None


def check_program(content):
    """Raise UnpicklingError for a pickle that could take much time or memory: many steps, places in memory far beyond them, or a tuple
    used twice, of which a few dozen lines make one that takes for ever to compare."""
    tuples, names, before = set(), 0, ""
    for step, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if step > STEPS or opcode.name == "DUP":
            raise pickle.UnpicklingError("it is a program of another kind")
        if opcode.name == "MEMOIZE":
            argument, names = names, names + 1
        elif "PUT" in opcode.name:
            argument, names = int(argument), names + 1
            if not 0 <= argument <= STEPS:
                raise pickle.UnpicklingError(f"it stores something as number {argument}")
        elif "GET" in opcode.name and int(argument) in tuples:
            raise pickle.UnpicklingError("it uses a tuple twice")
        if (opcode.name == "MEMOIZE" or "PUT" in opcode.name) and "TUPLE" in before:
            tuples.add(argument)
        if opcode.name not in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            before = opcode.name


def as_text(value):
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


class PickledArray:
    """Stands in for a NumPy array while a pickle is read, and keeps what the pickle says of it."""

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
        return array if isinstance(dtype, PickledType) and dtype.code == "u1" and array.shape[1:] == (PIXELS,) else None


class PickledType:
    """Stands in for a NumPy dtype; code "u1" means unsigned bytes."""

    def __init__(self, code, *_):
        self.code = as_text(code) if isinstance(code, str | bytes) else None

    def __setstate__(self, state):
        """Would set the byte order, which single bytes do not have."""


class Unpickler(pickle.Unpickler):
    """An unpickler that imports nothing: the names that arrays are made of get harmless stand-ins, every other name is refused."""

    STAND_INS = {
        ("numpy.core.multiarray", "_reconstruct"): PickledArray,
        ("numpy._core.multiarray", "_reconstruct"): PickledArray,
        ("numpy", "ndarray"): PickledArray,
        ("numpy", "dtype"): PickledType,
    }

    def __init__(self, content):
        super().__init__(io.BytesIO(content), encoding="latin1")
        self.left = 2 * len(content)  # bytes that may be encoded, or a short program could ask for gigabytes

    def latin1(self, text, encoding):
        """Stands in for codecs.encode, with which newer pickles write bytes."""
        self.left -= len(text)
        if encoding != "latin1" or self.left < 0:
            raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
        return text.encode("latin1")

    def find_class(self, module, name):
        if (module, name) == ("_codecs", "encode"):
            return self.latin1
        try:
            return self.STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, but only arrays of numbers are allowed") from None
