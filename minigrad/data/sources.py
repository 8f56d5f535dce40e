"""Where the images of a data set are: class folders, or ILSVRC's own files, a training tar of tars, validation images without classes
and a file of their labels."""

import fnmatch
import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from minigrad.data.checks import DataError, at_home, known_classes, open_file
from minigrad.data.devkit import Devkit
from minigrad.data.folders import SYSTEM, LeftOut, files_by_class, image_files, is_folder, is_hidden, is_of_macos, no_images, visible
from minigrad.data.images import FILE
from minigrad.data.labels import read_text, tokens_of
from minigrad.data.tars import members

# Files that may hold the labels of validation images without class folders, and the classes' names; the first that exists is read.
LABELS = ("LOC_val_solution.csv", "val.txt", "*val*labels*.txt", "*validation_ground_truth.txt")
NAMES = ("LOC_synset_mapping.txt", "synset_words.txt", "words.txt")


class ImageFile(NamedTuple):
    """Where an image file is: its path within the source; of a file in a tar also its first byte, its number of bytes and its name."""

    path: str
    offset: int | None = None
    size: int | None = None
    name: str | None = None

    def __str__(self):
        return self.path if self.name is None else f"{self.path}: {self.name}"

    def read(self, root):
        """The bytes of the file. Raises DataError naming it, also if it holds more than any photograph."""
        path = root / self.path
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size if self.size is None else self.size
            if not 0 <= size <= FILE:
                raise DataError(f"{self} holds {size:,} bytes; images of more than {FILE:,} are not opened.")
            try:
                file.seek(self.offset or 0)
                return file.read(size)
            except OSError as error:
                raise DataError(f"{path} cannot be read: {error.strerror}.") from None


@dataclass(frozen=True)
class Source:
    """What was found in a folder.

    root    the folder
    ids     the classes' folder names, sorted; in ImageNet they are WordNet ids
    names   what the classes are called
    splits  {"train": [(label, ImageFile), ...], "val": [...]}, sorted by class and name
    left    what else was found"""

    root: Path
    ids: tuple
    names: tuple
    splits: dict
    left: LeftOut = field(default_factory=LeftOut)


