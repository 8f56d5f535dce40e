"""Photographs in one folder for each class: which files there are, which of them are images, and what is left out."""

import sys
from contextlib import closing
from pathlib import Path

import numpy as np

from minigrad.data.ahead import on_all_cores
from minigrad.data.checks import DataError, known_classes
from minigrad.data.images import Folder, image_endings, open_image, read_image
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


def training_folder(folder):
    """Where the class folders of the training images lie: in folder/train or, where there is none, in `folder` itself."""
    return folder / "train" if (folder / "train").is_dir() else folder


def read_folders(folder, side, skip_bad, validate=True):
    """The photographs in folder/train/<class>/* and folder/val/<class>/*: a `Folder` of squares of `side` pixels and labels (N,) to train,
    the same to validate, and the classes' names. What is left out is said on stderr. Raises DataError.

    validate=False: those to train alone, which may lie in folder/<class>/*, and none to validate."""
    left = LeftOut()
    train, val = (folder / "train", folder / "val") if validate else (training_folder(folder), None)
    entries = {train: files_by_class(train, folder, left)}
    classes = list(entries[train])
    matched = known_classes(files_by_class(val, folder, left) if validate else {}, classes, val, train)
    if validate:
        entries[val] = matched
    arrays = []
    for place, files in entries.items():
        bad = bad_files([path for paths in files.values() for path in paths], skip_bad)
        files = {name: [path for path in paths if path not in bad] for name, paths in files.items()}
        for name, paths in files.items():
            if not paths:
                raise no_images(place / name)
        labels = np.repeat([classes.index(name) for name in files], [len(paths) for paths in files.values()])
        arrays += [Folder([path for paths in files.values() for path in paths], side), labels]
    if len(classes) < 2:
        raise DataError(f"{train} holds one class, {classes[0]}, but a network tells at least two apart.")
    if str(left):
        print(left, file=sys.stderr)
    if not validate:
        arrays += [Folder([], side), np.zeros(0, int)]
    return *arrays, classes


def files_by_class(folder, root, left):
    """{class: its files}, both sorted by name. What is not taken, such as folders within those of the classes, is added to `left` with its
    path within `root`. Raises DataError."""
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a folder; expected are image files as train/<class>/* and val/<class>/*, or with --val-share as <class>/*."
        )
    files = {}
    for path in visible(folder, root, left):
        if path.name in SYSTEM:
            left.add("files of the system", path.relative_to(root))
        elif is_folder(path):
            files[path.name] = image_files(path, root, left)
        else:
            left.add("files beside class folders", path.relative_to(root))
    if not files:
        raise DataError(
            f"{folder} holds no folder for a class; expected are image files as {folder.name}/<class>/*, but prepare also takes a tar for "
            "each class, and validation images with a file of labels."
        )
    return files


def image_files(folder, root, left):
    """The files in a folder, sorted by name; what is none is added to `left`. Raises DataError."""
    files = []
    for path in visible(folder, root, left):
        if path.name in SYSTEM:
            left.add("files of the system", path.relative_to(root))
        elif is_folder(path):
            left.add("folders within class folders", path.relative_to(root))
        elif is_file(path):
            files.append(path)
        else:
            left.add("links to nowhere, pipes and the like", path.relative_to(root))
    return files


def images_within(folder, left):
    """The image files in a folder and in the folders within it, by the endings of their names: a sorted list. What else there is, but for
    hidden files, is added to the `LeftOut` with its path; links to folders are not followed. Raises DataError if there is none."""
    paths, folders = [], [Path(folder)]
    while folders:
        for path in visible(folders.pop()):
            if path.name in SYSTEM:
                left.add("files of the system", path)
            elif is_folder(path):
                if path.is_symlink():
                    left.add("links to folders", path)
                else:
                    folders.append(path)
            elif path.suffix.lower() in image_endings() and is_file(path):
                paths.append(path)
            else:
                left.add("files that are no images by their names", path)
    if not paths:
        raise DataError(f"{folder} holds no image files.")
    return sorted(map(str, paths))


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


def visible(folder, root=None, left=None):
    """The paths in a folder that are not hidden, sorted by name: so on Windows, too, whose paths ignore case. Hidden ones are added to
    `left`, if given, with their path within `root`. Raises DataError."""
    try:
        paths = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}.") from None
    for path in paths if left is not None else ():
        if is_hidden(path.name) and not is_of_macos(path.name):
            left.add("hidden files", path.relative_to(root))
    return [path for path in paths if not is_hidden(path.name)]


def is_hidden(name):
    return name.startswith(".")


def is_of_macos(name):
    """Whether a name is of what macOS leaves in every folder and beside every file; nobody takes it for an image."""
    return name == ".DS_Store" or name.startswith("._")


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
