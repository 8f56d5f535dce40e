"""A CUDA without a GPU, below the real CuPy.

CuPy's wheel holds NVIDIA's runtime; its entry points are overwritten with jumps to those of fake_cuda.cpp. The driver, NVRTC and cuBLAS are
libraries of the same names, loaded before CuPy asks for them. Kernels, CuPy's own among them, run through g++. So all of CuPy is real: its
arrays, its memory pool, its streams; and a run shows what CuPy would do on a machine with two GPUs, but for what tests/README.md lists.

The GPU's work waits in queues until the host waits for it. `policy` says in which order they are worked off then, `seed` which of all:
AT_ONCE  in the order of issue, without delay
LATE     as late as possible: only what the host waits for
RANDOM   in any order that streams and events allow, some of it before the host waits
STREAMS  a whole stream before the next, in another order each time
NEVER    nothing is computed or looked at: for the host's time, and for memory

Until a test asks for GPUs the machine has none."""

import ctypes
import glob
import hashlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = sorted(path for path in (*HERE.iterdir(), HERE.parent / "host_cuda.h") if path.suffix in (".cpp", ".h", ".py"))
POLICIES = AT_ONCE, LATE, RANDOM, STREAMS, NEVER = range(5)
JUMP = b"\xff\x25\0\0\0\0"  # x86-64: to the address that follows


def include():
    """The folder of CUDA's headers: of NVIDIA's wheels, or of an installed CUDA; None if there is none."""
    wheels = glob.glob(sysconfig.get_path("purelib") + "/nvidia/*/include/cuda_runtime_api.h")
    folders = [Path(path).parent for path in (*wheels, "/usr/local/cuda/include/cuda_runtime_api.h")]
    whole = [folder for folder in folders if (folder / "crt" / "host_defines.h").exists()]  # a part of another package
    return str(whole[0]) if whole else None


def missing():
    """Why there can be no fake CUDA here, or None."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "the fake CUDA is made for Linux on x86-64"
    for program in ("g++", "nm"):
        if not shutil.which(program):
            return f"there is no {program}, which builds the fake CUDA"
    if not importlib.util.find_spec("cupy"):
        return "CuPy is not installed: pip install -e '.[test-cuda]'"
    if not include():
        return "CUDA's headers are not installed: pip install -e '.[test-cuda]'"
    return None


def symbols(library, *flags):
    """Lines of nm, split at spaces."""
    listed = subprocess.run(["nm", *flags, library], capture_output=True, text=True, check=True).stdout
    return [line.split() for line in listed.splitlines()]


def extension(name):
    """The path of a module of CuPy, which is not imported."""
    return glob.glob(str(Path(importlib.util.find_spec("cupy").origin).parents[1] / "cupy_backends/cuda" / f"{name}.*.so"))[0]


def built():
    """The folder of the fake's libraries, built unless there is one of the same sources and the same CuPy."""
    sources = b"".join(path.read_bytes() for path in SOURCES) + extension("api/runtime").encode()
    home = Path(tempfile.gettempdir()) / f"minigrad_fake_cuda_{hashlib.sha256(sources).hexdigest()[:16]}"
    if not home.exists():
        with tempfile.TemporaryDirectory(dir=home.parent) as folder:
            build(Path(folder) / "new")
            try:
                os.rename(Path(folder) / "new", home)  # whole or not at all: several processes may race for it
            except OSError:
                if not home.exists():
                    raise
    return home


def build(home):
    def shared(name, source, *flags):
        subprocess.run(
            ["g++", "-std=c++17", "-O2", "-w", "-shared", "-fPIC", f"-Wl,-soname,{name}", *flags, str(source), "-o", home / name],
            check=True,
        )

    (home / "include" / "cupy").mkdir(parents=True)
    headers = Path(importlib.util.find_spec("cupy").origin).parent / "_core" / "include" / "cupy"
    for name in ("carray.cuh", "math_constants.h"):  # CuPy's own kernels need them
        shutil.copy(headers / name, home / "include" / "cupy")
    for name in ("cupy/atomics.cuh", "cupy/complex.cuh", "cupy/float16.cuh", "cuda_fp16.h"):
        (home / "include" / name).touch()
    shared("libfake_cuda.so", HERE / "fake_cuda.cpp", f"-I{include()}", "-ldl")
    defined = {words[-1] for words in symbols(home / "libfake_cuda.so", "-D", "--defined-only")}
    wanted = {words[-1].split("@")[0] for words in symbols(extension("libs/cublas"), "-D", "--undefined-only")}
    lacking = sorted(name for name in wanted - defined if name.startswith("cublas"))
    stubs = home / "stubs.c"  # functions of cuBLAS that CuPy's binding names and minigrad never calls
    stubs.write_text(
        "#include <stdio.h>\n" + "".join(f'int {n}(void) {{ return fprintf(stderr, "fake CUDA: no {n}\\n"), 15; }}\n' for n in lacking)
    )
    beside = (f"-L{home}", "-Wl,--no-as-needed", "-lfake_cuda", f"-Wl,-rpath,{home}", "-x", "c")
    major = versions()
    for name, source in (
        (f"libcublas.so.{major}", stubs),
        (f"libcublasLt.so.{major}", stubs),
        ("libcuda.so.1", os.devnull),
        (f"libnvrtc.so.{major}", os.devnull),
    ):
        shared(name, source, *beside)


