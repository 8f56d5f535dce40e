"""GPUs. This folder is the only place that imports CuPy, and it does so when a GPU is first asked for."""

CUPY = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")  # packages that bring a module `cupy`
INSTEAD = "use 'cpu', or 'cpu,cpu' for two towers side by side"
HEADERS = (
    '#include <cuda_fp16.h>\nextern "C" __global__ void headers() {}'  # what CuPy's own kernels include, compiled when they are needed
)


def installed(name):
    """Whether a package of that name is installed."""
    from importlib.metadata import PackageNotFoundError, distribution  # a third of the time of `import minigrad`, for a GPU alone

    try:
        return bool(distribution(name))
    except PackageNotFoundError:
        return False


def find(name="0"):
    """CuPy and the number of GPUs, at least one. Raises ValueError with a sentence that says why GPU `name` cannot be used."""

    def unusable(why):
        return ValueError(f"GPU {name} cannot be used: {why}; or {INSTEAD}")

    packages = [package for package in CUPY if installed(package)]
    if len(packages) > 1:
        raise unusable(
            f"there are two CuPy packages, {' and '.join(packages)}; pip uninstall {' '.join(packages)}, then install one of them"
        )
    try:
        import cupy
    except ImportError as error:
        if packages:
            raise unusable(f"{packages[0]} is installed, but its import failed ({error}); install it anew") from None
        raise unusable(
            "CuPy is not installed; pip install 'cupy-cuda13x[ctk]', or 'cupy-cuda12x[ctk]' for drivers before version 580"
        ) from None
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise unusable(no_device(runtime, error)) from None
    if count == 0:
        raise unusable("CUDA finds none in this machine")
    package = (packages or ["cupy-cuda13x"])[0]
    for library in ("cublas", "nvrtc"):
        try:
            getattr(cupy.cuda, library)
        except (ImportError, AttributeError):
            raise unusable(f"CuPy finds no {library}, which is a part of CUDA; pip install '{package}[ctk]'") from None
    try:
        with cupy.cuda.Device(min(int(name), count - 1)):
            cupy.RawModule(code=HEADERS).compile()
    except cupy.cuda.compiler.CompileException:
        raise unusable(
            f"CuPy finds no headers of CUDA, which containers made for running lack; pip install '{package}[ctk]', "
            f"or take a container made for development"
        ) from None
    return cupy, count


def no_device(runtime, error):
    """Why CUDA did not count its devices."""
    driver, needed = runtime.driverGetVersion(), runtime.runtimeGetVersion() // 1000
    if driver == 0:
        return "there is no NVIDIA driver; install one where there is a GPU"
    if driver // 1000 < needed:
        older = f", or pip install 'cupy-cuda{needed - 1}x[ctk]' in place of this CuPy" if needed > 12 else ""
        has = f"{driver // 1000}.{driver % 1000 // 10}"
        return f"the NVIDIA driver is made for CUDA {has}, but CuPy for CUDA {needed}; update the driver{older}"
    return f"CUDA finds none in this machine ({error})"


def count():
    """The number of GPUs that can be used; 0 where anything is missing."""
    try:
        return find()[1]
    except ValueError:
        return 0
