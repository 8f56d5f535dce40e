"""Sequential: layers in a row, found by name, with errors that say where they happened."""

from collections.abc import Mapping

import numpy as np
import pytest

from minigrad import SGD, Conv2d, Dropout, Flatten, Layer, Linear, LocalResponseNorm, MaxPool2d, Parameter, ReLU, Sequential, Tanh, Towers
from minigrad.layers.base import ImageLayer


def network(rng, conv2_channels=4):
    return Sequential(
        conv1=Conv2d(3, 4, 3, padding=1, std=0.3, rng=rng),
        relu1=ReLU(),
        norm1=LocalResponseNorm(3, 0.5, 0.75, 1.0),
        pool1=MaxPool2d(3, 2),
        conv2=Conv2d(conv2_channels, 5, 2, std=0.3, rng=rng),
        tanh2=Tanh(),
        drop2=Dropout(0.3, rng=rng),
        flatten=Flatten(),
        fc3=Linear(30, 6, std=0.3, rng=rng),
    )


NAMES = ["conv1", "relu1", "norm1", "pool1", "conv2", "tanh2", "drop2", "flatten", "fc3"]


def test_backward_before_forward_names_the_layer():
    with pytest.raises(RuntimeError, match="in pool2, the 2nd layer: MaxPool2d: backward was called before forward"):
        Sequential(conv1=Conv2d(1, 1, 3), pool2=MaxPool2d()).backward(np.zeros((1, 1, 1, 1), np.float32))


def test_layers_are_found_by_name_and_keep_their_order(rng):
    net = network(rng)
    assert isinstance(net.layers, Mapping) and list(net.layers) == NAMES
    assert isinstance(net["conv1"], Conv2d) and net["fc3"] is net.layers["fc3"]
    with pytest.raises(KeyError, match="conv9"):
        net["conv9"]


def test_parameters_carry_the_name_of_their_layer(rng):
    net = network(rng)
    assert [p.name for p in net.parameters()] == ["conv1.W", "conv1.b", "conv2.W", "conv2.b", "fc3.W", "fc3.b"]
    for p in net.parameters():
        p.value[...] = 0
    assert not any(p.value.any() for layer in net.layers.values() for p in layer.parameters())


def test_equals_its_layers_one_after_the_other(rng, slabs_of_one_image):
    x = rng.standard_normal((9, 9, 7, 3)).astype(np.float32)
    net, apart = (network(np.random.default_rng(1)) for _ in range(2))
    y = net.forward(x)
    h = x
    for layer in apart.layers.values():
        h = layer.forward(h)
    np.testing.assert_array_equal(y, h)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx, d = net.backward(dy), dy
    for layer in reversed(apart.layers.values()):
        d = layer.backward(d)
    np.testing.assert_allclose(dx, d, rtol=1e-6, atol=1e-6)
    for p, q in zip(net.parameters(), apart.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, rtol=1e-5, atol=1e-5)


def test_switches_reach_every_layer(rng):
    net = network(rng)
    net.eval()
    assert not any(layer.training for layer in net.layers.values())
    net.train()
    assert all(layer.training for layer in net.layers.values())
    net.astype(np.float64)
    assert {p.value.dtype for p in net.parameters()} == {np.dtype(np.float64)}


def test_an_error_says_where_it_happened(rng):
    x = np.zeros((2, 9, 7, 3), np.float32)
    with pytest.raises(ValueError, match=r"in conv2, the 5th layer: Conv2d.*\b7\b.*\b4\)"):
        network(rng, conv2_channels=7).forward(x)
    with pytest.raises(ValueError, match=r"in fc3, the 9th layer: Linear.*\b30\b.*\b60\b"):
        network(rng).forward(np.zeros((2, 9, 12, 3), np.float32))
    with pytest.raises(ValueError, match=r"in pool1, the 4th layer: MaxPool2d.*3x3.*2x7"):
        network(rng).forward(x[:, :2])
    net = network(rng)
    net.forward(x)
    with pytest.raises(ValueError, match=r"in fc3, the 9th layer: Linear.*\(2, 5\).*\(2, 6\)"):
        net.backward(np.zeros((2, 5), np.float32))


