"""The plain twins and the fast layers are two ways to write the same thing; and so are the functions of the exercises."""

from copy import deepcopy

import numpy as np
import pytest
from naive import relative_error, spread

import minigrad
from alexnet import AlexNet
from minigrad import SoftmaxCrossEntropy, Towers, plain, training
from minigrad.commands.summary import describe
from minigrad.coursework import tasks
from minigrad.data.loader import Loader
from minigrad.gradcheck import numerical_gradient
from minigrad.layers import Parameter

# class -> arguments, shape of x
TWINS = {
    "Conv2d": [
        ((2, 5, 3), {}, (3, 5, 4, 2)),
        ((2, 5, 3), {"stride": 2, "padding": (1, 0, 2, 1)}, (3, 7, 6, 2)),
        ((2, 4, 3), {"stride": 3, "padding": (0, 3, 0, 3)}, (1, 6, 5, 2)),
        ((3, 4, 1), {"stride": 3, "padding": 1}, (2, 4, 5, 3)),
    ],
    "Linear": [((5, 4), {}, (3, 5)), ((4, 7), {}, (1, 4))],
    "ReLU": [((), {}, (3, 2, 5, 4))],
    "Tanh": [((), {}, (3, 2, 5, 4))],
    "Flatten": [((), {}, (3, 2, 5, 4))],
    "LocalResponseNorm": [((), {}, (3, 2, 1, 7)), ((3, 0.4, 0.5, 1.5), {}, (2, 1, 4, 8)), ((5, 0.5, 0.75, 1.0), {}, (3, 2, 1, 3))],
    "MaxPool2d": [((3, 2), {}, (3, 7, 6, 2)), ((2, 3), {}, (1, 6, 8, 3)), ((3, 1), {}, (2, 4, 5, 3))],
}


@pytest.mark.parametrize("name, arguments, options, shape", [(name, *row) for name, rows in TWINS.items() for row in rows])
def test_a_twin_is_its_fast_layer(name, arguments, options, shape, rng):
    more = {"std": 0.5, "bias": 0.25} if name in ("Conv2d", "Linear") else {}
    layers = [
        getattr(module, name)(*arguments, **options, **more, **({"rng": np.random.default_rng(1)} if more else {})).astype(np.float64)
        for module in (minigrad, plain)
    ]
    for x in (spread(rng, shape), np.round(2 * spread(rng, shape)) / 2):  # the second has ties
        ys = [layer.forward(x) for layer in layers]
        dy = rng.standard_normal(ys[0].shape)
        results = [[y, layer.backward(dy), *(p.grad for p in layer.parameters())] for y, layer in zip(ys, layers, strict=True)]
        for fast, slow in zip(*results, strict=True):
            assert fast.shape == slow.shape
            assert relative_error(fast, slow) < 1e-12


@pytest.mark.parametrize("padding", [0, 2, (1, 0, 2, 3)])
def test_patches(padding, rng):
    x, (top, bottom, left, right) = rng.standard_normal((2, 6, 5, 3)), plain.four_sides(padding)
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    rows = [
        padded[n, r : r + 3, q : q + 3].ravel()
        for n in range(2)
        for r in range(0, padded.shape[1] - 2, 2)
        for q in range(0, padded.shape[2] - 2, 2)
    ]
    patches = plain.im2col(x, 3, 2, padding)
    np.testing.assert_array_equal(patches, rows)
    p = rng.standard_normal(patches.shape)
    assert (patches * p).sum() == pytest.approx((x * plain.col2im(p, x.shape, 3, 2, padding)).sum(), rel=1e-12)


@pytest.mark.parametrize("scale_at", ["test", "train"])
def test_dropout_of_both_kinds(scale_at):
    x = np.ones((50, 400))
    fast, slow = (module.Dropout(0.3, scale_at=scale_at, rng=np.random.default_rng(0)) for module in (minigrad, plain))
    for layer in (fast, slow):
        y = layer.forward(x)
        assert set(np.unique(y)) == {0.0, 1 / 0.7 if scale_at == "train" else 1.0}
        assert abs((y == 0).mean() - 0.3) < 0.02
        np.testing.assert_array_equal(layer.backward(x), y)
    np.testing.assert_allclose(fast.eval().forward(x), slow.eval().forward(x))
    np.testing.assert_allclose(fast.backward(x), slow.backward(x))


@pytest.mark.parametrize("scale", [1, 1e4])
def test_loss(scale, rng):
    logits, labels = scale * rng.standard_normal((4, 7)), np.array([3, 0, 6, 3])
    fast, slow = SoftmaxCrossEntropy(), plain.SoftmaxCrossEntropy()
    assert fast.forward(logits, labels) == pytest.approx(slow.forward(logits, labels), rel=1e-12)
    np.testing.assert_allclose(fast.backward(), slow.backward(), atol=1e-15)


