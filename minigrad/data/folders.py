"""Photographs in one folder for each class: which files there are, which of them are images, and what is left out."""

import sys
from contextlib import closing

import numpy as np

from minigrad.data.ahead import on_all_cores
from minigrad.data.checks import DataError, known_classes
from minigrad.data.images import Folder, open_image, read_image
from minigrad.names import shown

GLANCES = 50_000  # of up to so many files the headers are read on loading; of more that would take minutes
SYSTEM = {"Thumbs.db", "desktop.ini", "Icon\r", "__MACOSX", "@eaDir"}  # what systems leave beside images
NAMED = 5  # of what is left out so many are named, the others counted


class LeftOut:
    """What was found in a data set and not taken: {why, as in "folders within class folders": [names]}."""

    def __init__(self):
        self.names = {}

    def add(self, why, name):
        self.names.setdefault(why, []).append(str(name))

    def __str__(self):
        """One line, "Left out: folders within class folders (2: train/cat/a, train/cat/b)", empty if nothing was."""
        parts = []
        for why, names in self.names.items():
            some = ", ".join(names[:NAMED]) + ", ..." * (len(names) > NAMED)
            parts.append(f"{why} ({len(names):,}: {some})")
        return shown("Left out: " + "; ".join(parts)).replace("\n", "\\n") if parts else ""


def read_folders(folder, side, skip_bad):
    """The photographs in folder/train/<class>/* and folder/val/<class>/*: a `Folder` of squares of `side` pixels and labels (N,) to train,
    the same to validate, and the classes' names. What is left out is said on stderr. Raises DataError."""
    left = LeftOut()
    entries = {split: files_by_class(folder / split, folder, left) for split in ("train", "val")}
    classes = list(entries["train"])
    entries["val"] = known_classes(entries["val"], classes, folder / "val", folder / "train")
    arrays = []
    for split, files in entries.items():
        bad = bad_files([path for paths in files.values() for path in paths], skip_bad)
        files = {name: [path for path in paths if path not in bad] for name, paths in files.items()}
        for name, paths in files.items():
            if not paths:
                raise no_images(folder / split / name)
        labels = np.repeat([classes.index(name) for name in files], [len(paths) for paths in files.values()])
        arrays += [Folder([path for paths in files.values() for path in paths], side), labels]
    if len(classes) < 2:
        raise DataError(f"{folder / 'train'} holds one class, {classes[0]}, but a network tells at least two apart.")
    if str(left):
        print(left, file=sys.stderr)
    return *arrays, classes


def files_by_class(folder, root, left):
    """{class: its files}, both sorted by name. Hidden files (.DS_Store, ...) are passed over; what else is not taken, folders within those
    of the classes among it, is added to `left` with its path within `root`. Raises DataError."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected are image files as train/<class>/* and val/<class>/*.")
    files = {}
    for path in visible(folder):
        if path.name in SYSTEM:
            continue
        if is_folder(path):
            files[path.name] = image_files(path, root, left)
        else:
            left.add("files beside class folders", path.relative_to(root))
    if not files:
        raise DataError(f"{folder} holds no folder for a class; expected are image files as {folder.name}/<class>/*.")
    return files


def image_files(folder, root, left):
    """The files in a folder, sorted by name; what is none is added to `left`. Raises DataError."""
    files = []
    for path in visible(folder):
        if path.name in SYSTEM:
            left.add("files of the system", path.relative_to(root))
        elif is_folder(path):
            left.add("folders within class folders", path.relative_to(root))
        elif is_file(path):
            files.append(path)
        else:
            left.add("links to nowhere, pipes and the like", path.relative_to(root))
    return files


def no_images(folder):
    """The DataError for the folder of a class, which holds no images."""
    inner = [path.name for path in visible(folder) if is_folder(path)] if is_folder(folder) else []
    return DataError(f"{folder} holds no images{', only folders such as ' + inner[0] if inner else ''}.")


def is_folder(path):
    """Whether `path` is a folder; a link that leads to itself is none."""
    try:
        return path.is_dir()
    except (OSError, RuntimeError):
        return False


def is_file(path):
    try:
        return path.is_file()
    except (OSError, RuntimeError):
        return False


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
