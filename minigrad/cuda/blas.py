"""Matrix products by cuBLAS, called past CuPy: `cupy.matmul` takes the host three times as long, and CuPy's call of cuBLAS refuses while a
step is recorded (graph.py)."""

import ctypes
import os
import weakref

import numpy as np

Address = ctypes.c_void_p  # as ctypes needs to be told; whole numbers it takes for 32 bits, as cuBLAS does, and so it is fastest
TF32 = 7  # CuPy's number for it
FLOAT32, FLOAT64 = np.dtype("float32"), np.dtype("float64")
BFLOAT16 = np.dtype("uint16")  # NumPy has none: an array holds its bits
TYPES = {FLOAT32: 0, FLOAT64: 1, BFLOAT16: 14}  # CUDA_R_32F, CUDA_R_64F, CUDA_R_16BF
IN_FLOAT32, IN_TF32, IN_FLOAT64 = 68, 77, 70  # CUBLAS_COMPUTE_...
AS_IT_LIKES = -1  # CUBLAS_GEMM_DEFAULT
WORKSPACE = 32 << 20  # bytes; what NVIDIA recommends for an H100
SCALARS = {dtype: np.array([0, 1], dtype) for dtype in (FLOAT32, FLOAT64)}  # cuBLAS wants addresses of these two numbers
ADDRESSES = {dtype: [Address(pair.ctypes.data + i * dtype.itemsize) for i in (0, 1)] for dtype, pair in SCALARS.items()}
ADDRESSES[BFLOAT16] = ADDRESSES[FLOAT32]


class Cublas:
    """What the products of one device are made with: a handle of cuBLAS for its stream, and memory of its own to work in. In cuBLAS's the
    bits might differ from call to call while two streams of a GPU are at work.

    gemm: cublasGemmEx. To be made while the device is current; raises CUBLASError, of which some say that memory is short."""

    def __init__(self, device):
        cuda, binding = device.xp.cuda, device.xp.cuda.cublas
        handle = binding.create()
        weakref.finalize(self, binding.destroy, handle).atexit = False
        binding.setStream(handle, device.stream.ptr)
        # The library that CuPy has loaded: Linux looks a name up in what a library needs as well, Windows knows it by its own name.
        windows = f"cublas64_{cuda.runtime.runtimeGetVersion() // 1000}.dll"
        library = ctypes.CDLL(windows if os.name == "nt" else binding.__file__)
        self.workspace = cuda.Memory(min(WORKSPACE, cuda.runtime.memGetInfo()[1] // 64))
        self.compute_type = device.xp._core.get_compute_type  # see `in_tf32`
        self.error, self.gemm, self.handle, size = binding.CUBLASError, library.cublasGemmEx, Address(handle), self.workspace.size
        self.check(library.cublasSetWorkspace_v2(self.handle, Address(self.workspace.ptr), ctypes.c_size_t(size)))

    def check(self, status):
        if status:
            raise self.error(status)


def in_tf32(device):
    """Whether CuPy multiplies float32 matrices in TF32, which depends on the GPU and on CUPY_TF32 at the process's first product, or when
    it is first asked here."""
    return device.xp._core.get_compute_type(np.float32) == TF32


def layout(matrix, rows, columns):
    """How cuBLAS is told of a matrix of so many rows and columns: whether it is transposed, and the numbers from one of its rows (columns)
    to the next. Raises ValueError where neither its rows nor its columns lie side by side."""
    (down, across), size = matrix.strides, matrix.itemsize
    if across == size or columns == 1:
        return 0, down // size if rows > 1 else columns
    if down == size or rows == 1:
        return 1, across // size
    raise ValueError(f"a product takes matrices whose rows or columns are contiguous, not shape {matrix.shape}, strides {matrix.strides}")


def matmul(device, a, b, out, add=False, exact=False):
    """out (M, N) = a (M, K) @ b (K, N), all of one dtype; add: out += a @ b. Returns out. exact: in float32 even where TF32 is on.
    Of a and b in `BFLOAT16`, whose products are added up in float32, out may be float32, too.

    Nothing is copied: raises ValueError for a matrix that cuBLAS does not take as it lies, and for shapes that do not fit, TypeError for
    dtypes. To be called while the device is current."""
    (M, K), N, dtype, of = a.shape, b.shape[1], out.dtype, a.dtype
    if b.shape[0] != K or out.shape != (M, N):
        raise ValueError(f"a product of {a.shape} and {b.shape} does not give {out.shape}")
    if b.dtype != of or (dtype != of and (of != BFLOAT16 or dtype != FLOAT32)):
        raise TypeError(f"a product of {of} and {b.dtype} does not give {dtype}")
    (a_turned, a_row), (b_turned, b_row), (turned, row) = layout(a, M, K), layout(b, K, N), layout(out, M, N)
    if turned:
        raise ValueError("the rows of a product must be contiguous")
    kind, given, (zero, one) = TYPES[dtype], TYPES[of], ADDRESSES[dtype]
    cublas = device.cublas or device.begin_products()
    plainly = given or exact or cublas.compute_type(np.float32) != TF32
    compute = IN_FLOAT64 if given == 1 else IN_FLOAT32 if plainly else IN_TF32
    # cuBLAS counts down columns, so what it sees is out' = b' a'.
    status = cublas.gemm(
        cublas.handle, b_turned, a_turned, N, M, K, one, Address(b.data.ptr), given, b_row, Address(a.data.ptr), given, a_row,
        one if add else zero, Address(out.data.ptr), kind, row, compute, AS_IT_LIKES,
    )  # fmt: skip
    if status:
        cublas.check(status)
    return out
