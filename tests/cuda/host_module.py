"""HostModule: CuPy's RawModule where there is no GPU. The same source, through g++, on NumPy arrays:

    HostModule(code=text, options=options).get_function(name)(grid, block, arguments)

It is stricter than CuPy, which checks neither the number of arguments nor dtypes nor strides, and packs a Python int as 8 bytes.
HOST_CUDA_FLAGS holds the compiler's flags for a run under sanitizers."""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from minigrad.cuda import kernels

HEADER = Path(__file__).with_name("host_cuda.h")
if not sys.platform.startswith("linux"):  # Windows has no ucontext; macOS calls it deprecated, and its g++ is another compiler
    MISSING = "kernels run on the CPU on Linux alone"
else:
    MISSING = None if shutil.which("g++") else "there is no g++ to run the kernels with"


class HostModule:
    def __init__(self, *, code, options=()):
        values = dict(option[2:].split("=") for option in options if option.startswith("-D"))
        self.dtype = np.dtype({"float": "float32", "double": "float64"}[values["REAL"]])
        self.code, self.lanes = code, int(values["LANES"])
        self.library = ctypes.CDLL(str(built(code, options)))

    def get_function(self, name):
        return HostKernel(self, name)


def built(code, options):
    """The path of the library, compiled unless there is one of the same source and options."""
    flags = os.environ.get("HOST_CUDA_FLAGS", "-O2").split()
    exports = "".join(
        f'extern "C" int launch_{name}(unsigned g, unsigned b, int c, int n, const size_t* s, void** a) '
        f"{{ return host::launch({name}, g, b, c, n, s, a); }}\n"
        for name in kernels.signatures(code)
    )
    text = f'#include "{HEADER}"\n{code}\n{exports}'
    tag = hashlib.sha256((text + HEADER.read_text() + repr((options, flags))).encode()).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"minigrad_host_{tag}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory() as folder:
            cpp, so = Path(folder) / "kernels.cpp", Path(folder) / "kernels.so"
            cpp.write_text(text)
            subprocess.run(["g++", "-w", "-shared", "-fPIC", *options, *flags, str(cpp), "-o", str(so)], check=True)
            os.replace(so, library)  # whole or not at all: two test runs may race for it
    return library


class HostKernel:
    def __init__(self, module, name):
        self.module, self.name = module, name
        self.wanted = kernels.signatures(module.code)[name]
        self.entry = getattr(module.library, f"launch_{name}")
        body = re.split(rf"\bvoid\s+{name}\s*\(", kernels.without_comments(module.code))[1]
        self.barriers = "__syncthreads" in re.split(r'extern\s+"C"', body)[0]

    def __call__(self, grid, block, arguments):
        if len(arguments) != len(self.wanted):
            raise TypeError(f"{self.name} takes {len(self.wanted)} arguments, not {len(arguments)}")
        values = [self.bytes_of(*pair) for pair in zip(arguments, self.wanted, strict=True)]
        pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        sizes = (ctypes.c_size_t * len(values))(*(value.nbytes for value in values))
        status = self.entry(int(np.prod(grid)), int(np.prod(block)), int(self.barriers), len(values), sizes, pointers)
        if status:
            raise TypeError(f"{self.name}: {self.wanted[status - 1].name} has the wrong size")

    def bytes_of(self, a, wanted):
        """What CuPy would hand to the driver: an address, or the value itself."""
        dtype, where = wanted.dtype(self.module.code, self.module.dtype), f"{self.name}: {wanted.name}"
        if not wanted.array:
            if not isinstance(a, (np.generic, np.ndarray)) or a.dtype != dtype or a.size != 1:
                raise TypeError(f"{where} is one {dtype} by value, not {getattr(a, 'dtype', type(a).__name__)}")
            return np.ascontiguousarray(a)
        if not isinstance(a, np.ndarray) or a.dtype != dtype:
            raise TypeError(f"{where} is an array of {dtype}, not {getattr(a, 'dtype', type(a).__name__)}")
        if not a.flags.c_contiguous:
            raise TypeError(f"{where} is not contiguous; a kernel sees only its address")
        if wanted.written and not a.flags.writeable:
            raise TypeError(f"{where} is written to, but read-only")
        if wanted.base in ("real", "unsigned char", "unsigned short") and a.ctypes.data % min(dtype.itemsize * self.module.lanes, 16):
            raise TypeError(f"{where} is not aligned for {self.module.lanes} lanes")
        return np.array(a.ctypes.data, np.uintp)
