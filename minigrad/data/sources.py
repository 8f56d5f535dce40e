"""Where the images of a data set lie: class folders, or ILSVRC as it is handed out, its training tar of tars, its flat
validation images and the file that says what they show."""

import fnmatch
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from minigrad.data.datasets import files_by_class, visible
from minigrad.data.devkit import Devkit
from minigrad.data.images import DataError

# Where the labels of flat validation images are looked for, and the names of classes; the first that is there counts.
LABELS = ("LOC_val_solution.csv", "val.txt", "*val*labels*.txt", "*validation_ground_truth.txt")
NAMES = ("LOC_synset_mapping.txt", "synset_words.txt", "words.txt")


class Place(NamedTuple):
    """Where an image file is: its path within the source, and in a tar the first byte, the number of bytes and its name there."""

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
    """root: the folder. ids: the classes' folder names, WordNet ids in ImageNet, sorted; names: what they mean.
    splits: {"train": [(label, Place), ...], "val": [...]}, sorted by class and name."""

    root: Path
    ids: tuple
    names: tuple
    splits: dict


def find(root, labels=None):
    """What lies in the folder `root`: a `Source`.

    Training images   train/<class>/*, or train/<class>.tar, or a tar of such tars (ILSVRC2012_img_train.tar)
    validation images val/<class>/*, or flat, in val/* or a tar (ILSVRC2012_img_val.tar), with a file of labels:
                      the devkit's ground truth (the devkit unpacked or as .tar.gz), Caffe's val.txt, Kaggle's
                      LOC_val_solution.csv, or lines of class ids in the order of the files' names
    labels            that file, if it is not in `root`

    Raises DataError with one sentence for anything that is missing or does not fit together."""
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; expected is one with train/<class>/* and val/<class>/*, or ILSVRC's tar files.")
    train, val = _part(root, "train"), _part(root, "val")
    by_class = _by_class(root, train)
    ids = tuple(sorted(by_class))
    numbers = {name: i for i, name in enumerate(ids)}
    splits = {"train": [(numbers[name], place) for name in ids for place in by_class[name]]}
    if val.is_dir() and any(path.is_dir() for path in visible(val)):
        shown = _by_class(root, val)
        unknown = sorted(set(shown) - set(ids))
        if unknown:
            raise DataError(f"{val / unknown[0]} is a class that {train} does not have.")
        splits["val"] = [(numbers[name], place) for name in sorted(shown) for place in shown[name]]
    else:
        splits["val"] = _flat(root, val, numbers, labels)
    return Source(root, ids, _names(root, ids), splits)


def _part(root, split):
    """The folder or tar of a split."""
    if (root / split).is_dir():
        return root / split
    tars = [path for path in visible(root) if path.suffix == ".tar" and split in path.name.lower()]
    if len(tars) == 1:
        return tars[0]
    found = "none" if not tars else " and ".join(path.name for path in tars)
    raise DataError(f"{root} holds no folder {split}, so it should hold one tar file whose name has {split} in it, but there is {found}.")


def _by_class(root, part):
    """{class: [Place, ...]}, sorted, of a folder of class folders or class tars, or of a tar of tars."""
    if part.is_dir():
        tars = [path for path in visible(part) if path.suffix == ".tar"]
        if tars:
            classes = {path.stem: _members(path, path.relative_to(root), 0, None) for path in tars}
        else:
            files = files_by_class(part)
            classes = {name: [Place(path.relative_to(root).as_posix()) for path in paths] for name, paths in files.items()}
    else:
        classes = _nested(part, part.relative_to(root))
    for name, places in classes.items():
        if not places:
            raise DataError(f"{part / name} holds no images.")
    return classes


def _nested(path, relative):
    """{class: [Place, ...]} of a tar of tars, without unpacking anything: only headers are read."""
    from tqdm import tqdm

    inner = [place for place in _members(path, relative, 0, None) if place.name.endswith(".tar")]
    if not inner:
        raise DataError(f"{path} holds no tar files, one for each class, as ILSVRC's training images have them.")
    bar = tqdm(inner, desc=f"reading {path.name}", unit=" classes", disable=None, leave=False)
    return {Path(place.name).stem: _members(path, relative, place.offset, place.size) for place in bar}


def _members(path, relative, offset, size):
    """The files in the uncompressed tar that lies at `offset` of a file."""
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            end = os.fstat(file.fileno()).st_size if size is None else offset + size
            with tarfile.open(fileobj=file, mode="r:") as tar:
                members = [member for member in tar if member.isfile()]
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path} cannot be read as an uncompressed tar file: {error}.") from None
    places = [Place(relative.as_posix(), m.offset_data, m.size, m.name) for m in members]
    if places and places[-1].offset + places[-1].size > end:
        raise DataError(f"{path} is cut off: {places[-1].name} should end at byte {places[-1].offset + places[-1].size:,} of {end:,}.")
    return sorted((place for place in places if not Path(place.name).name.startswith(".")), key=lambda place: place.name)


# ---- flat validation images and their labels


def _flat(root, part, numbers, labels):
    if part.is_dir():
        places = [Place(path.relative_to(root).as_posix()) for path in visible(part) if path.is_file()]
    else:
        places = _members(part, part.relative_to(root), 0, None)
    if not places:
        raise DataError(f"{part} holds no images.")
    path, lines, synsets = _label_lines(root, labels)
    stems = [Path(place.name or place.path).stem for place in places]
    named = len(lines[0]) > 1
    if named:
        table = {Path(line[0]).stem: line[1] for line in lines if len(line) > 1}
        missing = [stem for stem in stems if stem not in table]
        if missing:
            raise DataError(f"{path} says nothing of {missing[0]}, one of the {len(places)} images in {part}.")
        tokens = [table[stem] for stem in stems]
    else:
        tokens = [line[0] for line in lines]
        if len(tokens) != len(places):
            raise DataError(f"{path} has {len(tokens)} lines, but {part} holds {len(places)} images.")
    return sorted(
        ((_label(path, token, numbers, named, synsets), place) for token, place in zip(tokens, places, strict=True)),
        key=lambda pair: (pair[0], pair[1].name or pair[1].path),
    )


def _label_lines(root, labels):
    """The file of labels, its lines cut into words, and {ILSVRC id: WordNet id} if a devkit came with it."""
    if labels is not None:
        path = Path(labels)
        if not path.is_file():
            raise DataError(f"There is no file of labels at {path}.")
    else:
        path = _first(root, LABELS)
    devkit = _devkit(root if path is None else path.parent) or _devkit(root)
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


def _label(path, token, numbers, named, synsets):
    """The class number of a word in a file of labels."""
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


def _names(root, ids):
    """What the classes are called, or their ids where nothing says so."""
    path = _first(root, NAMES)
    if path is not None:
        pairs = (line.strip().split(None, 1) for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
        names = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    else:
        devkit = _devkit(root)
        names = {} if devkit is None else dict(devkit.synsets().values())
    return tuple(names.get(name, name) for name in ids)


def _first(root, patterns):
    names = [path.name for path in visible(root)]
    return next((root / name for pattern in patterns for name in names if fnmatch.fnmatch(name, pattern)), None)


def _devkit(folder):
    """The devkit in a folder or beside it: unpacked, packed, or only its two files; else None."""
    for place in [folder, *(path for path in visible(folder) if "devkit" in path.name.lower())]:
        if (place / "data" / "meta.mat").is_file():
            return Devkit(place / "data")
        if (place / "meta.mat").is_file():
            return Devkit(place)
        if place.is_file() and place.name.endswith((".tar.gz", ".tgz", ".tar")):
            return Devkit(place)
    return None
