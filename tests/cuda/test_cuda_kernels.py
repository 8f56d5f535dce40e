"""Every kernel against the NumPy body of its layer: on the CPU through g++, and the same tests on a GPU where there is one."""

import numpy as np
import pytest
from backends import Gpu, Host, Launcher, aligned
from bfloat16 import number, rounded

from minigrad import LocalResponseNorm, MaxPool2d, Parameter, SoftmaxCrossEntropy
from minigrad.cuda import kernels
from minigrad.layers.conv import im2col, output_size
from minigrad.layers.philox import philox, random_bits
from minigrad.optim import MOVES, SGD
from minigrad.plain import col2im

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
CONVOLUTIONS = [  # N H W C K S (top, bottom, left, right)
    (2, 23, 27, 3, 11, 4, (0, 3, 1, 2)),  # conv1 in small: 3 channels, more padding on one side, H != W
    (2, 9, 8, 4, 5, 1, (2, 2, 2, 2)),  # conv2
    (3, 7, 7, 8, 3, 1, (1, 1, 1, 1)),  # conv3
    (1, 5, 6, 4, 1, 1, (0, 0, 0, 0)),
    (2, 8, 9, 4, 2, 3, (0, 0, 1, 0)),  # a stride beyond the kernel: pixels that no patch holds
]
TIES = 1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8, 1 + 2.0**-8 + 2.0**-20  # between two neighbours in bfloat16; beyond
ROUNDED = {  # a number: what it is in bfloat16
    1 + 2.0**-8: 1,
    1 + 3 * 2.0**-8: 1 + 2.0**-6,
    -1 - 2.0**-8: -1,
    1 + 2.0**-8 + 2.0**-20: 1 + 2.0**-7,
    1 - 2.0**-10: 1,
    2.0**-126: 2.0**-126,
    3.4028235e38: np.inf,
    (2 - 2.0**-7) * 2.0**127: (2 - 2.0**-7) * 2.0**127,
    -np.inf: -np.inf,
    2.0**-130: 2.0**-130,
    np.nan: np.nan,
    -0.0: -0.0,
}
POOLS = [(2, 13, 13, 8, 3, 2), (1, 8, 11, 4, 3, 2), (2, 7, 6, 4, 2, 2), (1, 9, 9, 4, 2, 3), (1, 3, 3, 4, 3, 1)]  # N H W C K S
NORMS = [  # shape, size, k, alpha, beta
    ((2, 3, 4, 16), 5, 2, 1e-4, 0.75),  # the paper's
    ((5, 8), 5, 1, 0.3, 0.75),
    ((3, 4), 11, 2, 0.1, 0.6),  # a window wider than the channels
    ((2, 12), 1, 1, 0.2, 0.75),
    ((2, 12), 3, 1, 0.2, 0.75),
    ((3, 8), 5, 0, 0.2, 0.75),
]


@pytest.fixture(params=[Host, pytest.param(Gpu, marks=pytest.mark.gpu)])
def backend(request):
    backend = request.param()
    if backend.missing:
        pytest.skip(backend.missing)
    if request.param is Gpu:
        request.getfixturevalue("cupy")
    return backend


@pytest.fixture(params=[(dtype, lanes) for dtype in TOLERANCE for lanes in (4, 1)], ids=lambda p: f"{p[0]}-{p[1]}")
def run(request, backend):
    """A launcher for each build, in a launch shape that divides nothing."""
    return Launcher(backend, *request.param)


def close(result, expected, tolerance):
    assert result.dtype == expected.dtype and result.shape == expected.shape
    largest = max(1, np.abs(expected[np.isfinite(expected)]).max())
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance * largest)


def normal(run, *shape, seed=0):
    return aligned(np.random.default_rng(seed).standard_normal(shape).astype(run.dtype))


