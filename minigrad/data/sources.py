"""Where the images of a data set are: class folders, or ILSVRC's own files, a training tar of tars, validation images without classes
and a file of their labels."""

import fnmatch
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from minigrad.data.checks import DataError, check_classes
from minigrad.data.devkit import Devkit
from minigrad.data.folders import files_by_class, visible

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
        """The bytes of the file. Raises DataError naming it."""
        try:
            with open(root / self.path, "rb") as file:
                if self.offset is not None:
                    file.seek(self.offset)
                return file.read(-1 if self.size is None else self.size)
        except OSError as error:
            raise DataError(f"{root / self.path} cannot be read: {error.strerror}.") from None


@dataclass(frozen=True)
class Source:
    """What was found in a folder.

    root    the folder
    ids     the classes' folder names, sorted; in ImageNet they are WordNet ids
    names   what the classes are called
    splits  {"train": [(label, ImageFile), ...], "val": [...]}, sorted by class and name"""

    root: Path
    ids: tuple
    names: tuple
    splits: dict


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
    by_class = places_by_class(root, train)
    ids = tuple(sorted(by_class))
    numbers = {name: i for i, name in enumerate(ids)}
    splits = {"train": [(numbers[name], image) for name in ids for image in by_class[name]]}
    if val.is_dir() and any(path.is_dir() for path in visible(val)):
        shown = places_by_class(root, val)
        check_classes(shown, ids, val, train)
        splits["val"] = [(numbers[name], image) for name in sorted(shown) for image in shown[name]]
    else:
        splits["val"] = without_classes(root, val, numbers, labels)
    return Source(root, ids, names_of(root, ids), splits)


def part_of(root, split):
    """The folder or tar of a split, "train" or "val"."""
    if (root / split).is_dir():
        return root / split
    tars = [path for path in visible(root) if path.suffix == ".tar" and split in path.name.lower()]
    if len(tars) == 1:
        return tars[0]
    found = "none" if not tars else " and ".join(path.name for path in tars)
    raise DataError(f"{root} holds no folder {split}, so it should hold one tar file whose name has {split} in it, but there is {found}.")


def places_by_class(root, part):
    """{class: [ImageFile, ...]}, sorted, of a folder of class folders or class tars, or of a tar of tars."""
    if part.is_dir():
        tars = [path for path in visible(part) if path.suffix == ".tar"]
        if tars:
            classes = {path.stem: members(path, path.relative_to(root), 0, None) for path in tars}
        else:
            files = files_by_class(part)
            classes = {name: [ImageFile(path.relative_to(root).as_posix()) for path in paths] for name, paths in files.items()}
    else:
        classes = nested(part, part.relative_to(root))
    for name, images in classes.items():
        if not images:
            raise DataError(f"{part / name} holds no images.")
    return classes


def nested(path, relative):
    """{class: [ImageFile, ...]} of a tar of tars; only headers are read, nothing is unpacked."""
    from tqdm import tqdm

    inner = [image for image in members(path, relative, 0, None) if image.name.endswith(".tar")]
    if not inner:
        raise DataError(f"{path} holds no tar files, one for each class, as ILSVRC's training images have them.")
    bar = tqdm(inner, desc=f"reading {path.name}", unit=" classes", disable=None, leave=False)
    return {Path(image.name).stem: members(path, relative, image.offset, image.size) for image in bar}


def members(path, relative, offset, size):
    """The files in an uncompressed tar of `size` bytes that begins at byte `offset` of the file `path`; size None: up to its end."""
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            end = os.fstat(file.fileno()).st_size if size is None else offset + size
            with tarfile.open(fileobj=file, mode="r:") as tar:
                found = [member for member in tar if member.isfile()]
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path} cannot be read as an uncompressed tar file: {error}.") from None
    images = [ImageFile(relative.as_posix(), m.offset_data, m.size, m.name) for m in found]
    if images and images[-1].offset + images[-1].size > end:
        raise DataError(f"{path} is cut off: {images[-1].name} should end at byte {images[-1].offset + images[-1].size:,} of {end:,}.")
    return sorted((image for image in images if not Path(image.name).name.startswith(".")), key=lambda image: image.name)


