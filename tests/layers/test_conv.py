"""Conv2d against plain loops over single numbers."""

import threading

import numpy as np
import pytest
from naive import conv, conv_backward, relative_error

from minigrad import Conv2d, Device
from minigrad.engine import winograd
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
WINOGRAD_SHAPES = [  # tiles of 3 x 3 outputs that end with the image, or one or two pixels beyond
    (3, 1, 0, (5, 5)),
    (3, 1, (4, 0, 1, 5), (2, 5)),
    (5, 1, (1, 0, 3, 2), (7, 12)),
    (5, 2, 1, (9, 12)),
    (6, 2, 0, (9, 11)),  # pixels at the end that nobody reads
    (9, 3, (1, 2, 0, 0), (13, 14)),
    (10, 2, 0, (17, 11)),  # five weights
    (12, 4, 0, (23, 23)),  # 3 x 3 outputs, and 3 pixels that nobody reads
]


class ByWinograd(Conv2d):
    """By Winograd's way, however few channels and outputs there are."""

    def faster_way(self, y_shape, dtype):
        return Winograd(self.W.astype(dtype, copy=False), self.stride, self.padding, self.input_gradient, self.device)


class Plainly(Conv2d):
    def faster_way(self, y_shape, dtype):
        return None


WAYS = [(Plainly, *shape) for shape in SHAPES] + [
    (ByWinograd, *shape) for shape in SHAPES + WINOGRAD_SHAPES if winograd.algorithm(*shape[:2])
]


@pytest.mark.parametrize("Way, K, S, padding, size", WAYS)
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 1e-5)])
@pytest.mark.parametrize("C, CO", [(2, 3), (3, 2)])  # backward takes another way when there are fewer outputs than inputs
def test_every_way_equals_the_loops(rng, Way, K, S, padding, size, dtype, tolerance, C, CO):
    layer = Way(C, CO, K, S, padding, std=1.0, bias=0.5, rng=rng).astype(dtype)
    x = rng.standard_normal((3, *size, C)).astype(dtype)
    W, b = (p.value.astype(np.float64) for p in layer.parameters())
    y = layer.forward(x)
    assert isinstance(layer.way, Winograd) == (Way is ByWinograd)
    expected = conv(x.astype(np.float64), W, b, S, padding)
    assert y.shape == expected.shape and y.dtype == dtype
    assert relative_error(y, expected) < tolerance
    dy = rng.standard_normal(y.shape).astype(dtype)
    results = [layer.backward(dy), *(p.grad for p in layer.parameters())]
    for result, expected in zip(results, conv_backward(x.astype(np.float64), W, dy.astype(np.float64), S, padding), strict=True):
        assert result.shape == expected.shape and result.dtype == dtype
        assert relative_error(result, expected) < tolerance
    layer.input_gradient = False
    layer.forward(x)
    assert layer.backward(dy) is None
    np.testing.assert_array_equal(layer.dW, results[1])


def test_several_slabs_several_batches_and_long_sums_equal_one(rng, monkeypatch):
    """Winograd's way an image at a time, with sums of a few channels at a time, and with weights transformed a channel at a time."""
    layer = ByWinograd(7, 5, 3, padding=1, std=1.0, rng=rng).astype(np.float64)
    x, dy = rng.standard_normal((6, 8, 9, 7)), rng.standard_normal((6, 8, 9, 5))
    results = [layer.forward(x), layer.backward(dy), layer.dW]
    monkeypatch.setattr(winograd, "TRANSFORMED", 1)
    monkeypatch.setattr(winograd, "SUMMED", 2)
    monkeypatch.setattr(winograd, "WORTH_PARTS", 0)
    for result, expected in zip([layer.forward(x), layer.backward(dy), layer.dW], results, strict=True):
        assert relative_error(result, expected) < 1e-13


