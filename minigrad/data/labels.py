"""Files that say what validation images show: a line for each image with its name and its class, or the classes alone in the order of the
images' names. Read as their writers meant them: with a mark of their encoding, quotes, spaces, tabs, paths of other systems."""

import csv
import unicodedata
from pathlib import PurePath

from minigrad.data.checks import DataError, read_file

MOST = 200_000_000  # bytes
ENCODINGS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read_text(path):
    """The text of a file of names or labels, NFC. UTF-8, or what its first bytes say; other bytes become what they are in file names."""
    content = read_file(path, MOST)
    coding = next((coding for mark, coding in ENCODINGS if content.startswith(mark)), "utf-8")
    text = content.decode(coding, errors="replace" if coding == "utf-16" else "surrogateescape")
    return unicodedata.normalize("NFC", text)


def tokens_of(path, text, names, ids, part):
    """What the lines of a file say of the images called `names`, in their order: a list of texts, and whether the lines name images.

    ids: the classes' names, which tell a line with a class of several words from one with an image and its class. Raises DataError."""
    lines = [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip()]
    if lines and lines[0].startswith(("ImageId", '"ImageId')):
        lines = lines[1:]
    if not lines:
        raise DataError(f"{path} is empty; expected is a line for each validation image.")
    images = Images(names)
    table = {}
    for line in lines:
        for name, token in readings(line):
            number = images.number(name, path)
            if number is not None:
                before = table.setdefault(number, token)
                if before != token:
                    raise DataError(f"{path} gives {names[number]} two labels, {before} and {token}.")
                break
    whole = unquoted(lines[0])
    if not table and (whole in ids or len(whole.replace(",", " ").split()) == 1):
        if len(lines) != len(names):
            raise DataError(f"{path} has {len(lines)} lines, but {part} holds {len(names)} images.")
        return [unquoted(line) for line in lines], False
    missing = [name for i, name in enumerate(names) if i not in table]
    if missing:
        raise DataError(f"{path} says nothing of {missing[0]}, one of the {len(names)} images in {part}.")
    return [table[i] for i in range(len(names))], True


class Images:
    """Finds images by what a file of labels calls them: by their names, with or without folders before and the ending after."""

    def __init__(self, names):
        self.names = names
        self.by_name, self.by_stem = {}, {}
        for i, name in enumerate(names):
            name = unicodedata.normalize("NFC", name)
            self.by_name.setdefault(name, []).append(i)
            self.by_stem.setdefault(PurePath(name).stem, []).append(i)

    def number(self, name, path):
        """The number of the image that is meant, or None. Raises DataError where it could be one of two."""
        name = name.replace("\\", "/").rpartition("/")[2]
        found = self.by_name.get(name) or self.by_stem.get(name) or self.by_stem.get(PurePath(name).stem) or [None]
        if len(found) > 1:
            raise DataError(f"{path} says {name}, which may be {self.names[found[0]]} or {self.names[found[1]]}.")
        return found[0]


def readings(line):
    """A generator of the ways to read a line as (image, class): names may hold spaces and commas themselves."""
    if '"' in line and len(line) < csv.field_size_limit():
        for separator in ",\t; ":
            fields = [field.strip() for field in next(csv.reader([line], delimiter=separator, skipinitialspace=True)) if field.strip()]
            if len(fields) >= 2:
                yield fields[0], separator.join(fields[1:]) if separator == " " else fields[1]
    for separator in "\t;, ":
        if separator in line:
            for name, _, token in (line.partition(separator), line.rpartition(separator)):
                yield unquoted(name), unquoted(token)


def unquoted(text):
    text = text.strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
