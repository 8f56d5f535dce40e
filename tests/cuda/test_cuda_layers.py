"""Every layer on a GPU computes what it computes on the CPU, in odd sizes, and keeps the contract of all layers."""

import copy

import numpy as np
import pytest
from naive import relative_error

from minigrad import Conv2d, Device, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, Sequential, Tanh
from minigrad.gradcheck import assert_gradients

CASES = {  # how a layer is made, the shape of x
    "conv, lanes of 4": (lambda: Conv2d(4, 8, 3, stride=2, padding=(1, 0, 2, 1), std=0.3, rng=np.random.default_rng(1)), (3, 7, 9, 4)),
    "conv, odd channels": (lambda: Conv2d(3, 5, 5, stride=1, padding=2, std=0.3, bias=1, rng=np.random.default_rng(1)), (2, 6, 5, 3)),
    "linear": (lambda: Linear(7, 5, std=0.3, rng=np.random.default_rng(1)), (3, 7)),
    "relu": (ReLU, (3, 5, 7)),
    "tanh": (Tanh, (2, 4, 4)),
    "norm": (LocalResponseNorm, (2, 3, 3, 12)),
    "norm, odd channels": (lambda: LocalResponseNorm(3, 0.3, 0.6, 1), (2, 3, 3, 7)),
    "pool": (lambda: MaxPool2d(3, 2), (2, 8, 7, 4)),
    "pool, odd channels": (lambda: MaxPool2d(2, 3), (1, 9, 8, 3)),
    "dropout": (lambda: Dropout(0.3, rng=np.random.default_rng(1)), (3, 2, 9)),
    "dropout scaled in training": (lambda: Dropout(0.3, scale_at="train", rng=np.random.default_rng(1)), (5, 8)),
    "dropout in a test": (lambda: Dropout(0.3, rng=np.random.default_rng(1)).eval(), (5, 8)),
    "flatten": (Flatten, (2, 3, 4, 5)),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def both_ways(layer, x, dy):
    """y, dx and the gradients of the parameters, as NumPy arrays."""
    y, dx = layer.forward(x), layer.backward(dy)
    return [layer.device.numpy(array).copy() for array in (y, dx, *(p.grad for p in layer.parameters()))]


def numbers(make, shape, seed=0):
    rng = np.random.default_rng(seed)
    return 3 * rng.standard_normal(shape), rng.standard_normal(make().output_shape(shape))


def test_as_on_the_cpu(one_gpu, case):
    make, shape = case
    x, dy = numbers(make, shape)
    expected = both_ways(make().astype("float64"), x, dy)
    for a, b in zip(both_ways(make().astype("float64").to(Device("0")), x, dy), expected, strict=True):
        assert a.dtype == np.float64 and a.shape == b.shape and relative_error(a, b) < 1e-12


def test_in_float32(fake_gpus, case):
    make, shape = case
    x, dy = (a.astype(np.float32) for a in numbers(make, shape))
    for a, b in zip(both_ways(make().to(Device("0")), x, dy), both_ways(make(), x, dy), strict=True):
        assert a.dtype == np.float32 and relative_error(a, b) < 1e-5


def test_twice_the_same_and_nothing_written_to(one_gpu, case):
    make, shape = case
    device = Device("0")
    x, dy = (device.asarray(a) for a in numbers(make, shape))
    before = x.get(), dy.get()
    layer = make().astype("float64").to(device)
    y = layer.forward(x)
    first = layer.device.numpy(layer.backward(dy)).copy(), [p.grad.get() for p in layer.parameters()]
    again = layer.device.numpy(layer.backward(dy)).copy(), [p.grad.get() for p in layer.parameters()]
    np.testing.assert_equal(first, again)
    with device:
        if not isinstance(layer, Flatten):  # whose y may be a view
            y[...] = 7
            np.testing.assert_equal(device.numpy(layer.backward(dy)), first[0])
    np.testing.assert_equal((x.get(), dy.get()), before)


def test_any_strides(one_gpu, case):
    make, shape = case
    x, dy = numbers(make, shape)
    expected = both_ways(make().astype("float64").to(Device("0")), x, dy)
    for change in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2]):
        for a, b in zip(both_ways(make().astype("float64").to(Device("0")), change(x), change(dy)), expected, strict=True):
            np.testing.assert_array_equal(a, b)


