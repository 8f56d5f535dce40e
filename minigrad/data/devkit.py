"""ILSVRC's development kit: which class each validation image shows, and what the classes are called.

Its meta.mat is a MATLAB 5 file (MathWorks, "MAT-File Format"); of that format as much is read here as an array of structures needs."""

import gzip
import io
import struct
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigrad.data.checks import DataError, read_file

GROUND_TRUTH = "_validation_ground_truth.txt"
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CHARACTERS = {1: "utf-8", 2: "utf-8", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le"}
STRUCT, CHAR, MATRIX, COMPRESSED = 2, 4, 14, 15
MOST = 100_000_000  # bytes of the kit unpacked, several times as many as it has
DEEPEST = 8  # arrays within arrays


@dataclass(frozen=True)
class Devkit:
    """A development kit: the folder with its meta.mat, or the tar file that it is distributed as."""

    path: Path

    def read(self, ending):
        """The bytes of the one file whose name has this ending. Raises DataError if there is none."""
        try:
            if self.path.is_dir():
                files = [path for path in self.path.iterdir() if path.name.endswith(ending)]
                return read_file(files[0], MOST) if files else self.lack(ending)
            with tarfile.open(fileobj=io.BytesIO(self.unpacked()), mode="r:") as tar:
                while (member := tar.next()) is not None:
                    if not 0 <= member.size <= MOST:
                        raise tarfile.ReadError(f"the size of {member.name} is {member.size:,}")
                    if member.isreg() and member.name.endswith(ending):
                        return tar.extractfile(member).read()
                self.lack(ending)
        except (OSError, EOFError, tarfile.TarError, zlib.error, OverflowError, RecursionError) as error:
            raise DataError(f"{self.path} cannot be read as ILSVRC's devkit: {error}.") from None
        except ValueError as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.path} cannot be read as ILSVRC's devkit: {error}.") from None

    def unpacked(self):
        """The bytes of the tar, unzipped; no more than MOST."""
        content = read_file(self.path, MOST)
        if not content.startswith(b"\x1f\x8b"):
            return content
        with gzip.open(io.BytesIO(content)) as file:
            content = file.read(MOST + 1)
        if len(content) > MOST:
            raise DataError(f"{self.path} unpacks to more than {MOST:,} bytes, so it is not ILSVRC's devkit.")
        return content

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
        except DataError:
            raise
        except Exception as error:  # what is no array of structures can fail in any way
            raise DataError(f"{self.path}: meta.mat is not the MATLAB 5 file of synsets that ILSVRC's devkit has ({error!r}).") from None


def matrices(content):
    """A generator of the arrays in the content of a MATLAB 5 file after its header of 128 bytes."""
    return (matrix(data) for kind, data in elements(content) if kind == MATRIX)


def inflated(data):
    """Decompressed data; no more than MOST. Raises ValueError for more."""
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(data, MOST)
    if unpacker.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {MOST:,} bytes")
    return content


def elements(content, depth=0):
    """(kind, bytes) of each data element: eight bytes of kind and size, then the data, padded to a multiple of eight."""
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    at = 0
    while at < len(content):
        kind, size = struct.unpack_from("<II", content, at)
        if kind >> 16:  # small elements have size and kind in four bytes, and the data in the next four
            kind, size = kind & 0xFFFF, kind >> 16
            data, at = content[at + 4 : at + 4 + size], at + 8
        else:
            data, at = content[at + 8 : at + 8 + size], at + 8 + size + (-size % 8 if kind != COMPRESSED else 0)
        if kind == COMPRESSED:
            yield from elements(inflated(data), depth + 1)
        else:
            yield kind, data


def matrix(content, depth=0):
    """An array: text as str, an array of structures as a list of dicts, numbers as a flat NumPy array."""
    if not content:
        return np.empty(0)
    (_, flags), (_, _), (_, _), *parts = elements(content, depth)  # then its dimensions and its name
    kind = flags[0]
    if kind == STRUCT:
        width, names = int.from_bytes(parts[0][1], "little"), parts[1][1]
        fields = [names[i : i + width].split(b"\0")[0].decode() for i in range(0, len(names), width)]
        values = [matrix(data, depth + 1) for _, data in parts[2:]]
        return [dict(zip(fields, values[i : i + len(fields)], strict=False)) for i in range(0, len(values), len(fields))]
    coding, data = parts[0] if parts else (2, b"")
    if kind == CHAR:
        return data.decode(CHARACTERS[coding])
    return np.frombuffer(data, NUMBERS[coding]) if coding in NUMBERS else None
