"""From a class back to the pixels: against central differences, and against loops over single numbers."""

import naive
import numpy as np
import pytest
from eyes import eyes

from alexnet import AlexNet
from minigrad.layers import Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, Tanh
from minigrad.visualise import RULES, DeconvReLU, GuidedReLU, Passage, explain, grad_cam, saliency

CLASSES = np.array([4, 0, 2])


# ---- the three ReLUs


def passed(rule, x, dy):
    """What goes back through a ReLU where x came in, number by number."""
    dx = np.zeros_like(dy)
    for i in np.ndindex(x.shape):
        if {"saliency": x[i] > 0, "deconvnet": dy[i] > 0, "guided": x[i] > 0 and dy[i] > 0}[rule]:
            dx[i] = dy[i]
    return dx


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES)
def test_what_each_relu_lets_back(rule, dtype, rng):
    x, dy = rng.standard_normal((2, 3, 4, 5)).astype(dtype), rng.standard_normal((2, 3, 4, 5)).astype(dtype)
    x[0, 0, 0, :3] = dy[0, 0, 0, 2:] = 0
    layer, copies = RULES[rule](), (x.copy(), dy.copy())
    y, dx = layer.forward(x), layer.backward(dy)
    assert y.dtype == dx.dtype == dtype
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    np.testing.assert_array_equal(dx, passed(rule, x, dy))
    assert (x == copies[0]).all() and (dy == copies[1]).all()


def test_the_example_of_the_paper():
    """Springenberg et al. 2015, Figure 1."""
    x = np.array([[1, -1, 5], [2, -5, -7], [-3, 2, 4]], np.float64)
    dy = np.array([[-2, 3, -1], [6, -3, 1], [2, -1, 3]], np.float64)
    expected = {
        ReLU: [[-2, 0, -1], [6, 0, 0], [0, -1, 3]],
        DeconvReLU: [[0, 3, 0], [6, 0, 1], [2, 0, 3]],
        GuidedReLU: [[0, 0, 0], [6, 0, 0], [0, 0, 3]],
    }
    for kind, dx in expected.items():
        layer = kind()
        layer.forward(x)
        np.testing.assert_array_equal(layer.backward(dy), dx)


# ---- a whole network


def norm_backward(x, dy, layer):
    """Its gradient term by term: y_j depends on x_i where i is in j's window."""
    dx, half, C = np.zeros_like(x), layer.size // 2, x.shape[-1]
    for place in np.ndindex(x.shape[:-1]):
        window = [range(max(0, j - half), min(C - 1, j + half) + 1) for j in range(C)]
        s = [layer.k + layer.alpha * sum(x[place][m] ** 2 for m in window[j]) for j in range(C)]
        for j in range(C):
            dx[place][j] += dy[place][j] * s[j] ** -layer.beta
            for i in window[j]:
                dx[place][i] -= 2 * layer.alpha * layer.beta * dy[place][j] * x[place][j] * x[place][i] * s[j] ** (-layer.beta - 1)
    return dx


def through(layer, x):
    """y of one layer in test mode, by loops."""
    if isinstance(layer, Conv2d):
        return naive.conv(x, layer.W, layer.b, layer.stride, layer.padding)
    if isinstance(layer, LocalResponseNorm):
        return naive.lrn(x, layer.size, layer.alpha, layer.beta, layer.k)
    if isinstance(layer, MaxPool2d):
        return naive.max_pool(x, layer.kernel_size, layer.stride)[0]
    if isinstance(layer, Linear):
        return x @ layer.W + layer.b
    return {ReLU: lambda: np.maximum(x, 0), Tanh: lambda: np.tanh(x), Flatten: lambda: x.reshape(len(x), -1), Dropout: lambda: x / 2}[
        type(layer)
    ]()


def back_through(layer, x, dy, rule):
    if isinstance(layer, Conv2d):
        return naive.conv_backward(x, layer.W, dy, layer.stride, layer.padding)[0]
    if isinstance(layer, LocalResponseNorm):
        return norm_backward(x, dy, layer)
    if isinstance(layer, MaxPool2d):
        return naive.max_pool_backward(x, dy, layer.kernel_size, layer.stride)
    if isinstance(layer, Linear):
        return dy @ layer.W.T
    if isinstance(layer, ReLU):
        return passed(rule, x, dy)
    return {Tanh: lambda: dy * (1 - np.tanh(x) ** 2), Flatten: lambda: dy.reshape(x.shape), Dropout: lambda: dy / 2}[type(layer)]()


def by_loops(net, x, classes, rule):
    """dx, and {layer's name: its outputs, and what came back there, towers side by side}."""
    trail, seen = [], {}
    for stage in net.towers.stages:
        inputs, ends = [], []
        for tower in stage:
            y = x
            inputs.append([])
            for layer in tower.layers.values():
                inputs[-1].append(y)
                y = through(layer, y)
            ends.append(y)
        trail.append(inputs)
        x = np.concatenate(ends, axis=-1)
    dy = np.zeros_like(x)
    for n, k in enumerate(classes):
        dy[n, k] = 1
    for stage, inputs in zip(reversed(net.towers.stages), reversed(trail), strict=True):
        widths = [tower.output_shape(xs[0].shape)[-1] for tower, xs in zip(stage, inputs, strict=True)]
        total, start = 0, 0
        for tower, xs, width in zip(stage, inputs, widths, strict=True):
            d = dy[..., start : start + width]
            start += width
            for (name, layer), there in zip(reversed(tower.layers.items()), reversed(xs), strict=True):
                seen.setdefault(name, []).append((through(layer, there), d))
                d = back_through(layer, there, d, rule)
            total = total + d
        dy = total
    return dy, {name: [np.concatenate(parts, axis=-1) for parts in zip(*pairs, strict=True)] for name, pairs in seen.items()}


