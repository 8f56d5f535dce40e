"""Network: what a network of one's own gets from its base, and that plain and fast layers compute the same."""

import copy
import pickle
import signal
import sys

import numpy as np
import pytest

import minigrad
from alexnet import AlexNet
from minigrad import plain
from minigrad.network import Init, Network, Variant


def tiny(nn, classes):
    return [
        nn.Sequential(conv1=nn.Conv2d(3, 4, 3, padding=1), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2, 2)),
        nn.Sequential(flatten=nn.Flatten(), drop1=nn.Dropout(0.5), fc2=nn.Linear(8 * 8 * 8, classes)),
    ]


class Tiny(Network):
    variants = {"tiny": Variant(tiny, image_size=16, smallest=16, towers=2), "other": Variant(tiny, image_size=16, towers=2)}


def train(layers, steps=6):
    """The losses and weights of some steps of `small` in float64, with images that are not square."""
    net = AlexNet("small", num_classes=7, seed=2, layers=layers).astype(np.float64)
    loss, sgd, rng, losses = layers.SoftmaxCrossEntropy(), layers.SGD(net.parameters(), 0.001), np.random.default_rng(0), []
    for _ in range(steps):
        x, labels = 58 * rng.standard_normal((5, 29, 31, 3)), rng.integers(0, 7, 5)
        losses.append(loss.forward(net.forward(x), labels))
        net.backward(loss.backward())
        sgd.step()
    return net, losses, {p.name: p.value for p in net.parameters()}


def test_plain_layers_and_fast_ones_train_alike():
    """Dropout included: the masks are the same. Every weight after some steps."""
    (fast, losses, weights), (slow, others, expected) = train(minigrad), train(plain)
    np.testing.assert_allclose(losses, others, rtol=1e-12)
    assert list(weights) == list(expected) and fast.step == slow.step == 6
    for name, value in weights.items():
        assert np.abs(value - expected[name]).max() < 1e-10 * np.abs(expected[name]).max(), name
    x = 58 * np.random.default_rng(9).standard_normal((3, 32, 32, 3))
    np.testing.assert_allclose(fast.eval().forward(x), slow.eval().forward(x), rtol=1e-10)


def test_a_plain_network_is_made_of_plain_layers():
    for _, _, name, layer in AlexNet("small", num_classes=7, layers=plain).layers():
        assert type(layer).__module__ == "minigrad.plain", name
    with pytest.raises(ValueError, match="plain layers compute on one CPU.*'cpu,cpu'"):
        AlexNet("small", "cpu,cpu", layers=plain)


def test_the_first_variant_and_init_are_the_defaults():
    net = Tiny()
    assert (net.variant, net.init, net.num_classes) == ("tiny", "he", 10)
    assert [p.name for p in net.parameters()][:3] == ["tower0.conv1.W", "tower0.conv1.b", "tower1.conv1.W"]
    assert net.forward(np.zeros((2, 16, 16, 3), np.float32)).shape == (2, 10)
    with pytest.raises(ValueError, match="no variant 'none', there are tiny, other"):
        Tiny("none")
    with pytest.raises(ValueError, match=r"Tiny tiny: expects images \(N, H, W, 3\) of 16 x 16 pixels.*\(1, 15, 16, 3\)"):
        net.forward(np.zeros((1, 15, 16, 3), np.float32))


def test_he_keeps_the_size_of_signals():
    W = Tiny(seed=1).towers.stages[1][0]["fc2"].W
    assert W.std() == pytest.approx((2 / 512) ** 0.5, rel=0.05)


def test_fan_ins_make_up_for_fewer_inputs():
    class Narrow(Network):
        inits = {"fixed": Init((0.01, 0.02), (0.5, 0))}
        variants = {"tiny": Variant(tiny, image_size=16, towers=2, fan_ins=(108, 512))}

    stages = Narrow().towers.stages
    assert stages[0][0]["conv1"].W.std() == pytest.approx(0.02, rel=0.3)  # a quarter of the inputs, twice the deviation
    assert stages[1][0]["fc2"].W.std() == pytest.approx(0.02, rel=0.05)
    assert (stages[0][0]["conv1"].b == 0.5).all()


def test_the_walk_knows_every_shape():
    net = Tiny()
    steps = list(net.walk(5))
    assert [(s.stage, s.tower, s.name) for s in steps][:4] == [(0, 0, "conv1"), (0, 0, "relu1"), (0, 0, "pool1"), (0, 1, "conv1")]
    x = np.zeros((5, 16, 16, 3), np.float32)
    for step in steps:
        assert step.y_shape == step.layer.output_shape(step.x_shape)
    assert steps[0].x_shape == x.shape and steps[3].x_shape == x.shape
    assert steps[-1].x_shape == (5, 512) and steps[-1].y_shape == (5, 5)
    assert [(s, t, name) for s, t, name, _ in net.layers()] == [(step.stage, step.tower, step.name) for step in steps]


