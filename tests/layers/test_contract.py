"""What every layer promises (and every container of layers), tested in one suite."""

from copy import deepcopy

import numpy as np
import pytest
from naive import numerical_gradients, relative_error, spread

from minigrad import (
    Conv2d,
    Device,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sequential,
    Tanh,
    Towers,
)
from minigrad.engine import memory, slabs


def conv(*arguments, **options):
    return Conv2d(*arguments, **options, std=0.5, bias=0.25, rng=np.random.default_rng(1))


def winograd(*arguments, **options):
    layer = conv(*arguments, **options)
    layer.winograd_channels = 1
    return layer


def linear(*arguments):
    return Linear(*arguments, std=0.5, bias=-0.25, rng=np.random.default_rng(2))


def dropout(*arguments, **options):
    return Dropout(*arguments, **options, rng=np.random.default_rng(3))


def sequential():
    return Sequential(
        conv1=conv(2, 3, 3, stride=2, padding=(1, 0, 2, 1)),
        relu1=ReLU(),
        norm1=LocalResponseNorm(3, 0.5, 0.75, 1.0),
        pool1=MaxPool2d(2, 1),
        drop1=dropout(0.4),
        flatten=Flatten(),
        fc2=linear(12, 4),
        tanh2=Tanh(),
    )


def towers():
    def column(t):
        W = np.random.default_rng(t)
        return Sequential(conv1=Conv2d(2, 3, 3, padding=1, std=0.5, rng=W), tanh1=Tanh(), pool1=MaxPool2d(3, 2))

    def top(t):
        W = np.random.default_rng(10 + t)
        return Sequential(flatten=Flatten(), fc2=Linear(36, 3 - t, std=0.5, bias=1.0, rng=W))

    return Towers([[column(0), column(1)], [top(0), top(1)]])


# name -> (what makes the layer, a shape of x): odd shapes, H != W, N = 1, windows that do not divide the image.
CASES = {
    "conv": (lambda: conv(3, 4, 3), (2, 5, 7, 3)),
    "conv padded on four sides": (lambda: conv(2, 3, 3, stride=2, padding=(0, 3, 1, 2)), (1, 6, 9, 2)),
    "conv that skips pixels": (lambda: conv(2, 5, 1, stride=3), (3, 5, 8, 2)),
    "conv, Winograd": (lambda: winograd(3, 4, 3, padding=(2, 1, 0, 1)), (3, 5, 6, 3)),
    "conv, Winograd, 5 x 5": (lambda: winograd(3, 4, 5, padding=(2, 1, 0, 3)), (3, 5, 6, 3)),
    "conv, Winograd, stride": (lambda: winograd(3, 4, 6, 2, padding=(2, 1, 0, 1)), (3, 8, 9, 3)),
    "linear": (lambda: linear(7, 5), (3, 7)),
    "linear, one image": (lambda: linear(4, 1), (1, 4)),
    "relu": (ReLU, (3, 5, 4, 3)),
    "relu, flat": (ReLU, (1, 11)),
    "tanh": (Tanh, (3, 2, 5, 3)),
    "lrn": (lambda: LocalResponseNorm(5, 0.5, 0.75, 2.0), (2, 3, 2, 7)),
    "lrn, wider than its channels": (lambda: LocalResponseNorm(9, 0.3, 0.5, 1.0), (1, 3, 4, 3)),
    "pool": (MaxPool2d, (2, 8, 6, 3)),
    "pool that skips pixels": (lambda: MaxPool2d(2, 3), (1, 9, 7, 2)),
    "dropout": (lambda: dropout(0.5), (3, 3, 4, 3)),
    "dropout, scaled in training": (lambda: dropout(0.3, scale_at="train"), (1, 17)),
    "dropout, testing": (lambda: dropout(0.3).eval(), (2, 7)),
    "flatten": (Flatten, (3, 2, 5, 3)),
    "sequential": (sequential, (2, 7, 5, 2)),
    "towers": (towers, (2, 6, 7, 2)),
}
every_layer = pytest.mark.parametrize("make, shape", CASES.values(), ids=CASES)
every_layer_but = {
    out: pytest.mark.parametrize("make, shape", [v for k, v in CASES.items() if out not in k], ids=[k for k in CASES if out not in k])
    for out in ("flatten", "dropout")
}


@pytest.fixture(autouse=True)
def recycled_memory(monkeypatch):
    """Small arrays, too, lie in memory that others have left: whoever reads what is not yet written, or lets go too early, is found."""
    monkeypatch.setattr(memory, "REUSED_FROM", 1)