BEHIND = {  # a layer behind a ReLU, the shape of x, whether its kernels take the ReLU in
    "conv": (lambda: Conv2d(4, 8, 3, stride=2, padding=1, std=0.3, rng=np.random.default_rng(1)), (2, 6, 7, 4), True),
    "conv, odd channels": (lambda: Conv2d(3, 5, 3, std=0.3, rng=np.random.default_rng(1)), (2, 6, 5, 3), True),
    "norm": (LocalResponseNorm, (2, 3, 3, 12), True),
    "norm, odd channels": (lambda: LocalResponseNorm(3, 0.3, 0.6, 1), (2, 3, 3, 7), True),
    "pool": (lambda: MaxPool2d(3, 2), (2, 7, 8, 4), True),
    "pool, odd channels": (lambda: MaxPool2d(2, 3), (1, 9, 8, 3), True),
    "dropout": (lambda: Dropout(0.3, rng=np.random.default_rng(1)), (3, 2, 9), True),
    "dropout in a test": (lambda: Dropout(0.3, rng=np.random.default_rng(1)).eval(), (5, 8), True),
    "tanh": (Tanh, (2, 3, 4), False),
    "another ReLU": (ReLU, (2, 3, 4), False),
    "linear": (lambda: Linear(8, 4, std=0.3, rng=np.random.default_rng(1)), (5, 8), False),
}


@pytest.mark.parametrize("behind", BEHIND)
def test_a_relu_and_the_layer_behind_it(fake_gpus, behind):
    """One launch where the second takes the first in; the numbers of two. What comes in is not written to, and backward may come twice."""
    make, shape, taken_in = BEHIND[behind]
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    x[0].flat[::3] = 0
    dy = rng.standard_normal(make().output_shape(shape))
    expected = both_ways(Sequential(relu=ReLU(), behind=make()).astype("float64"), x, dy)
    device = Device("0")
    net, there = Sequential(relu=ReLU(), behind=make()).astype("float64").to(device), device.asarray(x)
    for _ in range(2):
        for a, b in zip(both_ways(net, there, dy), expected, strict=True):
            assert relative_error(a, b) < 1e-12
        for layer in net.layers.values():
            if isinstance(layer, Dropout):
                layer.step = 0
    np.testing.assert_array_equal(net.device.numpy(net.backward(dy)), net.device.numpy(net.backward(dy)))
    np.testing.assert_array_equal(there.get(), x)
    assert (fake_gpus.count("kernel relu_forward") == 0) == (fake_gpus.count("kernel relu_backward") == 0) == taken_in


IN_ONE = {  # layers with a normalisation and a pooling, the shape of x, whether a GPU makes one of the two
    "as in the paper": (lambda: {"relu": ReLU(), "norm": LocalResponseNorm(), "pool": MaxPool2d(3, 2)}, (2, 7, 9, 8), True),
    "without a relu": (lambda: {"norm": LocalResponseNorm(5, 0.3, 0.6, 1), "pool": MaxPool2d(2, 3)}, (2, 7, 9, 4), True),
    "odd channels": (lambda: {"norm": LocalResponseNorm(), "pool": MaxPool2d(3, 2)}, (2, 7, 9, 6), False),
    "another window": (lambda: {"norm": LocalResponseNorm(3), "pool": MaxPool2d(3, 2)}, (2, 7, 9, 8), False),
    "a relu between": (lambda: {"norm": LocalResponseNorm(), "relu": ReLU(), "pool": MaxPool2d(3, 2)}, (2, 7, 9, 8), False),
    "nothing behind": (lambda: {"pool": MaxPool2d(3, 2), "norm": LocalResponseNorm()}, (2, 7, 9, 8), False),
}