@pytest.mark.parametrize(
    "N, size, K, padding, layout",
    [
        (4, (13, 13), 3, 1, (2, 2)),  # 13 + 1 + 13 outputs are nine tiles along, instead of ten
        (8, (13, 13), 3, 1, (2, 2)),
        (6, (13, 13), 3, 1, (1, 2)),
        (3, (13, 13), 3, 1, (1, 1)),
        (4, (13, 12), 3, 1, (2, 1)),
        (4, (7, 7), 3, (2, 0, 0, 2), (1, 1)),  # two zeros between 7 and 7 pixels: no tile less
        (4, (7, 7), 3, 1, (2, 2)),
        (4, (4, 4), 3, 4, (2, 2)),  # more padding than the kernel: outputs that see zeros alone
        (4, (10, 10), 5, 2, (1, 1)),  # 10 + 2 + 10 take as many tiles
        (4, (6, 6), 3, 1, (1, 1)),  # two tiles fit exactly
    ],
)
def test_images_that_share_a_frame_do_not_see_each_other(rng, N, size, K, padding, layout):
    layers = [
        Way(3, 4, K, padding=padding, std=1.0, bias=0.5, rng=np.random.default_rng(1)).astype(np.float64) for Way in (ByWinograd, Plainly)
    ]
    x = rng.standard_normal((N, *size, 3))
    dy = rng.standard_normal(layers[0].output_shape(x.shape))
    results = [[layer.forward(x), layer.backward(dy), layer.dW, layer.db] for layer in layers]
    for result, expected in zip(*results, strict=True):
        assert relative_error(result, expected) < 1e-13
    mosaic = layers[0].way.mosaic(x, N)
    assert (mosaic.rows, mosaic.columns) == layout


# (in, out, kernel, stride, padding), size, and how many times the rounding errors of im2col those of y, dx and dW are, measured in float32
# with OpenBLAS 0.3.31 on 2 images (AMD EPYC Zen 4, 2026-11-28); conv1 has no dx.
ROUNDING = {
    "paper conv1": ((3, 48, 11, 4, (0, 3, 0, 3)), 224, (0.9, 2.4)),
    "paper conv2": ((48, 128, 5, 1, 2), 27, (0.9, 2.2, 1.5)),
    "paper conv3": ((256, 192, 3, 1, 1), 13, (2.6, 1.9, 1.7)),
    "paper conv4": ((192, 192, 3, 1, 1), 13, (2.3, 1.9, 1.7)),
    "paper conv5": ((192, 128, 3, 1, 1), 13, (2.3, 1.7, 1.7)),
    "owt conv1": ((3, 64, 11, 4, 2), 224, (0.9, 2.4)),
    "owt conv2": ((64, 192, 5, 1, 2), 27, (1.3, 2.2, 1.5)),
    "owt conv3": ((192, 384, 3, 1, 1), 13, (2.3, 2.1, 1.7)),
    "owt conv4": ((384, 256, 3, 1, 1), 13, (2.3, 2.2, 1.7)),
    "owt conv5": ((256, 256, 3, 1, 1), 13, (2.7, 2.2, 1.7)),
    "one-tower conv1": ((3, 96, 11, 4, (0, 3, 0, 3)), 224, (0.9, 2.4)),
    "one-tower conv2": ((96, 256, 5, 1, 2), 27, (1.4, 2.2, 1.5)),
    "one-tower conv3": ((256, 384, 3, 1, 1), 13, (2.7, 2.1, 1.7)),
    "one-tower conv4": ((384, 384, 3, 1, 1), 13, (2.3, 2.0, 1.7)),
    "one-tower conv5": ((384, 256, 3, 1, 1), 13, (2.3, 2.2, 1.7)),
    "small conv2": ((12, 32, 3, 1, 1), 15, (1.8, 2.6, 1.8)),
    "small conv3": ((64, 48, 3, 1, 1), 7, (1.9, 1.0, 2.1)),
    "small conv4": ((48, 48, 3, 1, 1), 7, (1.2, 0.9, 2.2)),
    "small conv5": ((48, 32, 3, 1, 1), 7, (1.3, 1.1, 2.2)),
}