def batch(shape, dtype=np.float64, seed=0):
    """x for a layer: far from ties and kinks, as Fortran order or slices must not change."""
    return spread(np.random.default_rng(seed), shape).astype(dtype)


def cotangent(layer, x, seed=0):
    """A random dy, without disturbing the layer."""
    y = deepcopy(layer).forward(x)
    return np.random.default_rng([7, seed]).standard_normal(y.shape).astype(y.dtype)


def passes(layer, x, dy):
    """y, dx and the gradients of all parameters of a forward and a backward, as a list of copies."""
    y = layer.forward(x).copy()
    dx = layer.backward(dy).copy()
    return [y, dx, *(p.grad.copy() for p in layer.parameters())]


def assert_equal(results, expected):
    for a, b in zip(results, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def assert_close(results, expected, tolerance=1e-12):
    for a, b in zip(results, expected, strict=True):
        assert a.shape == b.shape
        assert relative_error(a, b) <= tolerance


@every_layer
def test_every_gradient_is_the_one_of_central_differences(make, shape):
    layer, x = make().astype(np.float64), batch(shape)
    dys = [cotangent(layer, x, seed) for seed in (0, 1)]
    worker = deepcopy(layer)
    results = []
    for dy in dys:
        worker = deepcopy(layer)  # a second training forward of the same dropout layer would have another mask
        worker.forward(x)
        results.append([worker.backward(dy), *(p.grad for p in worker.parameters())])
    for i, t in enumerate([x, *(p.value for p in layer.parameters())]):
        numerical = numerical_gradients(lambda: deepcopy(layer).forward(x), t, dys)
        for result, expected in zip(results, numerical, strict=True):
            assert result[i].shape == t.shape
            assert relative_error(result[i], expected) <= 1e-6


@every_layer
def test_backward_overwrites_and_can_be_called_again(make, shape):
    layer, x = make(), batch(shape, np.float32)
    dy, other = cotangent(layer, x, 0), cotangent(layer, x, 1)
    first = passes(layer, x, dy)
    again = layer.backward(dy).copy()
    assert_equal([again, *(p.grad for p in layer.parameters())], first[1:])
    layer.backward(other)
    again = layer.backward(dy)
    assert_equal([again, *(p.grad for p in layer.parameters())], first[1:])


@every_layer
def test_nothing_that_is_handed_in_is_written_to(make, shape):
    layer, x = make(), batch(shape, np.float32)
    dy = cotangent(layer, x)
    expected = passes(deepcopy(layer), x, dy)
    given = [x, dy, *(p.value for p in layer.parameters())]
    before = [a.copy() for a in given]
    for a in given:
        a.flags.writeable = False
    assert_equal(passes(layer, x, dy), expected)
    assert_equal(given, before)


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_in_is_dtype_out(make, shape, dtype):
    layer, x = make().astype(dtype), batch(shape, dtype)
    assert {a.dtype for a in passes(layer, x, cotangent(layer, x))} == {np.dtype(dtype)}
    assert {p.value.dtype for p in layer.parameters()} <= {np.dtype(dtype)}


@every_layer
def test_a_float32_layer_keeps_float64_images_float64(make, shape):
    layer, x = make(), batch(shape, np.float64)
    y, dx, *gradients = passes(layer, x, cotangent(layer, x))
    assert y.dtype == dx.dtype == np.float64
    assert [g.dtype for g in gradients] == [p.value.dtype for p in layer.parameters()]


def fortran(a):
    return np.asfortranarray(a)


def backwards(a):
    """The same numbers, each axis stored in the other direction."""
    flip = (slice(None, None, -1),) * a.ndim
    return a[flip].copy()[flip]


def sliced(a):
    """The same numbers as every other element of a larger array."""
    large = np.full([2 * size + 1 for size in a.shape], np.nan, a.dtype)
    view = large[tuple(slice(1, None, 2) for _ in a.shape)]
    view[...] = a
    return view


@every_layer
@pytest.mark.parametrize("layout", [fortran, backwards, sliced])
def test_strides_do_not_matter(make, shape, layout):
    layer, x = make().astype(np.float64), batch(shape)
    dy = cotangent(layer, x)
    expected = passes(deepcopy(layer), x, dy)
    assert_close(passes(layer, layout(x), layout(dy)), expected)


@every_layer
def test_broadcast_dy(make, shape):
    """dy as the loss `y.sum()` makes it: one number seen everywhere, all strides 0."""
    layer, x = make().astype(np.float64), batch(shape)
    ones = np.ones_like(cotangent(layer, x))
    expected = passes(deepcopy(layer), x, ones)
    assert_close(passes(layer, x, np.broadcast_to(1.0, ones.shape)), expected)


@every_layer
def test_backward_before_forward_names_the_layer(make, shape):
    layer = make()
    with pytest.raises(RuntimeError, match=rf"({type(layer).__name__}|in \w+, the \d\w\w layer).*backward.*forward"):
        layer.backward(np.ones(shape, np.float32))


@every_layer
@pytest.mark.parametrize("dtype", ["uint8", "int64"])
def test_integers_are_refused(make, shape, dtype):
    layer = make()
    with pytest.raises(TypeError, match=rf"{type(layer).__name__}.*{dtype}"):
        layer.forward(np.ones(shape, dtype))


@every_layer
def test_a_dy_of_another_shape_is_refused(make, shape):
    layer, x = make(), batch(shape, np.float32)
    dy = cotangent(layer, x)
    layer.forward(x)
    with pytest.raises(ValueError, match=rf"{dy.shape[-1] + 1}.* {dy.shape[-1]}\b"):
        layer.backward(np.ones((*dy.shape[:-1], dy.shape[-1] + 1), np.float32))


@pytest.mark.parametrize("name", [name for name in CASES if name.split()[0].strip(",") in ("conv", "linear", "sequential", "towers")])
def test_a_wrong_number_of_channels_names_the_layer_and_both_numbers(name):
    make, shape = CASES[name]
    layer = make()
    wanted, found = shape[-1], shape[-1] + 20
    what = type(layer).__name__ if isinstance(layer, (Conv2d, Linear)) else "in conv1, the 1st layer: Conv2d"
    with pytest.raises(ValueError, match=what) as error:
        layer.forward(np.ones((*shape[:-1], found), np.float32))
    numbers = str(error.value).replace(",", " ").replace(")", " ").replace(".", " ").split()
    assert str(wanted) in numbers and str(found) in numbers


@every_layer_but["flatten"]
def test_fresh_arrays_come_back(make, shape):
    layer, x = make(), batch(shape, np.float32)
    dy = cotangent(layer, x)
    y = layer.forward(x)
    dx = layer.backward(dy)
    given = [x, dy, *(p.value for p in layer.parameters())]
    assert not any(np.shares_memory(fresh, a) for fresh in (y, dx) for a in given)
    assert not np.shares_memory(y, dx)
    kept_y, kept_dx = y.copy(), dx.copy()
    layer.forward(x * 2)
    layer.backward(dy * 3)
    assert_equal([y, dx], [kept_y, kept_dx])


@every_layer_but["flatten"]
def test_what_comes_back_belongs_to_the_caller(make, shape):
    layer, x = make(), batch(shape, np.float32)
    dy = cotangent(layer, x)
    expected = passes(deepcopy(layer), x, dy)
    layer.forward(x)[...] = np.nan
    layer.backward(dy)[...] = np.nan
    assert_equal([layer.backward(dy), *(p.grad for p in layer.parameters())], expected[1:])


@every_layer
def test_copies_give_equal_results_and_share_nothing(make, shape):
    layer, x = make(), batch(shape, np.float32)
    dy = cotangent(layer, x)
    copy = deepcopy(layer)
    expected = passes(layer, x, dy)
    later = deepcopy(layer)
    for p in layer.parameters():
        p.value[...] = np.nan
    layer.forward(-x)
    assert_equal(passes(copy, x, dy), expected)
    assert_equal([later.backward(dy), *(p.grad for p in later.parameters())], expected[1:])


@every_layer
def test_two_instances_do_not_meet(make, shape):
    a, b, x = make(), make(), batch(shape, np.float32)
    dy = cotangent(a, x)
    expected = passes(deepcopy(a), x, dy)
    y = a.forward(x)
    passes(b, 3 * x, -dy)
    dx = a.backward(dy)
    b.backward(2 * dy)
    assert_equal([y, dx, *(p.grad for p in a.parameters())], expected)


@every_layer
def test_backward_is_linear_in_dy(make, shape):
    layer, x = make().astype(np.float64), batch(shape)
    dy1, dy2 = cotangent(layer, x, 0), cotangent(layer, x, 1)
    layer.forward(x)

    def backward(dy):
        return [layer.backward(dy).copy(), *(p.grad.copy() for p in layer.parameters())]

    sums = [2 * a - 3 * b for a, b in zip(backward(dy1), backward(dy2), strict=True)]
    assert_close(backward(2 * dy1 - 3 * dy2), sums)


@every_layer_but["dropout"]
@pytest.mark.parametrize("N", [1, 3, 19, 37])
def test_a_batch_is_its_images_one_by_one(make, shape, N, slabs_of_one_image):
    layer, x = make().astype(np.float64).eval(), batch((N, *shape[1:]))
    dy = cotangent(layer, x)
    whole = passes(layer, x, dy)
    singles = [passes(layer, x[n : n + 1], dy[n : n + 1]) for n in range(len(x))]
    y, dx, *gradients = zip(*singles, strict=True)
    expected = [np.concatenate(y), np.concatenate(dx), *(sum(parts) for parts in gradients)]
    assert_close(whole, expected)
    assert_equal(passes(layer, x, dy), whole)


@every_layer
def test_the_size_of_slabs_changes_nothing_but_rounding(make, shape, monkeypatch):
    layer, x = make().astype(np.float64), batch((37, *shape[1:]))
    dy = cotangent(layer, x)
    monkeypatch.setattr(slabs, "SLAB", 1 << 30)
    expected = passes(deepcopy(layer), x, dy)
    for size in (1, 5 * x[0].nbytes):
        monkeypatch.setattr(slabs, "SLAB", size)
        assert_close(passes(deepcopy(layer), x, dy), expected)


@every_layer
@pytest.mark.parametrize("N", [1, 37])  # a single image is split, too
def test_the_number_of_threads_changes_no_bit(make, shape, N, slabs_of_one_image):
    x = batch((N, *shape[1:]), np.float32)
    one, three = make().to(Device("cpu", threads=1)), make().to(Device("cpu", threads=3))
    dy = cotangent(one, x)
    assert_equal(passes(three, x, dy), passes(one, x, dy))


@every_layer_but["flatten"]  # which keeps a shape alone
def test_infer_is_a_forward_that_keeps_nothing(make, shape):
    layer, x = make().eval(), batch(shape)
    expected = layer.forward(x).copy()
    layer.release()
    lent = len(memory.pool.lent)
    y = layer.infer(x)
    np.testing.assert_array_equal(y, expected)
    assert len(memory.pool.lent) <= lent + 1, "only y"
    with pytest.raises(RuntimeError, match="backward was called before forward"):
        layer.backward(np.ones_like(y))
    layer.backward(np.ones_like(layer.forward(x)))  # remembers again


def test_infer_takes_the_memory_of_one_slab(slabs_of_one_image, monkeypatch):
    layer = Sequential(conv=conv(3, 4, 3), tanh=Tanh(), pool=MaxPool2d()).to(Device("cpu", threads=1)).eval()
    lent, empty = [], memory.pool.empty

    def watched(shape, dtype):
        array = empty(shape, dtype)
        lent.append(sum(loan.size for loan in memory.pool.lent.values()))
        return array

    monkeypatch.setattr(memory, "empty", watched)

    def peak(N):
        x = batch((N, 9, 9, 3))
        memory.pool.trim()  # blocks that are free may be larger than needed
        lent.clear()
        y = layer.infer(x)
        after = sum(loan.size for loan in memory.pool.lent.values())
        assert len(y) == N  # it is alive, and all that `after` counts
        return max(lent) - after

    assert peak(40) == peak(4)


@every_layer
def test_an_infer_that_fails_leaves_a_layer_that_remembers(make, shape):
    layer = make()
    with pytest.raises(TypeError):
        layer.infer(np.ones(shape, np.int64))
    layer.backward(np.ones_like(layer.forward(batch(shape))))


@every_layer
def test_a_parameter_is_the_live_array(make, shape):
    layer, x = make(), batch(shape, np.float32)
    parameters = list(layer.parameters())
    passes(layer, x, cotangent(layer, x))
    for p in parameters:
        assert p.grad.shape == p.value.shape and p.grad.dtype == p.value.dtype
        p.value[...] = 0
    assert all(not p.value.any() for p in layer.parameters())
    if isinstance(layer, (Conv2d, Linear)):
        assert [p.name for p in parameters] == ["W", "b"]
        assert not layer.forward(x).any()


@every_layer
def test_switches_return_the_layer(make, shape):
    layer = make()
    assert layer.train() is layer and layer.training
    assert layer.eval() is layer and not layer.training
    assert layer.astype(np.float64) is layer
    assert layer.to(Device("cpu")) is layer


@every_layer
@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.complex128])
def test_layers_compute_in_float32_or_float64_alone(make, shape, dtype):
    with pytest.raises(TypeError, match=f"float32.*float64.*{np.dtype(dtype)}"):
        make().astype(dtype)
    with pytest.raises(TypeError, match=f"float32.*float64.*{np.dtype(dtype)}"):
        make().forward(np.ones(shape, dtype))