def find(root, labels=None):
    """What the folder `root` holds: a `Source`.

    Training images   train/<class>/*, or train/<class>.tar, or a tar of such tars (ILSVRC2012_img_train.tar)
    validation images val/<class>/*, or without classes in val/* or a tar (ILSVRC2012_img_val.tar), with a file of labels:
                      the devkit's ground truth (the devkit unpacked or as .tar.gz), Caffe's val.txt, Kaggle's
                      LOC_val_solution.csv, or lines of class ids in the order of the files' names
    labels            that file, if it is not in `root`

    Raises DataError with one sentence for anything that is missing or does not fit together."""
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; expected is one with train/<class>/* and val/<class>/*, or ILSVRC's tar files.")
    train, val = part_of(root, "train"), part_of(root, "val")
    left = LeftOut()
    by_class = places_by_class(root, train, left)
    ids = tuple(sorted(by_class))
    numbers = {name: i for i, name in enumerate(ids)}
    splits = {"train": [(numbers[name], image) for name in ids for image in by_class[name]]}
    if len(ids) < 2:
        raise DataError(f"{train} holds one class, {ids[0]}, but a network tells at least two apart.")
    if val.is_dir() and any(is_folder(path) and path.name not in SYSTEM for path in visible(val)):
        if labels is not None:
            raise DataError(f"{val} holds a folder for each class, so {labels} has nothing to say: leave the file of labels out.")
        found = known_classes(places_by_class(root, val, left), ids, val, train)
        splits["val"] = [(numbers[name], image) for name in sorted(found) for image in found[name]]
    else:
        splits["val"] = without_classes(root, val, numbers, labels, left)
    return Source(root, ids, names_of(root, ids), splits, left)


def part_of(root, split):
    """The folder or tar of a split, "train" or "val"."""
    if (root / split).is_dir():
        return root / split
    tars = [path for path in visible(root) if path.suffix == ".tar" and split in path.name.lower()]
    if len(tars) == 1:
        return tars[0]
    found = "none" if not tars else " and ".join(path.name for path in tars)
    raise DataError(f"{root} holds no folder {split}, so it should hold one tar file whose name has {split} in it, but there is {found}.")


def places_by_class(root, part, left):
    """{class: [ImageFile, ...]}, sorted, of a folder of class folders or class tars, or of a tar of tars. What is not taken is added to
    `left`."""
    if part.is_dir():
        classes = unpacked_and_packed(root, part, left)
    else:
        classes = nested(part, part.relative_to(root), left)
    for name, images in classes.items():
        if not images:
            raise no_images(part / name)
    return classes


def unpacked_and_packed(root, part, left):
    """`places_by_class` of a folder: some classes may be folders and others tars still, and tars may be left of what was unpacked."""
    beside = LeftOut()
    tars = {path.stem: path for path in visible(part) if path.suffix == ".tar"}
    folders = any(is_folder(path) for path in visible(part)) or not tars
    files = files_by_class(part, root, beside) if folders else {}
    for why, names in beside.names.items():
        for name in names:
            if not (why == "files beside class folders" and name.endswith(".tar")):
                left.add(why, name)
    classes = {name: [ImageFile(path.relative_to(root).as_posix()) for path in paths] for name, paths in files.items()}
    for name, path in tars.items():
        found = images_in(path, path.relative_to(root), 0, None, left)
        if found and all(image.name.endswith(".tar") for image in found):
            if not classes and len(tars) == 1:
                return nested(path, path.relative_to(root), left)
            left.add("tars of tars beside the classes", path.relative_to(root))
        elif name not in classes:
            classes[name] = found
        elif {Path(image.name).name for image in found} == {Path(image.path).name for image in classes[name]}:
            left.add("tars whose images are unpacked beside them", path.relative_to(root))
        else:
            raise DataError(
                f"{part} holds the class {name} twice, {len(classes[name]):,} images in a folder and {len(found):,} others in {path.name}: "
                "unpack the tar whole, or remove one of them."
            )
    return dict(sorted(classes.items()))


def nested(path, relative, left):
    """{class: [ImageFile, ...]} of a tar of tars; only headers are read, nothing is unpacked."""
    from tqdm import tqdm

    found = images_in(path, relative, 0, None, left)
    inner = [image for image in found if image.name.endswith(".tar")]
    if not inner:
        raise DataError(f"{path} holds no tar files, one for each class, as ILSVRC's training images have them.")
    for image in found:
        if not image.name.endswith(".tar"):
            left.add("files beside the classes' tars", image)
    classes = {}
    for image in tqdm(inner, desc=f"reading {path.name}", unit=" classes", disable=None, leave=False):
        name = Path(image.name).stem
        if name in classes:
            raise DataError(f"{path} holds {name}.tar twice.")
        classes[name] = images_in(path, relative, image.offset, image.size, left)
    return classes


def images_in(path, relative, offset, size, left):
    """The files in a tar, or in one within it (see `members`), that are not hidden, as [ImageFile, ...] sorted by name."""
    found, others = members(path, offset, size)
    for name in others:
        left.add("links and the like in tars", f"{relative}: {name}")
    images = [ImageFile(relative.as_posix(), at, size, name) for name, at, size in found]
    for image in images:
        if is_hidden(Path(image.name).name) and not is_of_macos(Path(image.name).name):
            left.add("hidden files", image)
    return sorted((image for image in images if not is_hidden(Path(image.name).name)), key=lambda image: image.name)


# ---- validation images without class folders, and their labels


def without_classes(root, part, numbers, labels, left):
    """[(label, ImageFile), ...], sorted, of validation images that lie side by side. numbers: {class id: label}."""
    if part.is_dir():
        images = [ImageFile(path.relative_to(root).as_posix()) for path in image_files(part, root, left)]
    else:
        images = images_in(part, part.relative_to(root), 0, None, left)
    if not images:
        raise DataError(f"{part} holds no images.")
    path, text, synsets = label_text(root, labels)
    numbers = {unicodedata.normalize("NFC", name): number for name, number in numbers.items()}
    names = [Path(image.name or image.path).name for image in images]
    tokens, named = tokens_of(path, text, names, numbers, part)
    return sorted(
        ((label_of(path, token, numbers, named, synsets), image) for token, image in zip(tokens, images, strict=True)),
        key=lambda pair: (pair[0], pair[1].name or pair[1].path),
    )


def label_text(root, labels):
    """The path of the file of labels, its text, and {ILSVRC id: WordNet id}, empty without a devkit."""
    if labels is not None:
        path = at_home(labels)
        if not path.is_file():
            raise DataError(f"There is no file of labels at {path}.")
    else:
        path = first_file(root, LABELS)
    devkit = find_devkit(root if path is None else path.parent) or find_devkit(root)
    synsets = {} if devkit is None else {number: wnid for number, (wnid, _) in devkit.synsets().items()}
    if path is None and devkit is not None:
        return devkit.path, devkit.ground_truth(), synsets
    if path is None:
        raise DataError(
            f"The validation images in {root} are not in class folders, and no file says what they show: expected is the devkit "
            f"(ILSVRC2012_devkit_t12.tar.gz), val.txt or LOC_val_solution.csv there, or --labels FILE."
        )
    return path, read_text(path), synsets


def label_of(path, token, numbers, named, synsets):
    """The label that a text in the file of labels `path` stands for: all of it, or its first word (Kaggle has boxes after it).

    named: whether its lines name images."""
    if token in numbers:
        return numbers[token]
    token = token.split()[0] if token.split() else token
    if token in numbers:
        return numbers[token]
    number = int(token) if token.isascii() and token.isdigit() and len(token) < 10 else None
    if number is not None and named:  # Caffe counts the sorted WordNet ids from 0
        if number < len(numbers):
            return number
        raise DataError(f"{path} holds the label {token}, but the {len(numbers)} classes are numbered 0 to {len(numbers) - 1}.")
    if number is not None and not synsets:
        raise DataError(f"{path} holds numbers such as {token}, whose meaning is in the devkit's meta.mat, which is not beside it.")
    if number is not None and synsets.get(number) in numbers:
        return numbers[synsets[number]]
    raise DataError(f"{path} holds the label {token}, which is none of the {len(numbers)} classes of the training images.")


def names_of(root, ids):
    """What the classes are called; their ids if no file says it."""
    path = first_file(root, NAMES)
    if path is not None:
        pairs = (line.strip().split(None, 1) for line in read_text(path).splitlines())
        names = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    else:
        devkit = find_devkit(root)
        names = {} if devkit is None else dict(devkit.synsets().values())
    return tuple(names.get(name, name) for name in ids)


def first_file(root, patterns):
    """The path of the first file in `root` that fits one of the patterns, in their order, or None."""
    names = [path.name for path in visible(root)]
    return next((root / name for pattern in patterns for name in names if fnmatch.fnmatch(name, pattern)), None)


def find_devkit(folder):
    """The devkit in a folder: unpacked, packed, or only its two files; else None."""
    for image in [folder, *(path for path in visible(folder) if "devkit" in path.name.lower())]:
        if (image / "data" / "meta.mat").is_file():
            return Devkit(image / "data")
        if (image / "meta.mat").is_file():
            return Devkit(image)
        if image.is_file() and image.name.endswith((".tar.gz", ".tgz", ".tar")):
            return Devkit(image)
    return None