@pytest.mark.parametrize("layers", IN_ONE)
def test_normalisation_and_pooling_in_one(fake_gpus, layers):
    """The numbers of two, whatever lies between; also of an x at an odd address, and alone afterwards."""
    make, shape, taken_in = IN_ONE[layers]
    x = np.random.default_rng(0).standard_normal(shape)
    dy = np.random.default_rng(1).standard_normal(Sequential(**make()).output_shape(shape))
    expected = both_ways(Sequential(**make()).astype("float64"), x, dy)
    device, net = Device("0"), Sequential(**make()).astype("float64").to(Device("0"))
    odd = device.asarray(np.array([0.0, *x.flat]))[1:].reshape(shape)
    for there in (device.asarray(x), odd):
        for a, b in zip(both_ways(net, there, dy), expected, strict=True):
            assert relative_error(a, b) < 1e-12
        np.testing.assert_array_equal(net.device.numpy(net.backward(dy)), net.device.numpy(net.backward(dy)))
    assert (fake_gpus.count("kernel norm_pool_forward") == 2) == (fake_gpus.count("kernel lrn_forward") == 0) == taken_in
    pool = net["pool"]
    shape = (1, 9, 9, 4)
    x = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_array_equal(pool.forward(x).get(), MaxPool2d(pool.kernel_size, pool.stride).forward(x))


def test_gradients_on_the_gpu_itself(one_gpu):
    """In float64, against numerical differences."""
    layer = Conv2d(2, 3, 3, padding=1, std=0.5, rng=np.random.default_rng(1)).astype("float64").to(Device("0"))

    class OnTheHost:
        """The layer with NumPy arrays on all sides, as the checker wants it."""

        def forward(self, x):
            return layer.device.numpy(layer.forward(x))

        def backward(self, dy):
            return layer.device.numpy(layer.backward(dy))

    assert_gradients(OnTheHost(), np.random.default_rng(0).standard_normal((2, 4, 3, 2)))


def test_there_and_back(one_gpu):
    """Weights move with the layer; what the last pass left does not."""
    layer = Linear(3, 2, rng=np.random.default_rng(0))
    W = layer.W.copy()
    layer.to(Device("0"))
    layer.forward(np.ones((1, 3), np.float32))
    layer.backward(np.ones((1, 2), np.float32))
    layer.to(Device("cpu"))
    assert isinstance(layer.W, np.ndarray) and layer.dW is None
    np.testing.assert_array_equal(layer.W, W)
    with pytest.raises(RuntimeError, match="backward was called before forward"):
        layer.backward(np.ones((1, 2), np.float32))


def test_weights_and_bias_lie_together(fake_gpus):
    """As the product wants them, so that nothing is copied before it; and each stays the live array that it was."""
    device = Device("0")
    layer = Conv2d(4, 8, 3, std=0.3, rng=np.random.default_rng(1)).to(device)
    x, W, b = device.asarray(np.random.default_rng(0).standard_normal((2, 5, 5, 4)).astype(np.float32)), layer.W, layer.b
    copies = fake_gpus.count("kernel weights_and_bias")
    y = layer.forward(x).get()
    layer.backward(device.empty(y.shape, np.float32))
    assert layer.to(device).W is W and layer.b is b and fake_gpus.count("kernel weights_and_bias") == copies
    W *= 2
    b += 1
    np.testing.assert_allclose(layer.forward(x).get(), 2 * y + 1, rtol=1e-5)


@pytest.mark.parametrize("change", ["W", "b", "copy", "dtype"])
def test_weights_or_a_bias_put_in_their_place(fake_gpus, change):
    device = Device("0")
    layer = Conv2d(3, 6, 3, std=0.3, rng=np.random.default_rng(1)).to(device)
    x, b = device.asarray(np.random.default_rng(0).standard_normal((2, 5, 5, 3)).astype(np.float32)), layer.b
    y = layer.forward(x).get()
    if change == "W":
        layer.W = layer.W * 1
    elif change == "b":
        layer.b = layer.b * 1
    elif change == "copy":
        layer = copy.deepcopy(layer)
    else:
        layer, x = layer.astype("float64"), x.astype("float64")
    layer.b += 1
    np.testing.assert_allclose(layer.forward(x).get(), y + 1, rtol=1e-5, atol=1e-6)
    assert layer.b is b or not b.any()  # what is no longer the bias is left alone
