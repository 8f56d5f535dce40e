"""ILSVRC's development kit: which class each validation image shows, and what the classes are called.

Its meta.mat is a MATLAB 5 file (MathWorks, "MAT-File Format"); of that format as much is read here as an array of structures needs."""

import struct
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigrad.data.checks import DataError

GROUND_TRUTH = "_validation_ground_truth.txt"
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CHARACTERS = {1: "utf-8", 2: "utf-8", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le"}
STRUCT, CHAR, MATRIX, COMPRESSED = 2, 4, 14, 15


@dataclass(frozen=True)
class Devkit:
    """A development kit: the folder with its meta.mat, or the tar file that it is distributed as."""

    path: Path

    def read(self, ending):
        """The bytes of the one file whose name has this ending. Raises DataError if there is none."""
        try:
            if self.path.is_dir():
                files = [path for path in self.path.iterdir() if path.name.endswith(ending)]
                return files[0].read_bytes() if files else self.lack(ending)
            with tarfile.open(self.path) as tar:
                members = [member for member in tar if member.isfile() and member.name.endswith(ending)]
                return tar.extractfile(members[0]).read() if members else self.lack(ending)
        except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
            raise DataError(f"{self.path} cannot be read as ILSVRC's devkit: {error}.") from None

    def lack(self, ending):
        """Raise DataError: the file is missing."""
        raise DataError(f"{self.path} is not ILSVRC's devkit: it holds no {ending.lstrip('_')}.")

    def ground_truth(self):
        """A text whose line i is the ILSVRC id of the class that validation image i shows."""
        return self.read(GROUND_TRUTH).decode("ascii", errors="replace")

    def synsets(self):
        """{ILSVRC id: (WordNet id, its words)}. Raises DataError if meta.mat cannot be read."""
        try:
            (rows,) = (array for array in matrices(self.read("meta.mat")[128:]) if isinstance(array, list))
            number = next(name for name in rows[0] if name.startswith("ILSVRC") and name.endswith("_ID"))
            return {int(row[number].item()): (row["WNID"], row["words"]) for row in rows}
        except (ValueError, IndexError, KeyError, AttributeError, StopIteration, struct.error, zlib.error) as error:
            raise DataError(f"{self.path}: meta.mat is not the MATLAB 5 file of synsets that ILSVRC's devkit has ({error!r}).") from None


def matrices(content):
    """A generator of the arrays in the content of a MATLAB 5 file after its header of 128 bytes."""
    return (matrix(data) for kind, data in elements(content) if kind == MATRIX)


def elements(content):
    """(kind, bytes) of each data element: eight bytes of kind and size, then the data, padded to a multiple of eight."""
    at = 0
    while at < len(content):
        kind, size = struct.unpack_from("<II", content, at)
        if kind >> 16:  # small elements have size and kind in four bytes, and the data in the next four
            kind, size = kind & 0xFFFF, kind >> 16
            data, at = content[at + 4 : at + 4 + size], at + 8
        else:
            data, at = content[at + 8 : at + 8 + size], at + 8 + size + (-size % 8 if kind != COMPRESSED else 0)
        if kind == COMPRESSED:
            yield from elements(zlib.decompress(data))
        else:
            yield kind, data


def matrix(content):
    """An array: text as str, an array of structures as a list of dicts, numbers as a flat NumPy array."""
    if not content:
        return np.empty(0)
    (_, flags), (_, _), (_, _), *parts = elements(content)  # then its dimensions and its name
    kind = flags[0]
    if kind == STRUCT:
        width, names = int.from_bytes(parts[0][1], "little"), parts[1][1]
        fields = [names[i : i + width].split(b"\0")[0].decode() for i in range(0, len(names), width)]
        values = [matrix(data) for _, data in parts[2:]]
        return [dict(zip(fields, values[i:], strict=False)) for i in range(0, len(values), len(fields))]
    coding, data = parts[0] if parts else (2, b"")
    if kind == CHAR:
        return data.decode(CHARACTERS[coding])
    return np.frombuffer(data, NUMBERS[coding]) if coding in NUMBERS else None
