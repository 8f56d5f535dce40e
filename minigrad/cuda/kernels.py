"""The text of a kernel file, how it is compiled, and what its kernels take.

The signatures are read out of the source, so that the two cannot drift apart: CUDA itself checks no argument of a kernel."""

import functools
import re
from pathlib import Path

import numpy as np

HEADER = Path(__file__).with_name("common.cuh")
FILES = {path.stem: path for path in sorted(HEADER.parents[1].rglob("*.cu"))}
C_TYPES = {
    "unsigned char": "uint8",
    "int": "int32",
    "unsigned": "uint32",
    "long long": "int64",
    "unsigned long long": "uint64",
    "float": "float32",
    "double": "float64",
}
REALS = {np.dtype("float32"): "float", np.dtype("float64"): "double"}
LANES = 4  # elements that one thread handles at once


@functools.cache
def source(file):
    """common.cuh and then file.cu as one text; a compiler's messages still name the file and the line."""
    return "".join(f'#line 1 "{path.name}"\n{path.read_text(encoding="utf-8")}' for path in (HEADER, FILES[file]))


def options(dtype, lanes):
    """Compiler options of a build for float32 or float64 and so many lanes."""
    return "-std=c++17", f"-DREAL={REALS[np.dtype(dtype)]}", f"-DLANES={lanes}"


class Argument:
    """One argument of a kernel. base: its C type; array: whether it is a pointer; written: whether it is not const."""

    def __init__(self, declaration):
        words = declaration.replace("__restrict__", "").replace("*", " * ").split()
        self.name, self.array, self.written = words[-1], "*" in words, "*" in words and "const" not in words
        self.base = " ".join(word for word in words[:-1] if word not in ("const", "*"))

    def dtype(self, text, dtype):
        """The NumPy dtype of a value or an element in a build for `dtype`."""
        if self.base == "real":
            return np.dtype(dtype)
        return np.dtype(C_TYPES[self.base]) if self.base in C_TYPES else struct(text, self.base, np.dtype(dtype))


@functools.cache
def signatures(text):
    """{kernel: [Argument, ...]} of every kernel in a source text."""
    found = re.findall(r'extern\s+"C"\s+__global__\s+void\s+(\w+)\s*\(([^)]*)\)', without_comments(text))
    return {name: [Argument(declaration) for declaration in inside.split(",")] for name, inside in found}


@functools.cache
def struct(text, name, dtype):
    """The NumPy dtype of `struct name {...};` in a build for `dtype`."""
    fields = []
    for declaration in re.search(rf"struct\s+{name}\s*\{{([^}}]*)\}}", without_comments(text))[1].split(";"):
        *base, last = declaration.split(",")[0].split() or [""]
        names = [last, *(part.strip() for part in declaration.split(",")[1:])]
        base = " ".join(base)
        fields += [(field, dtype if base == "real" else C_TYPES[base]) for field in names if field]
    return np.dtype(fields, align=True)


@functools.lru_cache(4096)
def packed(text, name, dtype, fields):
    """A struct by value, as a kernel takes it: a structured array without dimensions. fields: (name, value) pairs, all of them.

    Remembered, for the shapes of a run repeat, and making one costs as much as several launches."""
    wanted, values = struct(text, name, dtype), dict(fields)
    if set(values) != set(wanted.names):
        raise TypeError(f"struct {name} has the fields {', '.join(wanted.names)}, but {', '.join(values)} were given")
    made = np.array(tuple(values[field] for field in wanted.names), wanted)
    made.flags.writeable = False
    return made


def without_comments(text):
    return re.sub(r"//[^\n]*", "", text)
