"""What every reader of data checks: that a file can be read, that labels are numbers of classes, and classes those of training."""

import os
import stat
import unicodedata
from pathlib import Path

from minigrad.names import shown


class DataError(ValueError):
    """Data that cannot be used: one sentence that names the file or folder, what was found and what was expected."""

    def __init__(self, sentence):
        super().__init__(shown(sentence).replace("\n", "\\n"))


def at_home(path):
    """The `Path` with ~ and ~name as the home folder; of somebody who is not known it stays as it is."""
    return Path(os.path.expanduser(path))


def open_file(path):
    """The file `path`, opened to read bytes. Raises DataError for what is no regular file: a pipe would be waited for without end."""
    try:
        # A pipe is opened without waiting; for a regular file O_NONBLOCK means nothing.
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # a name with a null character
        raise DataError(f"{path} cannot be read: {error}.") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise DataError(f"{path} cannot be read: it is no file but a pipe or a device.")
    return file


def read_file(path, most=None):
    """The bytes of a file. Raises DataError naming it, also if there are more than `most`."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise DataError(f"{path} holds {size:,} bytes, but more than {most:,} are never needed.")
        try:
            return file.read()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from None


def check_labels(labels, classes, path):
    """Raise DataError naming the file `path` unless each of `labels` (N,) is from 0 to len(classes) - 1."""
    if len(labels) == 0:
        return
    low, high = labels.min(), labels.max()
    if low < 0 or high >= len(classes):
        wrong = low if low < 0 else high
        raise DataError(f"{path} holds the label {wrong}, but the {len(classes)} classes are numbered 0 to {len(classes) - 1}.")


def known_classes(found, known, val, train):
    """{class: files} of the folder `val`, with the names `known` from the folder `train`: accents may be stored in another form there.

    Raises DataError for a class that training does not have, and for two whose names differ in that form only."""
    composed = {}
    for name in known:
        twin = composed.setdefault(unicodedata.normalize("NFC", name), name)
        if twin != name:
            raise DataError(f"{train} holds two classes whose names look the same, {ascii(twin)} and {ascii(name)}: rename one of them.")
    matched = {}
    for name, files in found.items():
        own = composed.get(unicodedata.normalize("NFC", name))
        if own is None:
            packed = f", only {name}.tar: unpack it, or use prepare, which reads tars" if (train / f"{name}.tar").is_file() else ""
            raise DataError(f"{val / name} is a class that {train} does not have{packed}.")
        if own in matched:
            raise DataError(f"{val} holds two classes whose names look the same, {ascii(own)} and {ascii(name)}: rename one of them.")
        matched[own] = files
    return {name: matched[name] for name in known if name in matched}
