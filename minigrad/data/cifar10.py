"""The files of CIFAR-10, in either version of its archive: binary, or pickles of Python 2.

A pickle is a program. These are read with an interpreter that knows arrays of bytes and nothing else, so that no file can run code."""

import io
import pickle
import pickletools

import numpy as np

from minigrad.data.checks import DataError, check_labels, read_file

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()
RECORD = 1 + 3 * 32 * 32  # bytes of an image in the binary version: its label, then its red, green and blue values
BATCH = 10_000  # images in each file
MOST = 100_000_000  # bytes of a file; CIFAR-10's have 31 million
STEPS = 500_000  # of the program that a pickle is; CIFAR-10's have some 60,000


def read_cifar10(folder):
    """The archive unpacked into `folder` or its usual subfolder: images uint8 (N, 32, 32, 3) and labels (N,) to train, images and labels
    to test, and the classes' names. Raises DataError for a file that is missing or broken."""
    for version, ending, read, read_classes in (
        ("bin", ".bin", read_binary, binary_classes),
        ("py", "", read_pickle, pickle_classes),
    ):
        names = [f"{name}{ending}" for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")]
        for part_folder in (folder, folder / f"cifar-10-batches-{version}"):
            if any((part_folder / name).exists() for name in names):
                classes = read_classes(part_folder)
                parts = [read_part(part_folder / name, read, classes) for name in names]
                counts = [len(labels) for _, labels in parts]
                if min(counts) < max(counts) == BATCH:  # a download may break off between two images
                    raise DataError(
                        f"{part_folder / names[counts.index(min(counts))]} is cut off: it holds {min(counts):,} images, not {BATCH:,}."
                    )
                images, labels = (np.concatenate(arrays) for arrays in zip(*parts[:5], strict=True))
                return images, labels, *parts[5], classes
    raise DataError(
        f"{folder} holds no CIFAR-10; expected are data_batch_1.bin to data_batch_5.bin and test_batch.bin, or the same "
        "names without .bin, there or in cifar-10-batches-bin or cifar-10-batches-py."
    )


def read_part(path, read, classes):
    """Images (N, 32, 32, 3) and labels (N,) of one file. Its pixels are stored plane after plane: red, green, blue."""
    pixels, labels = read(path, read_file(path, MOST))
    if len(labels) == 0:
        raise DataError(f"{path} holds no images.")
    check_labels(labels, classes, path)
    return np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def read_binary(path, content):
    """Pixels (N, 3072) and labels (N,) of the content of a binary file."""
    if len(content) % RECORD:
        raise DataError(f"{path} is cut off or no CIFAR-10: its {len(content)} bytes are no multiple of {RECORD}, an image's.")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    return records[:, 1:], records[:, 0]


def binary_classes(folder):
    path = folder / "batches.meta.txt"
    return read_file(path, 1_000_000).decode(errors="replace").split() if path.exists() else CIFAR10


def read_pickle(path, content):
    """Pixels (N, 3072) and labels (N,) of the content of a pickle."""
    batch = unpickle(path, content)
    pixels, labels = batch.get("data"), batch.get("labels")
    pixels = pixels.bytes_of_images() if isinstance(pixels, PickledArray) else None
    if pixels is None or not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{path} is no CIFAR-10 batch: expected are data, bytes of shape (N, {RECORD - 1}), and labels, N integers.")
    if len(pixels) != len(labels):
        raise DataError(f"{path} holds {len(pixels)} images, but {len(labels)} labels.")
    return pixels, np.array(labels, object)


def pickle_classes(folder):
    path = folder / "batches.meta"
    if not path.exists():
        return CIFAR10
    names = unpickle(path, read_file(path, 1_000_000)).get("label_names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str | bytes) for name in names):
        raise DataError(f"{path} holds no list of label_names.")
    return [as_text(name) for name in names]


def unpickle(path, content):
    """The dictionary in a pickle, its keys as str. Nothing that the pickle names is imported or called."""
    try:
        check_program(content)
        found = Unpickler(content).load()
        return {as_text(key): value for key, value in found.items() if isinstance(key, str | bytes)}
    except Exception as error:  # a pickle is a program, and a broken one can fail in any way
        raise DataError(f"{path} cannot be read as a file of CIFAR-10's Python version: {error}.") from None


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
        return array if isinstance(dtype, PickledType) and dtype.code == "u1" and array.shape[1:] == (RECORD - 1,) else None


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