def test_up_to_a_layer():
    net = Tiny().eval()
    x = np.random.default_rng(0).standard_normal((2, 16, 16, 3)).astype(np.float32)
    part = net.up_to("relu1")
    y = part.forward(x)
    assert y.shape == (2, 16, 16, 8) and (y >= 0).all() and not part.training
    np.testing.assert_array_equal(net.up_to("fc2").forward(x), net.forward(x))
    with pytest.raises(ValueError, match="no layer 'fc3'"):
        net.up_to("fc3")


def test_a_forward_that_fails_counts_no_step(monkeypatch):
    net = Tiny()
    x = np.zeros((2, 16, 16, 3), np.float32)
    net.forward(x)
    with pytest.raises(TypeError):
        net.forward(x.astype(int))
    monkeypatch.setattr(minigrad.Linear, "forward", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        net.forward(x)
    monkeypatch.undo()
    assert net.step == 1
    a = net.forward(x + 1)
    net.step = 1
    np.testing.assert_array_equal(net.forward(x + 1), a)


def at_line(number, act, functions=()):
    """act() with a Ctrl-C at the line of that number of those that run in minigrad, or in its functions of these names; returns how many
    ran."""
    ran = 0

    def tracer(frame, event, argument):
        nonlocal ran
        if "minigrad" not in frame.f_code.co_filename:
            return None
        if functions and frame.f_code.co_name not in functions:
            return tracer
        ran += 1
        if ran == number:
            signal.raise_signal(signal.SIGINT)
        return tracer

    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.settrace(tracer)
    try:
        act()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
        signal.signal(signal.SIGINT, old)
    return ran


def test_ctrl_c_at_any_line_of_infer_itself():
    """Also where it has just begun to put back what it changed."""
    net, x, dy = Tiny(), np.zeros((4, 16, 16, 3), np.float32), np.ones((4, 10), np.float32)
    functions = ("infer", "end_inference", "__enter__", "__exit__", "receive")
    for number in range(1, at_line(0, lambda: net.infer(x), functions) + 1):
        at_line(number, lambda: net.infer(x), functions)
        net.forward(x)
        net.backward(dy)


@pytest.mark.parametrize("name", ["infer", "forward", "learn"])
def test_ctrl_c_at_any_line_leaves_a_network_that_learns(name):
    """As in a notebook: whatever was broken off, the next steps have the bits that they would have had."""
    net, x = Tiny(), np.random.default_rng(0).standard_normal((4, 16, 16, 3), np.float32)
    dy, weights = np.ones((4, 10), np.float32), {p.name: p.value.copy() for p in net.parameters()}

    def learn():
        net.forward(x)
        net.backward(dy)
        return [p.grad.copy() for p in net.parameters()]

    def begin():
        net.train().step = 0
        return learn()

    expected = begin()
    act = {"infer": lambda: net.infer(x), "forward": lambda: net.forward(x), "learn": learn}[name]
    lines = at_line(0, act)
    for number in sorted({*range(1, 60, 7), *range(1, lines, lines // 12), *range(lines - 60, lines, 5)}):
        at_line(number, act)
        for before, after in zip(expected, begin(), strict=True):
            np.testing.assert_array_equal(before, after, str(number))
        assert all(np.array_equal(p.value, weights[p.name]) for p in net.parameters()) and net.step == 1


def test_towers_drop_units_of_their_own():
    a, b = (tower["drop1"] for tower in Tiny().towers.stages[1])
    assert a.key == b.key and a.first_unit != b.first_unit


def test_a_pickled_network_carries_no_activations():
    """Nor gradients; a copy in memory has both, and its backward is that of the same forward."""
    net, x = AlexNet("small", num_classes=10), np.random.default_rng(0).standard_normal((64, 28, 28, 3), np.float32)
    before = len(pickle.dumps(net))
    dy = np.ones_like(net.forward(x))
    net.backward(dy)
    assert len(pickle.dumps(net)) < before + 1000
    copied, loaded = copy.deepcopy(net), pickle.loads(pickle.dumps(net))
    copied.backward(dy)
    for p, q, r in zip(net.parameters(), copied.parameters(), loaded.parameters(), strict=True):
        np.testing.assert_array_equal(p.grad, q.grad)
        assert r.grad is None and np.array_equal(p.value, r.value)
    with pytest.raises(RuntimeError, match="before forward"):
        loaded.backward(dy)
    np.testing.assert_array_equal(loaded.eval().forward(x), net.eval().forward(x))
