"""GPUs. This folder is the only place that imports CuPy, and it does so when a GPU is first asked for."""

from importlib.metadata import PackageNotFoundError, distribution

CUPY = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")  # packages that bring a module `cupy`
INSTEAD = "use 'cpu', or 'cpu,cpu' for two towers side by side"


def installed(name):
    try:
        return bool(distribution(name))
    except PackageNotFoundError:
        return False


def find():
    """CuPy and the number of GPUs, at least one. Raises ValueError with a sentence that says what is missing."""
    packages = [name for name in CUPY if installed(name)]
    if len(packages) > 1:
        raise ValueError(
            f"no GPU can be used while there are two CuPy packages, {' and '.join(packages)}: "
            f"pip uninstall {' '.join(packages)}, then install one of them; or {INSTEAD}"
        )
    try:
        import cupy
    except ImportError as error:
        if packages:
            raise ValueError(f"no GPU can be used, for {packages[0]} is installed but cannot be imported ({error}); {INSTEAD}") from None
        raise ValueError(
            f"no GPU can be used without CuPy: pip install 'cupy-cuda13x[ctk]', or 'cupy-cuda12x[ctk]' for drivers before 580; or {INSTEAD}"
        ) from None
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise ValueError(f"no GPU can be used, for {no_device(runtime, error)}; {INSTEAD}") from None
    if count == 0:
        raise ValueError(f"no GPU can be used, for this machine has none; {INSTEAD}")
    for library in ("cublas", "nvrtc"):
        try:
            getattr(cupy.cuda, library)
        except (ImportError, AttributeError):
            raise ValueError(
                f"no GPU can be used, for CuPy finds no {library}, which is a part of CUDA: "
                f"pip install '{(packages or ['cupy-cuda13x'])[0]}[ctk]'; or {INSTEAD}"
            ) from None
    return cupy, count


def no_device(runtime, error):
    """Why CUDA would not count its devices."""
    driver, needed = runtime.driverGetVersion(), runtime.runtimeGetVersion() // 1000
    if driver == 0:
        return "there is no NVIDIA driver"
    if driver // 1000 < needed:
        older = f", or pip install 'cupy-cuda{needed - 1}x[ctk]' in place of this CuPy" if needed > 12 else ""
        has = f"{driver // 1000}.{driver % 1000 // 10}"
        return f"the NVIDIA driver is made for CUDA {has}, but CuPy for CUDA {needed}: update the driver{older}"
    return f"CUDA finds none ({error})"


def count():
    """The number of GPUs that can be used; 0 where anything is missing."""
    try:
        return find()[1]
    except ValueError:
        return 0