def convolution(N, H, W, C, K, S, padding, columns=None, ones=1):
    """The struct `Conv` of these."""
    top, bottom, left, right = padding
    OH, OW = output_size(H, K, S, top, bottom), output_size(W, K, S, left, right)
    sizes = {"N": N, "H": H, "W": W, "C": C, "K": K, "S": S, "top": top, "left": left, "OH": OH, "OW": OW}
    return sizes | {"columns": columns or (K * K * C // 4 + 1) * 4, "ones": ones, "relu": 0}


def check_convolution(run, case):
    N, H, W, C, K, S, padding = case
    d = convolution(*case)
    x, filled = normal(run, N, H, W, C), K * K * C
    patches = run.empty(N * d["OH"] * d["OW"], d["columns"])
    for relu in (0, 1):
        run("conv", "im2col_of_few_channels", x, patches, d | {"relu": relu})
        np.testing.assert_array_equal(patches[:, :filled], im2col(np.maximum(x, 0) if relu else x, K, S, padding))
        assert (patches[:, filled] == 1).all() and not patches[:, filled + 1 :].any()
    if C % run.lanes:
        return
    patches[...] = np.nan
    run("conv", "im2col", x, patches, d)
    np.testing.assert_array_equal(patches[:, :filled], im2col(x, K, S, padding))
    assert (patches[:, filled] == 1).all() and not patches[:, filled + 1 :].any()

    dpatches, dx = normal(run, *patches.shape, seed=1), run.empty(*x.shape)
    expected = col2im(dpatches[:, :filled], x.shape, K, S, padding)
    run("conv", "col2im", dpatches, x, dx, d)
    close(dx, expected, TOLERANCE[run.dtype.name])

    d["relu"], x[0, 0, 0, 0] = 1, 0
    run("conv", "im2col", x, patches, d)
    np.testing.assert_array_equal(patches[:, :filled], im2col(np.maximum(x, 0), K, S, padding))
    run("conv", "col2im", dpatches, x, dx, d)
    close(dx, expected * (x > 0), TOLERANCE[run.dtype.name])


def check_convolution_in_bfloat16(run, case):
    N, H, W, C, K, S, padding = case
    x, filled = normal(run, N, H, W, C), K * K * C
    x.flat[:6] = *TIES, np.nan, np.inf
    d = convolution(*case, columns=filled // 8 * 8 + 16, ones=3)
    shape = N * d["OH"] * d["OW"], d["columns"]
    for relu in (0, 1):
        for kernel in ["im2col_of_few_channels_bf16"] + ["im2col_bf16"] * (C % run.lanes == 0):
            patches = run.empty(*shape, dtype=np.uint16)
            run("conv", kernel, x, patches, d | {"relu": relu})
            np.testing.assert_array_equal(patches[:, :filled], rounded(im2col(np.maximum(x, 0) if relu else x, K, S, padding)))
            assert (patches[:, filled : filled + 3] == rounded(1)).all() and not patches[:, filled + 3 :].any()
    if C % run.lanes:
        return
    x[0, 0, 0, 0] = 0
    dpatches, dx = aligned(rounded(normal(run, *shape, seed=1))), run.empty(*x.shape)
    expected = col2im(number(dpatches)[:, :filled].astype(run.dtype), x.shape, K, S, padding)
    for relu in (0, 1):
        run("conv", "col2im_bf16", dpatches, x, dx, d | {"relu": relu})
        close(dx, expected * (x > 0) if relu else expected, TOLERANCE[run.dtype.name])


def check_weights_and_bias(run, filled, CO):
    W, b, columns = normal(run, filled, CO), normal(run, CO, seed=1), (filled // 4 + 1) * 4
    Wb = run.empty(columns, CO)
    run("conv", "weights_and_bias", W, b, Wb, filled, columns, CO)
    np.testing.assert_array_equal(Wb, np.concatenate([W, b[None], np.zeros((columns - filled - 1, CO), W.dtype)]))

    W.flat[:5], half, columns = (*TIES, np.nan), run.empty(columns + 8, CO, dtype=np.uint16), columns + 8
    run("conv", "weights_and_bias_bf16", W, b, half, filled, columns, CO)
    np.testing.assert_array_equal(half[:filled], rounded(W))
    assert not half[filled + 3 :].any()
    np.testing.assert_array_equal(half[filled], rounded(b))
    in_three = number(half[filled : filled + 3]).astype(np.float64)
    np.testing.assert_allclose(in_three.sum(axis=0), b, rtol=0 if run.dtype == np.float32 else 2**-22)  # nothing of it is lost


def check_bfloat16(run, n):
    x, y = 9 * normal(run, n), run.empty(n, dtype=np.uint16)
    x[: len(ROUNDED)] = list(ROUNDED)
    if run.dtype == np.float32:
        x[-1:].view(np.uint32)[...] = 0x7FFFFFFF  # a NaN that would become a 0
    run("conv", "to_bfloat16", x, y, n)
    np.testing.assert_array_equal(number(y)[: len(ROUNDED)], list(ROUNDED.values()))
    np.testing.assert_array_equal(y, rounded(x))
    between, x = y[len(ROUNDED) : -1], x[len(ROUNDED) : -1].astype(np.float64)
    for neighbour in (between - 1, between + 1):  # of the same sign
        assert (np.abs(number(between) - x) <= np.abs(number(neighbour) - x)).all()


def check_norm(run, shape, size, k, alpha, beta):
    x, dy, layer = 3 * normal(run, *shape), normal(run, *shape, seed=1), LocalResponseNorm(size, alpha, beta, k)
    if k == 0:
        x[..., -2:] = 0  # a channel beyond the last would divide by 0
    y, dx = run.empty(*shape), run.empty(*shape)
    for relu in (0, 1) if k else (0,):  # else s would be 0 where no channel is above 0
        d = {"rows": x.size // shape[-1], "C": shape[-1], "half": size // 2, "relu": relu, "k": k, "alpha": alpha, "beta": beta}
        run("lrn", "lrn_forward", aligned(x), y, d)
        run("lrn", "lrn_backward", aligned(x), dy, dx, d)
        expected, kept = layer.forward_slab(np.maximum(x, 0) if relu else x, 0)
        close(y, expected, TOLERANCE[run.dtype.name])
        close(dx, layer.backward_slab(dy, kept)[0] * ((x > 0) if relu else 1), TOLERANCE[run.dtype.name])


def check_pool(run, N, H, W, C, K, S):
    x = aligned(np.random.default_rng(0).integers(-3, 3, (N, H, W, C)).astype(run.dtype))  # few values: many ties
    x[0, 0, 0, 0], x[0, 2, 0, 2] = -np.inf, np.inf
    layer = MaxPool2d(K, S)
    expected, kept = layer.forward_slab(x, 0)
    _, OH, OW, _ = expected.shape
    d = {"N": N, "H": H, "W": W, "C": C, "K": K, "S": S, "OH": OH, "OW": OW, "relu": 0}
    y, winner = run.empty(*expected.shape), run.empty(*expected.shape, dtype=np.uint8)
    run("pool", "maxpool_forward", x, y, winner, d)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(winner, kept[0])
    x[0, 1, 1, 0] = x[-1, 0, 1, -1] = np.nan
    expected, kept = layer.forward_slab(x, 0)
    run("pool", "maxpool_forward", x, y, winner, d)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(winner, kept[0])
    dy, dx = normal(run, *y.shape), run.empty(*x.shape)
    run("pool", "maxpool_backward", dy, winner, dx, d)
    close(dx, layer.backward_slab(dy, kept)[0], TOLERANCE[run.dtype.name])

    x -= 1  # windows without a positive number, too
    expected, kept = layer.forward_slab(np.maximum(x, 0), 0)
    run("pool", "maxpool_forward", x, y, winner, d | {"relu": 1})
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(winner, np.where(expected > 0, kept[0], 255))
    run("pool", "maxpool_backward", dy, winner, dx, d | {"relu": 1})
    close(dx, layer.backward_slab(dy, kept)[0] * (x > 0), TOLERANCE[run.dtype.name])


def check_norm_and_pool(run, relu, N, H, W, C, K, S):
    """In one and one after the other: the same bits."""
    x = 3 * normal(run, N, H, W, C)
    x[0, 0, 0, 1], x[:, :, 2] = np.nan, x[:, :, 1]  # ties
    norm, pool = LocalResponseNorm(5, 0.3, 0.75, 1), MaxPool2d(K, S)
    OH, OW = output_size(H, K, S, 0, 0), output_size(W, K, S, 0, 0)
    n = {"rows": N * H * W, "C": C, "half": 2, "relu": relu, "k": norm.k, "alpha": norm.alpha, "beta": norm.beta}
    d = {"N": N, "H": H, "W": W, "C": C, "K": K, "S": S, "OH": OH, "OW": OW, "relu": 0}
    dy, between, dbetween = normal(run, N, OH, OW, C, seed=1), run.empty(*x.shape), run.empty(*x.shape)
    both = [(run.empty(*dy.shape), run.empty(*dy.shape, dtype=np.uint8), run.empty(*x.shape)) for _ in range(2)]
    (y, winner, dx), (one_y, one_winner, one_dx) = both
    run("lrn", "lrn_forward", x, between, n)
    run("pool", "maxpool_forward", between, y, winner, d)
    run("pool", "maxpool_backward", dy, winner, dbetween, d)
    run("lrn", "lrn_backward", x, dbetween, dx, n)
    run("norm_pool", "norm_pool_forward", x, one_y, one_winner, n, d)
    run("norm_pool", "norm_pool_backward", x, dy, one_winner, one_dx, n, d)
    for one, two in ((one_y, y), (one_winner, winner), (one_dx, dx)):
        np.testing.assert_array_equal(one, two)
    x[0, 0, 0, 1] = 1
    seen = np.maximum(x, 0) if relu else x
    z, kept = norm.forward_slab(seen, 0)
    expected, won = pool.forward_slab(z, 0)
    run("norm_pool", "norm_pool_forward", x, y, winner, n, d)
    run("norm_pool", "norm_pool_backward", x, dy, winner, dx, n, d)
    close(y, expected, TOLERANCE[run.dtype.name])
    close(dx, norm.backward_slab(pool.backward_slab(dy, won)[0], kept)[0] * ((x > 0) if relu else 1), TOLERANCE[run.dtype.name])


def check_dropout(run, units, p, key, step, scale):
    x = normal(run, 6, units)

    def masked(x, first_unit=0, first_image=0, relu=0, z=None):
        y, d = run.empty(*x.shape), {"images": len(x), "first_image": first_image, "units": x.shape[1], "first_unit": first_unit}
        d["relu"] = relu
        d |= {"key_low": key & 0xFFFFFFFF, "key_high": key >> 32, "threshold": round(p * 2**32), "scale": scale, "at": 0}
        run("dropout", "dropout", aligned(x), aligned(x if z is None else z), y, d, step)
        return y

    keep = random_bits(key, step, 0, 6, 0, units) >= round(p * 2**32)
    expected = x * (keep * run.dtype.type(scale)).astype(run.dtype)
    whole = masked(x)
    np.testing.assert_array_equal(whole.view(f"u{x.itemsize}"), expected.view(f"u{x.itemsize}"))  # signs of zeros, too
    np.testing.assert_array_equal(masked(x[2:], first_image=2), whole[2:])
    dropped = np.flatnonzero(~keep[0])
    if dropped.size:
        x[0, dropped[0]] = np.inf
        assert masked(x)[0, dropped[0]] == 0
        x[0, dropped[0]] = 0
        whole[0, dropped[0]] = 0
    x[1, np.flatnonzero(keep[1])[:1]] = 0
    rectified = masked(x, relu=1)
    np.testing.assert_array_equal(rectified, masked(np.maximum(x, 0)))
    dy = normal(run, *x.shape, seed=1)
    np.testing.assert_array_equal(masked(dy, relu=1, z=x), masked(dy) * (x > 0))
    x[0, 0] = np.nan
    assert np.isnan(masked(x, relu=1)[0, 0]) == bool(keep[0, 0])
    x[0, 0], x[1] = 0, 1
    whole = masked(x)
    half = units // 8 * 4
    np.testing.assert_array_equal(np.concatenate([masked(x[:, :half]), masked(x[:, half:], half)], axis=1), whole)


def check_loss(run, N, K):
    z, labels = 9 * normal(run, N, K), np.random.default_rng(1).integers(0, K, N)
    z[0, -1] += 1000  # exp would overflow
    loss, dz, layer = run.empty(N), run.empty(N, K), SoftmaxCrossEntropy()
    run("loss", "softmax_cross_entropy", aligned(z), labels, loss, dz, N, K)
    assert abs(layer.forward(z, labels) - loss.mean()) < TOLERANCE[run.dtype.name] * 1000
    close(dz, layer.backward(), TOLERANCE[run.dtype.name])


def check_sgd(run, sizes, aligned=True):
    """Parameters of these sizes; where they are not aligned each begins 4 bytes, or 8, further on."""
    if not aligned and run.lanes > 1:
        return
    given = [[normal(run, n + (not aligned), seed=3 * i + j)[0 if aligned else 1 :] for j in range(3)] for i, n in enumerate(sizes)]
    rates = [(0.1, 5e-4), (0.2, 0), (0.05, 1e-3)][: len(sizes)]
    expected, there = [], [[run.backend.array(a) for a in arrays] for arrays in given]
    for (w, v, g), (lr, decay) in zip(given, rates, strict=True):
        sgd = SGD([Parameter("W", w.copy(), g)], lr=lr, momentum=0.9, weight_decay=decay)
        sgd.velocities[0][...] = v
        sgd.step()
        expected.append((sgd.parameters[0].value, sgd.velocities[0]))
    moves, elements = [], 0
    for arrays, n, rate in zip(there, sizes, rates, strict=True):
        moves.append((*map(run.backend.address, arrays), elements, n, *rate, 0))
        elements += -(-n // 4) * 4
    table = np.zeros((), kernels.struct(kernels.source("optim"), "Moves", run.dtype))
    assert table["of"].shape == (MOVES,)
    table["of"][: len(moves)] = moves
    run("optim", "sgd", table, len(moves), elements, 0.9)
    for (w, v, _), wanted in zip(there, expected, strict=True):
        close(run.backend.numpy(w), wanted[0], TOLERANCE[run.dtype.name])
        close(run.backend.numpy(v), wanted[1], TOLERANCE[run.dtype.name])


def check_exchange(run, widths):
    parts = [normal(run, 7, width, seed=width) for width in widths]
    whole, first = run.empty(7, sum(widths)), 0
    for part in parts:
        run("towers", "put_beside", part, whole, {"rows": 7, "width": part.shape[1], "whole": whole.shape[1], "to": first})
        first += part.shape[1]
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=-1))


def check_activations(run, n):
    x, dy = normal(run, n), normal(run, n, seed=1)
    x[:3] = 0, np.nan, -np.inf
    for name, forward, backward in (
        ("relu", lambda x: np.maximum(x, 0), lambda y: y > 0),
        ("tanh", np.tanh, lambda y: 1 - y * y),
    ):
        y, dx = run.empty(n), run.empty(n)
        run("activation", f"{name}_forward", x, y, n)
        run("activation", f"{name}_backward", y, dy, dx, n)
        close(y, forward(x), TOLERANCE[run.dtype.name])
        close(dx, dy * backward(y).astype(run.dtype), TOLERANCE[run.dtype.name])


def check(run, file):
    """All kernels of a file, in one build and launch shape."""
    if file == "conv":
        check_bfloat16(run, 240)
        for case in CONVOLUTIONS:
            check_convolution(run, case)
            check_convolution_in_bfloat16(run, case)
        for filled, CO in ((75, 8), (16, 4), (3, 12)):
            check_weights_and_bias(run, filled, CO)
    elif file == "lrn":
        for case in NORMS:
            check_norm(run, *case)
    elif file == "pool":
        for case in POOLS:
            check_pool(run, *case)
    elif file == "dropout":
        for units, p, scale in ((40, 0.5, 1), (24, 0.2, 1.25), (16, 1 - 2**-33, 1)):
            check_dropout(run, units, p, 0x0123456789ABCDEF, 2**33 + 5, scale)
    elif file == "activation":
        check_activations(run, 52)
    elif file == "norm_pool":
        for relu, case in ((1, POOLS[0]), (0, POOLS[2]), (1, POOLS[3]), (0, POOLS[4])):
            check_norm_and_pool(run, relu, *case)
    elif file == "towers":
        for widths in ((12,), (8, 4), (4, 16, 8)):
            check_exchange(run, widths)
    elif file == "optim":
        for sizes in ((40,), (12, 7, 40), (1, 4, 2)):
            check_sgd(run, sizes)
            check_sgd(run, sizes, aligned=False)
    else:
        raise AssertionError(f"{file}.cu has no test")


@pytest.mark.parametrize("file", [file for file in kernels.FILES if file != "loss"])
@pytest.mark.parametrize("grid, block", [(1, 1), (3, 5), (7, 64)])
def test_kernels_compute_what_the_layers_do(run, file, grid, block):
    run.shape = (grid,), (block,)
    check(run, file)


@pytest.mark.parametrize("grid, block", [(1, 1), (3, 4), (4, 256)])
@pytest.mark.parametrize("N, K", [(5, 10), (4, 1000), (1, 2)])
def test_loss(run, N, K, grid, block):
    run.shape = (grid,), (block,)
    check_loss(run, N, K)


def test_known_answers_of_philox():
    """Published with Random123."""
    ones = 0xFFFFFFFF
    for counter, expected in (
        (0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (ones, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ):
        assert tuple(int(word) for word in philox(*[counter] * 6)) == expected


def test_the_gradient_of_normalisation_is_the_derivative_of_the_kernel(backend):
    """Kernel against kernel in float64, with no NumPy body in between."""
    run = Launcher(backend, "float64", 4)
    x, dy = 2 * normal(run, 2, 8), normal(run, 2, 8, seed=1)
    d = {"rows": 2, "C": 8, "half": 2, "relu": 0, "k": 2, "alpha": 0.3, "beta": 0.75}
    dx = run.empty(2, 8)
    run("lrn", "lrn_backward", aligned(x), dy, dx, d)
    for at in np.ndindex(x.shape):
        values = []
        for h in (1e-5, -1e-5):
            moved, y = aligned(x), run.empty(2, 8)
            moved[at] += h
            run("lrn", "lrn_forward", moved, y, d)
            values.append((y * dy).sum())
        assert abs((values[0] - values[1]) / 2e-5 - dx[at]) < 1e-8


def test_nan_stays_visible(backend):
    """CUDA's fmax would make 0 of it, and a run that diverges would go on."""
    run = Launcher(backend, "float32", 4)
    x, y, winner = normal(run, 1, 3, 3, 4), run.empty(1, 1, 1, 4), run.empty(1, 1, 1, 4, dtype=np.uint8)
    x[0, 1, 1, 2] = np.nan
    run("pool", "maxpool_forward", x, y, winner, {"N": 1, "H": 3, "W": 3, "C": 4, "K": 3, "S": 2, "OH": 1, "OW": 1, "relu": 0})
    assert np.isnan(y).tolist() == [[[[False, False, True, False]]]] and winner[0, 0, 0, 2] == 4
    loss, dz = run.empty(1), run.empty(1, 36)
    run("loss", "softmax_cross_entropy", aligned(x.reshape(1, 36)), np.array([3]), loss, dz, 1, 36)
    assert np.isnan(loss).all() and np.isnan(dz).all()