@pytest.fixture(scope="module")
def loops():
    net, x = eyes()
    return net, x, {rule: by_loops(net, x, CLASSES, rule) for rule in RULES}


@pytest.mark.parametrize("rule", RULES)
def test_a_network_backwards_against_loops(loops, rule):
    net, x, expected = loops
    passage = Passage(net, x, RULES[rule])
    dx, seen = expected[rule]
    assert naive.relative_error(passage.back_from(CLASSES), dx) < 1e-12
    for name, (value, gradient) in seen.items():
        assert naive.relative_error(passage.joined(name), value) < 1e-12, name
        assert naive.relative_error(passage.joined(name, "gradient"), gradient) < 1e-12, name


def test_the_rules_differ(loops):
    gradients = [dx for dx, _ in loops[2].values()]
    assert all(naive.relative_error(a, b) > 0.01 for a, b in zip(gradients, gradients[1:], strict=False))


def test_explain_brings_all_together(loops):
    net, x, expected = loops
    found = explain(net, x, CLASSES)
    np.testing.assert_allclose(found.saliency, np.abs(expected["saliency"][0]).max(axis=-1), rtol=1e-9)
    np.testing.assert_allclose(found.deconvnet, expected["deconvnet"][0], atol=1e-12)
    np.testing.assert_allclose(found.guided, expected["guided"][0], atol=1e-12)
    maps, gradient = expected["saliency"][1]["relu2"]
    assert found.layer == "relu2" and maps.shape == (3, 2, 2, 10)
    cam, weights = cam_by_loops(maps, gradient)
    np.testing.assert_allclose(found.weights, weights, atol=1e-12)
    np.testing.assert_allclose(found.cam, cam, atol=1e-12)
    assert found.cam.max() > 0


def test_of_grey_images_only_the_sum_of_the_colours_is_shown(loops):
    net, x, expected = loops
    found = explain(net, x, CLASSES, grey=True)
    np.testing.assert_allclose(found.saliency, np.abs(expected["saliency"][0].sum(axis=-1)), atol=1e-12)
    np.testing.assert_allclose(found.deconvnet, expected["deconvnet"][0].sum(axis=-1, keepdims=True), atol=1e-12)
    np.testing.assert_allclose(found.guided, expected["guided"][0].sum(axis=-1, keepdims=True), atol=1e-12)


def test_saliency_is_the_largest_of_the_colours():
    np.testing.assert_array_equal(saliency(np.array([[[[1.0, -5, 2]]]])), [[[5.0]]])


def cam_by_loops(maps, gradient):
    """Selvaraju et al. 2017, equations 1 and 2, as they stand there."""
    N, h, w, C = maps.shape
    cam, alpha = np.zeros((N, h, w)), np.zeros((N, C))
    for n in range(N):
        for k in range(C):
            for i in range(h):
                for j in range(w):
                    alpha[n, k] += gradient[n, i, j, k] / (h * w)
        for i in range(h):
            for j in range(w):
                total = 0.0
                for k in range(C):
                    total += alpha[n, k] * maps[n, i, j, k]
                cam[n, i, j] = max(0.0, total)
    return cam, alpha


def test_grad_cam_against_its_loop(rng):
    maps, gradient = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 4, 5))
    for found, expected in zip(grad_cam(maps, gradient), cam_by_loops(maps, gradient), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize("variant, size", [("small", 28), ("small", 32)])
def test_the_gradient_of_the_pixels_against_central_differences(variant, size, rng):
    """The score of a class with one pixel changed a little, at the places that count most and at some others."""
    net = AlexNet(variant, num_classes=10, init="he", seed=1).astype(np.float64).eval()
    x, classes = rng.standard_normal((1, size, size, 3)), np.array([7])
    dx = Passage(net, x).back_from(classes)
    most = np.argsort(-np.abs(dx), axis=None)
    for place in (np.unravel_index(i, x.shape) for i in [*most[:4], *most[:: len(most) // 6]]):
        h, scores = 1e-6, []
        for step in (h, -h):
            changed = x.copy()
            changed[place] += step
            scores.append(net.forward(changed)[0, 7])
        numerical = (scores[0] - scores[1]) / (2 * h)
        assert abs(dx[place] - numerical) < 1e-6 * np.abs(dx).max(), place


def test_the_network_is_left_as_it_was():
    net, x = eyes(np.float32)
    before = net.forward(x)
    explain(net, x, CLASSES)
    assert not any(layer.input_gradient for _, _, name, layer in net.layers() if name == "conv1")
    assert net.step == 0 and not net.training
    np.testing.assert_array_equal(net.forward(x), before)


def test_images_of_another_size_are_refused():
    net, x = eyes()
    with pytest.raises(ValueError, match="8 x 8 pixels"):
        Passage(net, x[:, :7])
