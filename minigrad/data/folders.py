"""Photographs in one folder for each class: which files there are, and which of them are images."""

import sys
from contextlib import closing

import numpy as np

from minigrad.data.ahead import on_all_cores
from minigrad.data.checks import DataError, check_classes
from minigrad.data.images import Folder, open_image, read_image

GLANCES = 50_000  # of up to so many files the headers are read on loading; of more that would take minutes


def read_folders(folder, side, skip_bad):
    """The photographs in folder/train/<class>/* and folder/val/<class>/*: a `Folder` of squares of `side` pixels and labels (N,) to train,
    the same to validate, and the classes' names. Raises DataError."""
    entries = {split: files_by_class(folder / split) for split in ("train", "val")}
    classes = list(entries["train"])
    check_classes(entries["val"], classes, folder / "val", folder / "train")
    arrays = []
    for split, files in entries.items():
        bad = bad_files([path for paths in files.values() for path in paths], skip_bad)
        files = {name: [path for path in paths if path not in bad] for name, paths in files.items()}
        for name, paths in files.items():
            if not paths:
                raise DataError(f"{folder / split / name} holds no images.")
        labels = np.repeat([classes.index(name) for name in files], [len(paths) for paths in files.values()])
        arrays += [Folder([path for paths in files.values() for path in paths], side), labels]
    return *arrays, classes


def files_by_class(folder):
    """{class: its files}, both sorted by name; hidden files (.DS_Store, ...) are left out. Raises DataError."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected are image files as train/<class>/* and val/<class>/*.")
    files = {path.name: [p for p in visible(path) if p.is_file()] for path in visible(folder) if path.is_dir()}
    if not files:
        raise DataError(f"{folder} holds no folder for a class; expected are image files as {folder.name}/<class>/*.")
    return files


def visible(folder):
    """The paths in a folder that are not hidden, sorted by name: so on Windows, too, whose paths ignore case. Raises DataError."""
    try:
        return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: path.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}.") from None


def bad_files(paths, skip_bad):
    """The set of files that are no images, listed on stderr; without skip_bad the first of them raises DataError.

    With skip_bad every file is decoded, so that none can fail later; without it only headers are read."""
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

    with closing(on_all_cores(trouble, paths)) as troubles:
        bad = {path: error for path, error in zip(paths, troubles, strict=True) if error}
    if bad:
        print(f"Left out, {len(bad)} of {len(paths)} files:", *bad.values(), sep="\n  ", file=sys.stderr)
    return set(bad)
