"""What a slab goes through in a row, and how a batch is cut into tasks."""

import numpy as np
import pytest

from alexnet import AlexNet
from minigrad import Conv2d, MaxPool2d, ReLU, Sequential, Towers
from minigrad.engine import slabs
from minigrad.layers import chain
from minigrad.visualise import DeconvReLU, GuidedReLU


def rows(variant, stage, batch_size):
    """The rows of the first run of a stage, as names of layers."""
    net = AlexNet(variant, num_classes=10)
    tower = net.towers.stages[stage][0]
    shape = next(step.x_shape for step in net.walk(batch_size) if step.stage == stage)
    layers = chain.relu_last(tower.runs()[0])
    shapes = [shape, *(shape := layer.output_shape(shape) for layer in layers)]
    names = {layer: name for name, layer in tower.layers.items()}
    calls = [chain.Call(*pair, np.float32) for pair in zip(shapes[:-1], shapes[1:], strict=True)]
    return [" ".join(names[layer] for layer in layers[row]) for row in slabs.rows(layers, calls, 4)]


def test_a_row_ends_where_images_have_become_small():
    """Eight of owt's images go through conv3 to conv5 at a time, but two through what is before. What is small throughout is one row."""
    assert rows("owt", 0, 64) == ["conv1 pool1 relu1 conv2 pool2 relu2", "conv3 relu3 conv4 relu4 conv5 pool5 relu5"]
    assert rows("small", 0, 64) == ["conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2"]
    assert len(rows("owt", 0, 1)) == 1


@pytest.mark.parametrize("N", [1, 2, 7, 64, 100])
@pytest.mark.parametrize("size", [1, 1 << 10, 1 << 18, 1 << 20, 1 << 23])
def test_tasks_are_all_images_in_their_order(N, size):
    tasks = slabs.plan(N, size)
    assert [i for slabs_of_task in tasks for slab in slabs_of_task for i in range(N)[slab]] == list(range(N))
    assert len(tasks) <= slabs.TASKS and all(slab.stop - slab.start <= max(1, slabs.SLAB // size) for task in tasks for slab in task)


def test_a_small_tower_beside_another_is_one_task():
    """The other keeps the other thread busy; alone, it is two."""
    for towers in (1, 2):
        stage = [Sequential(relu=ReLU()) for _ in range(towers)]
        Towers([stage]).forward(np.ones((64, 1024), np.float32))
        assert [len(tower["relu"].call.tasks) for tower in stage] == {1: [2], 2: [1, 1]}[towers]


def passes(layers, x, dy):
    net = Sequential(**{f"layer{i}": layer for i, layer in enumerate(layers)})
    return [net.forward(x), net.backward(dy), *(p.grad for p in net.parameters())]


def test_two_rows_are_one(rng, monkeypatch):
    def layers():
        rng = np.random.default_rng(1)
        return [Conv2d(3, 4, 3, std=0.5, rng=rng), ReLU(), MaxPool2d(), Conv2d(4, 2, 2, std=0.5, rng=rng), ReLU()]

    x = rng.standard_normal((9, 11, 10, 3))
    dy = rng.standard_normal((9, 3, 2, 2))
    monkeypatch.setattr(slabs, "SLAB", 1 << 12)
    monkeypatch.setattr(slabs, "MORE", 100)
    expected = passes(layers(), x, dy)
    monkeypatch.setattr(slabs, "MORE", 0)  # a row for each convolution
    for result, other in zip(passes(layers(), x, dy), expected, strict=True):
        np.testing.assert_allclose(result, other, rtol=1e-12, atol=1e-12)


def test_a_relu_behind_the_pooling_changes_no_bit(rng):
    """Also where numbers are equal, 0 or no numbers."""
    x = rng.integers(-2, 3, (4, 9, 8, 3)).astype(np.float32)
    x[1] = -1
    x[2, 3, 4, 1], x[2, 6, 5, 2] = np.nan, np.inf
    relu, pool = ReLU(), MaxPool2d()
    y = pool.forward(relu.forward(x))
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx = relu.backward(pool.backward(dy))
    for result, expected in zip(passes([ReLU(), MaxPool2d()], x, dy), (y, dx), strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("Kind", [DeconvReLU, GuidedReLU])
def test_what_is_no_derivative_stays_in_its_place(rng, Kind):
    """Windows overlap: the positive parts of a sum are not the sum of positive parts."""
    x = np.abs(rng.standard_normal((2, 7, 7, 3)))
    relu, pool = Kind(), MaxPool2d()
    y = pool.forward(relu.forward(x))
    dy = rng.standard_normal(y.shape)
    expected = relu.backward(pool.backward(dy))
    np.testing.assert_array_equal(passes([Kind(), MaxPool2d()], x, dy)[1], expected)