def test_sgd(rng):
    values = {"conv1.W": rng.standard_normal((3, 4)), "conv1.b": rng.standard_normal(4)}
    runs = []
    for module in (minigrad, plain):
        parameters = [Parameter(name, value.copy()) for name, value in values.items()]
        optimiser, draw = module.SGD(parameters, weight_decay=0.05, bias_decay=0.01), np.random.default_rng(3)
        for lr in (0.1, 0.1, 0.0, 0.01):
            optimiser.lr = lr
            for p in parameters:
                p.grad = draw.standard_normal(p.value.shape)
            optimiser.step()
        runs.append([p.value for p in parameters] + optimiser.velocities)
    for fast, slow in zip(*runs, strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-12)


def test_exchange_is_what_towers_do(rng):
    """Stages that hand on what they get: what is left of `Towers` is the exchange."""

    class Same(minigrad.Layer):
        def forward(self, x):
            self.x = x
            return x

        def backward(self, dy):
            self.dy = dy
            return dy

    last = [minigrad.Sequential(same=Same()) for _ in range(2)]
    towers = Towers([[minigrad.Sequential(relu=minigrad.ReLU()), minigrad.Sequential(tanh=minigrad.Tanh())], last])
    x = rng.standard_normal((3, 2, 4, 5))
    towers.forward(x)
    exchange = tasks.Exchange()
    both = exchange.forward(np.stack([np.maximum(x, 0), np.tanh(x)]))
    for t in range(2):
        np.testing.assert_allclose(last[t]["same"].x, both[t], rtol=1e-15)
    dy = rng.standard_normal((3, 2, 4, 20))
    dx = towers.backward(dy)
    told = exchange.backward(np.stack([dy[..., :10], dy[..., 10:]]))
    np.testing.assert_allclose(dx, told[0] * (x > 0) + told[1] * (1 - np.tanh(x) ** 2), rtol=1e-12)


def test_block_weights_make_one_tower_of_two(rng):
    parts = [rng.standard_normal((3, 3, 2, 4)) for _ in range(2)]
    whole = minigrad.Conv2d(4, 8, 3).astype(np.float64)
    whole.W[...] = tasks.block_weights(parts)
    x, halves = rng.standard_normal((2, 5, 6, 4)), []
    for t, part in enumerate(parts):
        half = minigrad.Conv2d(2, 4, 3).astype(np.float64)
        half.W[...] = part
        halves.append(half.forward(x[..., 2 * t : 2 * t + 2]))
    assert relative_error(whole.forward(x), np.concatenate(halves, axis=-1)) < 1e-12


def test_shapes_are_those_of_the_network():
    from minigrad.coursework.exercises.alexnet import PAPER_LAYERS

    net = AlexNet("paper")
    rows = {row["name"]: row["shape"] for row in describe(net)}
    names = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")
    assert tasks.shapes((224, 224, 3), PAPER_LAYERS) == [tuple(rows[name]) for name in names]


def test_stages_run(rng):
    towers = Towers(tasks.stages((4, 6), 8, 4, 3))
    y = towers.forward(rng.standard_normal((2, 15, 15, 3)).astype(np.float32))
    assert y.shape == (2, 4)
    assert towers.backward(np.ones_like(y)).shape == (2, 15, 15, 3)
    assert "tower1.fc4.W" in [p.name for p in towers.parameters()]


def test_numerical_gradient_is_the_checkers(rng):
    t, dy = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    kept = t.copy()
    np.testing.assert_allclose(tasks.numerical_gradient(np.sin, t, dy), numerical_gradient(np.sin, t, dy), rtol=1e-8)
    np.testing.assert_array_equal(t, kept)


def test_top_k_is_the_trainings(rng):
    logits, labels = rng.standard_normal((40, 9)), rng.integers(9, size=40)
    top1, top5 = training.top_k_errors(logits, labels)
    assert tasks.top_k_error(logits, labels, 1) == top1 / 40
    assert tasks.top_k_error(logits, labels, 5) == top5 / 40


def test_crops_are_the_loaders(rng):
    """The same places and mirrors occur as in the loader, whose draws are its own."""
    images = rng.integers(0, 256, (200, 6, 6, 3), np.uint8)
    loader = Loader(images, np.zeros(200, int), 200, mean=np.zeros((6, 6, 3)), size=4, augment=True)
    (crops, _), ours = next(loader.batches(0)), tasks.crop_flip(images.astype(np.float32), 4, rng)
    possible = {
        n: {window[:, ::step].tobytes() for r in range(3) for q in range(3) for step in (1, -1) for window in [image[r : r + 4, q : q + 4]]}
        for n, image in enumerate(images.astype(np.float32))
    }
    assert all(crop.tobytes() in possible[n] for n, crop in enumerate(crops))
    assert all(crop.tobytes() in possible[n] for n, crop in enumerate(ours))


def test_layers_can_be_copied_and_converted():
    layer = deepcopy(plain.Conv2d(2, 3, 3)).astype(np.float64)
    assert [p.value.dtype for p in layer.parameters()] == [np.float64] * 2