@pytest.mark.parametrize(
    "n, place", [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st")]
)
def test_places_are_counted_in_english(n, place):
    net = Sequential(**{f"relu{i}": ReLU() for i in range(1, n)}, fc=Linear(3, 2))
    with pytest.raises(ValueError, match=f"in fc, the {place} layer"):
        net.forward(np.zeros((1, 4), np.float32))


def test_a_network_in_a_network(rng):
    """Names and places are those of both."""
    net = Sequential(trunk=Sequential(fc1=Linear(3, 4), relu1=ReLU()), head=Sequential(fc2=Linear(5, 2)))
    assert [p.name for p in net.parameters()] == ["trunk.fc1.W", "trunk.fc1.b", "head.fc2.W", "head.fc2.b"]
    with pytest.raises(ValueError, match="in head, the 2nd layer: in fc2, the 1st layer: Linear"):
        net.forward(np.zeros((1, 3), np.float32))


def test_what_is_no_layer_is_refused():
    with pytest.raises(TypeError, match="Sequential: relu1"):
        Sequential(relu1=ReLU)


class Scale(Layer):
    """A layer of one's own, as the interface promises them: y = w x. `keeps`: whether it always yields the same Parameter."""

    def __init__(self, keeps):
        self.p, self.keeps = Parameter("w", np.array([2.0, -3.0])), keeps

    def parameters(self):
        yield self.p if self.keeps else Parameter("w", self.p.value, self.p.grad)

    def forward(self, x):
        self.x = x
        return x * self.p.value

    def backward(self, dy):
        self.p.grad = (dy * self.x).sum(axis=0)
        return dy * self.p.value


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("container", [lambda layer: Sequential(own=layer), lambda layer: Towers([[Sequential(own=layer)]])])
def test_a_layer_of_ones_own_with_parameters(rng, keeps, container):
    layer = Scale(keeps)
    net, x, dy = container(layer), rng.standard_normal((4, 2)), rng.standard_normal((4, 2))
    (p,) = net.parameters()
    assert p.name in ("own.w", "tower0.own.w") and p.value is layer.p.value and p.grad is None
    sgd = SGD([p], lr=0.1, weight_decay=0)
    net.forward(x)
    net.backward(dy)
    np.testing.assert_array_equal(p.grad, (dy * x).sum(axis=0))
    sgd.step()
    np.testing.assert_allclose(layer.p.value, [2.0, -3.0] - 0.1 * (dy * x).sum(axis=0))


def kept(layer):
    """What an image layer or Linear keeps for backward."""
    return layer.call if isinstance(layer, ImageLayer) else layer.x


def test_containers_forget_what_their_layers_keep(rng):
    net = Sequential(conv1=Conv2d(3, 2, 3), relu1=ReLU(), flatten=Flatten(), fc2=Linear(8, 2))
    x = rng.standard_normal((2, 4, 4, 3))
    net.backward(net.forward(x))
    net.forget()
    assert all(kept(net[name]) is None for name in ("conv1", "relu1", "fc2"))
    assert all(p.grad is None for p in net.parameters())


def test_test_mode_lets_go_of_what_backward_needs_but_not_of_gradients(rng):
    net = Towers([[Sequential(conv1=Conv2d(3, 2, 3), relu1=ReLU(), flatten=Flatten(), fc2=Linear(8, 2))]])
    net.backward(net.forward(rng.standard_normal((2, 4, 4, 3))))
    net.eval()
    assert all(kept(net.stages[0][0][name]) is None for name in ("conv1", "relu1", "fc2"))
    assert all(p.grad is not None for p in net.parameters())


def test_after_a_forward_that_failed_there_is_no_backward(rng, monkeypatch):
    net = Sequential(conv1=Conv2d(3, 2, 3), relu1=ReLU())
    y = net.forward(rng.standard_normal((2, 4, 4, 3)))
    monkeypatch.setattr(ReLU, "forward_slab", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        net.forward(rng.standard_normal((2, 4, 4, 3)))
    with pytest.raises(RuntimeError, match="backward was called before forward"):
        net.backward(y)
