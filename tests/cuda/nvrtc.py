"""NVIDIA's compiler, called without CuPy and in a process of its own: python -S nvrtc.py LIBRARY ARCHITECTURE OPTION ... < text > code.

CuPy's compiler is the fake one in a process with the fake CUDA, and one process holds one library of that name."""

import ctypes
import glob
import os
import subprocess
import sys
import sysconfig

LIBRARY = next(iter(glob.glob(sysconfig.get_path("purelib") + "/nvidia/*/lib/libnvrtc.so.*")), None)


def compiled(text, architecture, options):
    """Machine code for an architecture sm_NN, assembly (PTX) for compute_NN. Raises ValueError with the compiler's message."""
    command = [sys.executable, "-S", __file__, LIBRARY, architecture, *options]
    done = subprocess.run(command, input=text.encode(), capture_output=True)
    if done.returncode:
        raise ValueError(done.stderr.decode())
    return done.stdout


def main(library, architecture, *options):
    for builtins in glob.glob(f"{os.path.dirname(library)}/libnvrtc-builtins.so.*"):  # NVRTC asks for it by name
        ctypes.CDLL(builtins)
    nvrtc, program = ctypes.CDLL(library), ctypes.c_void_p()

    def result(what):
        size = ctypes.c_size_t()
        getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        getattr(nvrtc, f"nvrtcGet{what}")(program, buffer)
        return buffer.raw

    nvrtc.nvrtcCreateProgram(ctypes.byref(program), sys.stdin.buffer.read(), b"kernels.cu", 0, None, None)
    options = [option.encode() for option in (f"-arch={architecture}", *options)]
    if nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options)):
        sys.exit(result("ProgramLog").rstrip(b"\0").decode())
    sys.stdout.buffer.write(result("CUBIN" if architecture.startswith("sm") else "PTX"))


if __name__ == "__main__":
    main(*sys.argv[1:])
