"""Conv2d against plain loops over single numbers."""

import numpy as np
import pytest
from naive import conv, conv_backward, relative_error

from minigrad import Conv2d
from minigrad.engine.winograd import Winograd

# (kernel, stride, padding, (H, W))
SHAPES = [
    (1, 1, 0, (3, 4)),
    (1, 3, 0, (5, 8)),  # stride larger than the kernel: pixels that nobody reads
    (2, 3, 1, (7, 5)),
    (3, 1, 1, (5, 6)),
    (3, 2, (0, 1, 2, 3), (6, 7)),
    (3, 3, 0, (3, 3)),  # one output
    (3, 4, 2, (9, 6)),
    (5, 1, 2, (4, 6)),
    (5, 2, (3, 0, 1, 2), (6, 7)),
    (5, 4, 0, (8, 11)),  # windows that do not divide the image
    (11, 4, (0, 3, 0, 3), (12, 16)),  # conv1 of the paper
    (11, 1, 0, (11, 11)),
]


@pytest.mark.parametrize("K, S, padding, size", SHAPES)
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 1e-5)])
@pytest.mark.parametrize("C, CO", [(2, 3), (3, 2)])  # backward takes another way when there are fewer outputs than inputs
def test_equals_the_loops(rng, K, S, padding, size, dtype, tolerance, C, CO):
    layer = Conv2d(C, CO, K, S, padding, std=1.0, bias=0.5, rng=rng).astype(dtype)
    x = rng.standard_normal((2, *size, C)).astype(dtype)
    W, b = (p.value.astype(np.float64) for p in layer.parameters())
    y = layer.forward(x)
    expected = conv(x.astype(np.float64), W, b, S, padding)
    assert y.shape == expected.shape
    assert relative_error(y, expected) < tolerance
    dy = rng.standard_normal(y.shape).astype(dtype)
    results = [layer.backward(dy), *(p.grad for p in layer.parameters())]
    for result, expected in zip(results, conv_backward(x.astype(np.float64), W, dy.astype(np.float64), S, padding), strict=True):
        assert result.shape == expected.shape
        assert relative_error(result, expected) < tolerance


class ByWinograd(Conv2d):
    winograd_channels = 1


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 1e-5)])
@pytest.mark.parametrize(
    "padding, size, C, CO",
    [(1, (5, 7), 2, 3), (1, (6, 4), 3, 2), (0, (4, 7), 1, 1), ((0, 3, 2, 1), (6, 5), 2, 2), ((4, 0, 1, 5), (2, 5), 3, 1)],
)
def test_winograd_equals_the_loops(rng, padding, size, C, CO, dtype, tolerance):
    layer = ByWinograd(C, CO, 3, 1, padding, std=1.0, bias=0.5, rng=rng).astype(dtype)
    x = rng.standard_normal((3, *size, C)).astype(dtype)
    W, b = (p.value.astype(np.float64) for p in layer.parameters())
    y = layer.forward(x)
    assert isinstance(layer.way, Winograd)
    assert relative_error(y, conv(x.astype(np.float64), W, b, 1, padding)) < tolerance
    dy = rng.standard_normal(y.shape).astype(dtype)
    results = [layer.backward(dy), *(p.grad for p in layer.parameters())]
    for result, expected in zip(results, conv_backward(x.astype(np.float64), W, dy.astype(np.float64), 1, padding), strict=True):
        assert result.shape == expected.shape and result.dtype == dtype
        assert relative_error(result, expected) < tolerance


def test_winograd_rounds_as_im2col_does(rng):
    """In float32, at the size of conv3 of a tower: the error against float64 is not more than twice that of the plain way."""
    x, dy = rng.standard_normal((4, 13, 13, 192), np.float32), rng.standard_normal((4, 13, 13, 192), np.float32)
    errors = {}
    for channels in (1, 1000):
        layer = type("Either", (Conv2d,), {"winograd_channels": channels})(192, 192, 3, padding=1, rng=np.random.default_rng(1))
        results = [layer.forward(x), layer.backward(dy), layer.dW]
        assert isinstance(layer.way, Winograd) == (channels == 1)
        layer.astype(np.float64)
        exact = [layer.forward(x.astype(np.float64)), layer.backward(dy.astype(np.float64)), layer.dW]
        errors[channels] = [np.sqrt(np.mean((a - b) ** 2)) / b.std() for a, b in zip(results, exact, strict=True)]
    for winograd, plain in zip(errors[1], errors[1000], strict=True):
        assert winograd < 2 * plain, (winograd, plain)


@pytest.mark.parametrize(
    "arguments, size, chosen",
    [
        ((64, 64, 3), (15, 15), True),
        ((63, 64, 3), (15, 15), False),
        ((64, 63, 3), (15, 15), False),
        ((64, 64, 3, 2), (15, 15), False),
        ((64, 64, 5), (15, 15), False),
        ((64, 64, 3), (4, 4), True),  # 2 x 2 outputs: one tile
        ((64, 64, 3), (5, 5), False),  # 3 x 3 outputs: four tiles, 64 multiplications instead of 81
    ],
)
def test_when_winograd_is_chosen(arguments, size, chosen):
    layer = Conv2d(*arguments)
    layer.forward(np.zeros((1, *size, arguments[0]), np.float32))
    assert isinstance(layer.way, Winograd) == chosen


