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
    "unsigned short": "uint16",
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
    """common.cuh, the files that file.cu includes, and file.cu as one text; a compiler's messages still name the file and the line."""
    text = FILES[file].read_text(encoding="utf-8")
    included = [FILES[name] for name in re.findall(r'^#include "(\w+)\.cu"$', text, re.M)]
    texts = [(path, path.read_text(encoding="utf-8")) for path in (HEADER, *included)] + [(FILES[file], text.replace("#include", "//"))]
    return "".join(f'#line 1 "{path.name}"\n{text}' for path, text in texts)


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
    """The NumPy dtype of `struct name {...};` in a build for `dtype`. A field may be an address, an array, or a struct of its own."""
    fields = []
    for declaration in re.search(rf"struct\s+{name}\s*\{{([^}}]*)\}}", without_comments(text))[1].split(";"):
        *base, first = declaration.split(",")[0].replace("const ", "").split() or [""]
        for field in [first, *declaration.split(",")[1:]] if base else ():
            name, *count = re.findall(r"\w+", field)
            fields.append((name, field_type(text, " ".join(base), dtype), *[(int(n),) for n in count]))
    return np.dtype(fields, align=True)


def field_type(text, base, dtype):
    """The NumPy dtype of a field whose C type is `base`."""
    if base.endswith("*"):
        return np.dtype("uint64")
    return dtype if base == "real" else np.dtype(C_TYPES[base]) if base in C_TYPES else struct(text, base, dtype)


def packed(text, name, dtype, fields):
    """A struct by value, as a kernel takes it: a structured array without dimensions. fields: {name: number}, all of them."""
    wanted = struct(text, name, dtype)
    if set(fields) != set(wanted.names):
        raise TypeError(f"struct {name} has the fields {', '.join(wanted.names)}, but {', '.join(fields)} were given")
    made = np.array(tuple(fields[field] for field in wanted.names), wanted)
    made.flags.writeable = False
    return made


class Fields(dict):
    """The fields of a struct, as a layer has them made once for each shape: how CUDA takes them is remembered, for it costs as much to make
    as several launches. So they are not to be changed."""

    def __init__(self, **fields):
        super().__init__(fields)
        self.made = {}

    def packed(self, text, name, dtype):
        """`packed` without the fields' names, which CuPy would look through at every launch."""
        made = self.made.get(dtype)
        if made is None:
            made = packed(text, name, dtype, self)
            made = self.made[dtype] = made.view(f"V{made.itemsize}")
        return made


class Kernel:
    """A compiled kernel of one build: how it is called, and what it takes: a list of (`Argument`, whether it is an array, its dtype)."""

    def __init__(self, function, text, name, dtype):
        self.function, self.text = function.kernel, text  # `function` itself would look for the current GPU's anew at each call
        self.wanted = [(argument, argument.array, argument.dtype(text, dtype)) for argument in signatures(text)[name]]


def without_comments(text):
    return re.sub(r"//[^\n]*", "", text)