def versions():
    """The major version of the CUDA that CuPy was built for."""
    needed = subprocess.run(["ldd", extension("libs/cublas")], capture_output=True, text=True, check=True).stdout
    return re.search(r"libcublas\.so\.(\d+)", needed)[1]


def boot():
    """Put the fake below the CuPy of this process, which must not have been imported yet. Returns a `FakeCuda`."""
    home = built()
    os.environ.update(
        FAKE_CUDA_HOME=str(home),
        FAKE_CUDA_COMPILER=shlex.join([sys.executable, "-S", __file__]),
        CUPY_CACHE_DIR=str(home / "cache"),
        CUPY_ACCELERATORS="",  # CUB needs a real compiler
    )
    library = ctypes.CDLL(str(home / "libfake_cuda.so"))
    for path in sorted(home.glob("lib*.so.*")):
        ctypes.CDLL(str(path))
    import cupy_backends.cuda.api.runtime as runtime

    with open("/proc/self/maps") as maps:
        base = min(int(line.split("-")[0], 16) for line in maps if runtime.__file__ in line)
    libc = ctypes.CDLL(None)
    for words in symbols(runtime.__file__):
        name = words[-1]
        if len(words) == 3 and words[1] == "t" and hasattr(library, f"fake_{name}"):
            address = base + int(words[0], 16)
            target = ctypes.cast(getattr(library, f"fake_{name}"), ctypes.c_void_p).value
            if libc.mprotect(ctypes.c_void_p(address & ~4095), ctypes.c_size_t(8192), 7):
                raise OSError("the runtime in CuPy's wheel cannot be overwritten")
            ctypes.memmove(address, JUMP + struct.pack("<Q", target), 14)
    return FakeCuda(library)


class FakeCuda:
    """What tests ask of the fake, and set."""

    def __init__(self, library):
        self.library = library
        library.fake_count.argtypes, library.fake_count.restype = [ctypes.c_char_p], ctypes.c_long
        library.fake_set.argtypes = [ctypes.c_char_p, ctypes.c_longlong]

    def count(self, what):
        """How often something happened since `reset`: "problems", "kernels", "gemm", "waits: stream", ..., or a sum: "bytes peer"."""
        return self.library.fake_count(what.encode())

    @property
    def waits(self):
        """How often the host waited for a GPU."""
        return sum(self.count(f"waits: {what}") for what in ("device", "stream", "event"))

    def set(self, **settings):
        """devices, peers (whether GPUs reach each other's memory), policy, memory (bytes of a GPU), pinned (bytes of the host's), cublas
        (the status that its next handle is refused with), headers (whether CuPy finds those of CUDA)."""
        for name, value in settings.items():
            self.library.fake_set(name.encode(), value)

    def reset(self, seed=1):
        """A machine without a GPU, and counts of 0."""
        self.library.fake_reset(seed)


def compiled(source, options):
    """The fake's NVRTC: the path of a library for the host, and what the compiler said if there is none."""
    home, text = Path(os.environ["FAKE_CUDA_HOME"]), Path(source).read_text()
    bare = re.sub(r"//[^\n]*", "", text)
    names = re.findall(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\s*\(', bare)
    exports = "".join(f"FAKE_EXPORT({name}, {int('__syncthreads' in bare)})\n" for name in names)
    text = f'#include "fake_kernel.h"\n{text}\n{exports}'
    kept = [option.replace("--std", "-std") for option in options if option.startswith(("-std", "--std", "-D"))]
    library = home / f"{hashlib.sha256((text + repr(kept)).encode()).hexdigest()[:20]}.so"
    said = ""
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=home) as folder:
            cpp, so = Path(folder) / "kernel.cpp", Path(folder) / "kernel.so"
            cpp.write_text(text)
            places = [f"-I{place}" for place in (HERE, HERE.parent, home / "include")]
            done = subprocess.run(["g++", "-w", "-O2", "-shared", "-fPIC", *kept, *places, cpp, "-o", so], capture_output=True, text=True)
            said = done.stderr
            if done.returncode == 0:
                os.replace(so, library)
    return library, said


if __name__ == "__main__":  # NVRTC's call of this file as a program
    library, said = compiled(sys.argv[1], sys.argv[2:])
    print(library if library.exists() else said[:3000])
    sys.exit(not library.exists())