@pytest.mark.parametrize("name", ROUNDING)
def test_winograd_rounds_at_most_three_times_as_im2col_does(rng, name):
    arguments, size, measured = ROUNDING[name]
    assert max(measured) < 3
    x = rng.standard_normal((2, size, size, arguments[0]), np.float32)
    if arguments[0] > 3:
        x = np.maximum(x, 0)  # as ReLU leaves it: a mean above zero
    layers = [Way(*arguments, rng=np.random.default_rng(1)) for Way in (ByWinograd, Plainly, Plainly)]
    dy = rng.standard_normal(layers[0].output_shape(x.shape), np.float32)
    layers[2].astype(np.float64)
    results = []
    for layer in layers:
        layer.input_gradient = arguments[0] > 3
        y, dx = layer.forward(x.astype(layer.W.dtype)), layer.backward(dy.astype(layer.W.dtype))
        results.append([y, layer.dW] if dx is None else [y, dx, layer.dW])
    by_winograd, plainly = ([np.sqrt(np.mean((a - b) ** 2)) for a, b in zip(some, results[2], strict=True)] for some in results[:2])
    for ratio in np.divide(by_winograd, plainly):
        assert ratio < 3


@pytest.mark.parametrize(
    "arguments, size, chosen",
    [
        ((48, 48, 3), (15, 15), True),
        ((11, 48, 3), (15, 15), False),
        ((48, 11, 3), (15, 15), False),
        ((12, 12, 3), (15, 15), True),
        ((48, 48, 5), (15, 15), True),
        ((48, 48, 7), (15, 15), False),  # no short convolution of seven weights
        ((48, 48, 3, 2), (15, 15), False),  # nor of two
        ((3, 48, 11, 4), (27, 27), True),  # 16 squares of 3 channels are 48; 5 x 5 outputs
        ((3, 48, 5, 2), (27, 27), True),  # four squares of 3 channels are 12
        ((2, 48, 5, 2), (27, 27), False),
        ((48, 48, 3), (5, 5), True),  # 3 x 3 outputs: one tile
        ((48, 48, 3), (6, 6), True),  # 4 x 4 outputs: four tiles, 100 multiplications instead of 144
        ((48, 48, 3), (4, 4), True),  # 2 x 2 outputs: one tile, 25 multiplications instead of 36
        ((48, 48, 3), (3, 3), False),  # 1 output: 25 multiplications instead of 9
    ],
)
def test_when_winograd_is_chosen(arguments, size, chosen):
    layer = Conv2d(*arguments)
    layer.forward(np.zeros((2, *size, arguments[0]), np.float32))
    assert isinstance(layer.way, Winograd) == chosen
    layer.forward(np.zeros((1, *size, arguments[0]), np.float32))
    assert layer.way is None, "a single image"


@pytest.mark.parametrize("arguments", [(3, 4, 5, 3, (0, 2, 1, 0)), (2, 3, 3, 1, 1), (2, 3, 3, 1, (5, 4, 0, 0)), (2, 3, 2, 3, 0)])
@pytest.mark.parametrize("height", [5, 6, 11])
def test_a_single_image_in_strips_is_the_same_image(rng, monkeypatch, arguments, height):
    """Strips that begin and end in the padding, one row of output each, and more strips than rows."""
    layer, x = Conv2d(*arguments, rng=rng).astype(np.float64), rng.standard_normal((2, height, 7, arguments[0]))
    expected = layer.forward(x)[:1]
    for strips in (1, 2, 3, 100):
        monkeypatch.setattr("minigrad.layers.conv.STRIPS", strips)
        for threads in (1, 3):
            np.testing.assert_allclose(layer.to(Device("cpu", threads)).infer(x[:1]), expected, rtol=1e-12)


def test_a_single_image_is_worked_on_by_all_threads(rng):
    layer, seen = Conv2d(3, 8, 3, rng=rng).to(Device("cpu", threads=2)), set()
    both, run = threading.Barrier(2), layer.device.workers.run

    def watched(work, tasks):
        def task(t):
            if isinstance(t, slice):  # a strip
                both.wait(10)
                seen.add(threading.get_ident())
            return work(t)

        return run(task, tasks)

    layer.device.workers.run = watched
    layer.forward(rng.standard_normal((1, 9, 9, 3)))
    assert len(seen) == 2


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
