"""Every kernel compiles for the GPUs of 2020, 2022 and 2025, through the compiler that CuPy calls when it runs; no GPU is needed for that.

NVRTC is the one of CUDA 13.0, the oldest that the extra `cuda13` allows: a newer one accepts more."""

import re

import nvrtc
import pytest

from minigrad.cuda import kernels

BUILDS = [
    *(("float32", lanes, architecture) for lanes in (4, 1) for architecture in ("sm_80", "sm_90", "sm_120")),
    *(("float64", lanes, "sm_90") for lanes in (4, 1)),
]

pytestmark = pytest.mark.skipif(not nvrtc.LIBRARY, reason="NVRTC is not installed: pip install -e '.[test-cuda]'")


def compiled(text, architecture, dtype="float32", lanes=4):
    """Machine code or assembly, with the options that CuPy gives, in the manner it gives them."""
    return nvrtc.compiled(text, architecture, (*kernels.options(dtype, lanes), "-ftz=true", "-default-device"))


@pytest.mark.parametrize("dtype, lanes, architecture", BUILDS)
@pytest.mark.parametrize("file", kernels.FILES)
def test_every_kernel_compiles(file, dtype, lanes, architecture):
    code = compiled(kernels.source(file), architecture, dtype, lanes)
    assert all(kernel.encode() in code for kernel in kernels.signatures(kernels.source(file)))


@pytest.mark.parametrize("file", kernels.FILES)
def test_what_the_float32_kernels_are_made_of(file):
    """No double arithmetic by accident, which runs at a fraction of the speed; no array in slow local memory; loads of 16 bytes."""
    ptx = compiled(kernels.source(file), "compute_90").decode()
    bodies = dict(re.findall(r"\.entry (\w+)(.*?)\n}", ptx, re.S))
    assert bodies.keys() == kernels.signatures(kernels.source(file)).keys()
    for kernel, body in bodies.items():
        assert ".f64" not in body, kernel
        assert ".local" not in body, kernel
        access = "st" if "few_channels" in kernel else "ld"  # that one reads numbers as they come
        assert kernel == "softmax_cross_entropy" or re.search(rf"{access}\.global\S*\.v4\.", body), kernel


@pytest.mark.parametrize(
    "old, new",
    [
        ("Reals sum = {};", "Reals sum = nothing;"),  # a name that nobody declared
        ("struct Pool {", "class Pool {"),  # private fields
        ("d.OW - 1); ++q)", "d.OW - 1.0f); ++q)"),  # min of an int and a float
    ],
)
def test_a_mistake_does_not_compile(old, new):
    text = kernels.source("pool")
    assert old in text
    with pytest.raises(ValueError, match=r"pool.cu\(\d+\): error"):
        compiled(text.replace(old, new), "sm_90")


def test_double_arithmetic_is_seen():
    text = kernels.source("activation").replace("1 - t.v[l] * t.v[l]", "1.0 - t.v[l] * t.v[l]")
    assert text != kernels.source("activation") and ".f64" in compiled(text, "compute_90").decode()
