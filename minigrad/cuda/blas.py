"""Matrix products by cuBLAS, called as directly as CuPy allows: `cupy.matmul` takes the host three times as long."""

import numpy as np

TF32 = 7  # CuPy's number for it
TYPES = {np.dtype("float32"): 0, np.dtype("float64"): 1}  # CUDA_R_32F, CUDA_R_64F
IN_FLOAT32, IN_TF32, IN_FLOAT64 = 68, 77, 70  # CUBLAS_COMPUTE_...
AS_IT_LIKES = -1  # CUBLAS_GEMM_DEFAULT
SCALARS = {dtype: np.array([0, 1], dtype) for dtype in TYPES}  # cuBLAS wants addresses of these two numbers
ADDRESSES = {dtype: (pair.ctypes.data, pair.ctypes.data + dtype.itemsize) for dtype, pair in SCALARS.items()}


def in_tf32(device):
    """Whether CuPy multiplies float32 matrices in TF32, which depends on the GPU and on CUPY_TF32 at the process's first product, or when
    it is first asked here."""
    return device.xp._core.get_compute_type(np.float32) == TF32


def layout(matrix):
    """How cuBLAS is told of a matrix: whether it is transposed, and the numbers from one of its rows (columns) to the next.
    Raises ValueError where neither its rows nor its columns lie side by side."""
    (rows, columns), (down, across), size = matrix.shape, matrix.strides, matrix.itemsize
    if across == size or columns == 1:
        return 0, down // size if rows > 1 else columns
    if down == size or rows == 1:
        return 1, across // size
    raise ValueError(f"a product takes matrices whose rows or columns are contiguous, not shape {matrix.shape}, strides {matrix.strides}")


def matmul(device, a, b, out, add=False, exact=False):
    """out (M, N) = a (M, K) @ b (K, N), all of one dtype; add: out += a @ b. Returns out. exact: in float32 even where TF32 is on.

    Nothing is copied: raises ValueError for a matrix that cuBLAS does not take as it lies, and for shapes that do not fit, TypeError for
    dtypes. To be called while the device is current."""
    (M, K), N, dtype = a.shape, b.shape[1], out.dtype
    if b.shape[0] != K or out.shape != (M, N):
        raise ValueError(f"a product of {a.shape} and {b.shape} does not give {out.shape}")
    if a.dtype != dtype or b.dtype != dtype:
        raise TypeError(f"a product of {a.dtype} and {b.dtype} does not give {dtype}")
    (a_turned, a_row), (b_turned, b_row), (turned, row) = layout(a), layout(b), layout(out)
    if turned:
        raise ValueError("the rows of a product must be contiguous")
    kind, (zero, one) = TYPES[dtype], ADDRESSES[dtype]
    compute = IN_FLOAT64 if kind else IN_FLOAT32 if exact or not in_tf32(device) else IN_TF32
    # cuBLAS counts down columns, so what it sees is out' = b' a'.
    device.xp.cuda.cublas.gemmEx(
        device.gpu.cublas_handle, b_turned, a_turned, N, M, K, one, b.data.ptr, kind, b_row, a.data.ptr, kind, a_row,
        one if add else zero, out.data.ptr, kind, row, compute, AS_IT_LIKES,
    )  # fmt: skip
    return out