def test_the_kernel_is_not_flipped(rng):
    layer = Conv2d(1, 1, 3, std=0.0)
    next(layer.parameters()).value[0, 2] = 1  # looks at the upper right corner of its window
    x = rng.standard_normal((1, 4, 6, 1)).astype(np.float32)
    np.testing.assert_array_equal(layer.forward(x), x[:, :2, 2:])


def test_padding_is_top_bottom_left_right():
    for side, place in enumerate([(2, 0), (0, 0), (0, 2), (0, 0)]):
        padding = [0, 0, 0, 0]
        padding[side] = 2
        layer = Conv2d(1, 1, 1, padding=tuple(padding), std=0.0)
        next(layer.parameters()).value[...] = 1
        y = layer.forward(np.full((1, 1, 1, 1), 5, np.float32))
        assert y.shape == ((1, 3, 1, 1) if side < 2 else (1, 1, 3, 1))
        assert y[0, place[0], place[1], 0] == 5 and y.sum() == 5


def test_a_padding_of_one_number_is_that_number_on_every_side(rng):
    x = rng.standard_normal((1, 4, 5, 2)).astype(np.float32)
    a, b = (Conv2d(2, 3, 3, padding=padding, rng=np.random.default_rng(1)) for padding in (2, (2, 2, 2, 2)))
    np.testing.assert_array_equal(a.forward(x), b.forward(x))


def test_the_overhang_of_three_pixels(rng):
    """conv1 of 2012 reads a 224 x 224 image as if it were 227 x 227 with zeros right and below."""
    overhang, none = (Conv2d(3, 4, 11, stride=4, padding=padding, rng=np.random.default_rng(1)) for padding in ((0, 3, 0, 3), 0))
    x = rng.standard_normal((1, 224, 224, 3)).astype(np.float32)
    y = overhang.forward(x)
    assert y.shape == (1, 55, 55, 4)
    np.testing.assert_array_equal(y, none.forward(np.pad(x, ((0, 0), (0, 3), (0, 3), (0, 0)))))


def test_starting_weights(rng):
    layer = Conv2d(5, 40, 7, std=0.03, bias=1.0, rng=rng)
    W, b = (p.value for p in layer.parameters())
    assert W.shape == (7, 7, 5, 40) and b.shape == (40,)
    assert W.dtype == b.dtype == np.float32
    assert abs(W.mean()) < 5 * 0.03 / W.size**0.5
    assert abs(W.std() / 0.03 - 1) < 5 / (2 * W.size) ** 0.5
    np.testing.assert_array_equal(b, 1)


def test_the_generator_decides_the_weights():
    a, b, c = (next(Conv2d(2, 3, 3, rng=np.random.default_rng(seed)).parameters()).value for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).all()


@pytest.mark.parametrize("shape", [(5, 7, 3), (2, 5, 7, 3, 1), (2, 3)])
def test_a_batch_of_other_dimensions_is_refused(shape):
    with pytest.raises(ValueError, match=r"Conv2d.*\(N, H, W, 3\)"):
        Conv2d(3, 4, 3).forward(np.ones(shape, np.float32))


def test_a_kernel_larger_than_the_padded_image_is_refused():
    with pytest.raises(ValueError, match="Conv2d.*5x5.*3x9"):
        Conv2d(3, 4, 5, padding=(0, 1, 0, 0)).forward(np.ones((1, 3, 9, 3), np.float32))


@pytest.mark.parametrize("padding", [-1, (1, 2), (0, 0, 0, -2)])
def test_a_padding_that_is_none_is_refused(padding):
    with pytest.raises(ValueError, match="padding"):
        Conv2d(3, 4, 3, padding=padding)


@pytest.mark.parametrize("arguments", [(0, 4, 3), (3, 0, 3), (3, 4, 0), (3, 4, 3, 0)])
def test_sizes_of_zero_are_refused(arguments):
    with pytest.raises(ValueError, match="Conv2d.*0"):
        Conv2d(*arguments)


def test_kernels_are_square_and_sizes_whole():
    with pytest.raises(ValueError, match=r"Conv2d.*whole numbers.*\(3, 3\)"):
        Conv2d(3, 4, (3, 3))
    for padding in (1.5, "same", (1, 2), (1, 1, 1, 0.5)):
        with pytest.raises(ValueError, match="Conv2d: padding"):
            Conv2d(3, 4, 3, padding=padding)


@pytest.mark.parametrize("bias", [True, False, np.False_])
def test_a_bias_is_a_number_and_no_switch(bias):
    with pytest.raises(TypeError, match="Conv2d: bias is the number"):
        Conv2d(3, 4, 3, bias=bias)