# ---- validation images without class folders, and their labels


def without_classes(root, part, numbers, labels):
    """[(label, ImageFile), ...], sorted, of validation images that lie side by side. numbers: {class id: label}."""
    if part.is_dir():
        images = [ImageFile(path.relative_to(root).as_posix()) for path in visible(part) if path.is_file()]
    else:
        images = members(part, part.relative_to(root), 0, None)
    if not images:
        raise DataError(f"{part} holds no images.")
    path, lines, synsets = label_lines(root, labels)
    stems = [Path(image.name or image.path).stem for image in images]
    named = len(lines[0]) > 1
    if named:
        table = {Path(line[0]).stem: line[1] for line in lines if len(line) > 1}
        missing = [stem for stem in stems if stem not in table]
        if missing:
            raise DataError(f"{path} says nothing of {missing[0]}, one of the {len(images)} images in {part}.")
        tokens = [table[stem] for stem in stems]
    else:
        tokens = [line[0] for line in lines]
        if len(tokens) != len(images):
            raise DataError(f"{path} has {len(tokens)} lines, but {part} holds {len(images)} images.")
    return sorted(
        ((label_of(path, token, numbers, named, synsets), image) for token, image in zip(tokens, images, strict=True)),
        key=lambda pair: (pair[0], pair[1].name or pair[1].path),
    )


def label_lines(root, labels):
    """The path of the file of labels, its lines split into words, and {ILSVRC id: WordNet id}, empty without a devkit."""
    if labels is not None:
        path = Path(labels)
        if not path.is_file():
            raise DataError(f"There is no file of labels at {path}.")
    else:
        path = first_file(root, LABELS)
    devkit = find_devkit(root if path is None else path.parent) or find_devkit(root)
    synsets = {} if devkit is None else {number: wnid for number, (wnid, _) in devkit.synsets().items()}
    if path is None and devkit is not None:
        path, content = devkit.path, devkit.ground_truth()
    elif path is None:
        raise DataError(
            f"The validation images in {root} are not in class folders, and no file says what they show: expected is the devkit "
            f"(ILSVRC2012_devkit_t12.tar.gz), val.txt or LOC_val_solution.csv there, or --labels FILE."
        )
    else:
        content = path.read_text(encoding="utf-8", errors="replace")
    lines = [line.replace(",", " ").split() for line in content.splitlines() if line.strip()]
    if lines and lines[0][0] == "ImageId":
        lines = lines[1:]
    if not lines:
        raise DataError(f"{path} is empty; expected is a line for each validation image.")
    return path, lines, synsets


def label_of(path, token, numbers, named, synsets):
    """The label that a word in the file of labels `path` stands for. named: whether its lines name images."""
    if token in numbers:
        return numbers[token]
    if token.isdigit() and named:  # Caffe counts the sorted WordNet ids from 0
        if int(token) < len(numbers):
            return int(token)
        raise DataError(f"{path} holds the label {token}, but the {len(numbers)} classes are numbered 0 to {len(numbers) - 1}.")
    if token.isdigit() and not synsets:
        raise DataError(f"{path} holds numbers such as {token}, whose meaning is in the devkit's meta.mat, which is not beside it.")
    if token.isdigit() and synsets.get(int(token)) in numbers:
        return numbers[synsets[int(token)]]
    raise DataError(f"{path} holds the label {token}, which is none of the {len(numbers)} classes of the training images.")


def names_of(root, ids):
    """What the classes are called; their ids if no file says it."""
    path = first_file(root, NAMES)
    if path is not None:
        pairs = (line.strip().split(None, 1) for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
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
