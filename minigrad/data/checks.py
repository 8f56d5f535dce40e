"""What every reader of data checks: that a file can be read, that labels are numbers of classes, and classes those of training."""


class DataError(ValueError):
    """Data that cannot be used: one sentence that names the file or folder, what was found and what was expected."""


def read_file(path):
    """The bytes of a file. Raises DataError naming it."""
    try:
        return path.read_bytes()
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


def check_classes(found, known, val, train):
    """Raise DataError unless the names `found` in the folder `val` are among those `known` from the folder `train`."""
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise DataError(f"{val / unknown[0]} is a class that {train} does not have.")
