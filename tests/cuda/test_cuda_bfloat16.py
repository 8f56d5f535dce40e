"""Convolutions whose patches and products are bfloat16: what is rounded, and what is not. The fake GPUs' products of such numbers are what
the hardware's are, but for the order of sums."""

import pickle
import types

import bfloat16
import numpy as np
import pytest
from backends import NO_FAKE
from command_line import refusal
from naive import relative_error
from narrow import Narrow

import minigrad
from minigrad import SGD, Conv2d, Device, Linear, ReLU, Sequential, SoftmaxCrossEntropy
from minigrad.cuda.device import CudaDevice

pytestmark = pytest.mark.skipif(bool(NO_FAKE), reason=str(NO_FAKE))

CASES = {  # a convolution, the shape of x
    "lanes of 4": (
        lambda: Conv2d(4, 8, 3, stride=2, padding=(1, 0, 2, 1), std=0.3, bias=1 / 3, rng=np.random.default_rng(1)),
        (3, 7, 9, 4),
    ),
    "odd channels": (lambda: Conv2d(3, 5, 5, padding=2, std=0.3, bias=1 / 3, rng=np.random.default_rng(1)), (2, 6, 5, 3)),
}


def in_bfloat16():
    device = Device("0")
    device.use_bfloat16()
    return device


def numbers(make, shape):
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape, np.float32), rng.standard_normal(make().output_shape(shape), np.float32)


def by_hand(layer, x, dy):
    """y, dx, dW, db, with sums in float64."""
    twin = bfloat16.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding).astype("float64")
    twin.W, twin.b = layer.W.astype(np.float64), layer.b.astype(np.float64)
    return twin.forward(x.astype(np.float64)), twin.backward(dy.astype(np.float64)), twin.dW, twin.db


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_what_is_rounded(fake_gpus, case, relu):
    """Patches, weights, dy and dpatches, to nearest; neither the bias nor a sum. Also in parts, where patches do not stay, and twice."""
    make, shape = CASES[case]
    x, dy = numbers(make, shape)
    y, dx, dW, db = by_hand(make(), np.maximum(x, 0) if relu else x, dy)
    expected = y, dx * (x > 0) if relu else dx, dW, db
    for room in (1 << 30, 1):
        device = in_bfloat16()
        device.workspace = room
        conv = make().to(device)
        layer = Sequential(relu=ReLU(), conv=conv) if relu else conv
        layer.to(device)
        found = [layer.forward(x)]
        for _ in range(2):
            found[1:] = layer.backward(dy), conv.dW, conv.db
            for a, b, tolerance in zip(
                found, expected, (1e-6, 1e-3, 1e-6, 1e-6), strict=True
            ):  # a dpatch may just be rounded the other way
                assert a.dtype == np.float32 and relative_error(a.get(), b) < tolerance
    assert fake_gpus.count("gemm of bfloat16") == fake_gpus.count("gemm") > 0 == fake_gpus.count("kernel im2col")
    assert case == "odd channels" or fake_gpus.count("gemm unaligned for TF32") == 0


def test_a_bias_is_not_rounded(fake_gpus):
    device, b = in_bfloat16(), np.array([1 / 3, -(2.0**-30), 1e9 / 7, 0], np.float32)
    conv = Conv2d(4, 4, 3, std=0.0).to(device)
    conv.b[...] = device.asarray(b)
    np.testing.assert_array_equal(conv.forward(np.ones((1, 3, 3, 4), np.float32)).get().ravel(), b)


def test_weights_are_those_of_now(fake_gpus):
    """Whoever changes them, and in whatever way: they are rounded anew in each forward."""
    make, shape = CASES["lanes of 4"]
    x, dy = numbers(make, shape)
    conv = make().to(in_bfloat16())
    sgd = SGD(conv.parameters(), 0.1)
    y = conv.forward(x).get()
    conv.backward(dy)
    sgd.step()
    twin = make()
    twin.W[...], twin.b[...] = conv.W.get(), conv.b.get()
    after = conv.forward(x).get()
    assert relative_error(after, by_hand(twin, x, dy)[0]) < 1e-6 < relative_error(after, y)
    conv.W *= 2
    conv.b *= 2
    np.testing.assert_allclose(conv.forward(x).get(), 2 * after, rtol=1e-5, atol=1e-6)


def test_backward_is_that_of_its_forward(fake_gpus):
    """What a device is told in between is for the next."""
    make, shape = CASES["lanes of 4"]
    x, dy = numbers(make, shape)
    device = Device("0")
    conv = make().to(device)
    exact = [conv.forward(x), conv.backward(dy), conv.dW]
    conv.forward(x)
    device.use_bfloat16()
    for a, b in zip((conv.backward(dy), conv.dW), exact[1:], strict=True):
        np.testing.assert_array_equal(a.get(), b.get())
    coarse = [conv.forward(x), conv.backward(dy), conv.dW]
    conv.forward(x)
    device.bf16 = False
    for a, b, far in zip((conv.backward(dy), conv.dW), coarse[1:], exact[1:], strict=True):
        np.testing.assert_array_equal(a.get(), b.get())
        assert 1e-4 < relative_error(a.get(), far.get()) < 1e-2


def test_float64_and_linear_layers_are_left_alone(fake_gpus):
    """The one is for gradient checks; to bring a Linear's many weights along would take longer than the product gains."""
    device = in_bfloat16()
    make, shape = CASES["odd channels"]
    x, dy = (a.astype(np.float64) for a in numbers(make, shape))
    conv = make().astype("float64").to(device)
    assert relative_error(conv.forward(x).get(), make().astype("float64").forward(x)) < 1e-12
    conv.backward(dy)
    Linear(8, 4).to(device).forward(np.ones((2, 8), np.float32))
    assert fake_gpus.count("gemm of bfloat16") == 0


STEPS = 3


def trained(devices, layers=minigrad):
    """The losses of some steps of a network with everything, its gradients in the first, and its weights in the end."""
    net = Narrow("tiny", devices, 10, "2012", 3, layers)
    for device in net.towers.devices if devices != "cpu" else ():
        device.use_bfloat16()
    rng = np.random.default_rng(0)
    x, labels = 58 * rng.standard_normal((4, 29, 29, 3), np.float32), rng.integers(0, 10, 4)
    loss, sgd, losses, gradients = SoftmaxCrossEntropy().to(net.device), SGD(net.parameters(), 0.002), [], {}
    for _ in range(STEPS):
        losses.append(loss.forward(net.forward(x), labels))
        net.backward(loss.backward())
        gradients = gradients or {p.name: p.device.numpy(p.grad) for p in net.parameters()}
        sgd.step()
    return losses, gradients, {p.name: p.device.numpy(p.value) for p in net.parameters()}


def test_training(fake_gpus):
    """As in NumPy with the same rounding, and to the same bits on one device and two; towers share patches that stay."""
    numpys, expected, _ = trained("cpu", types.SimpleNamespace(**{**vars(minigrad), "Conv2d": bfloat16.Conv2d}))
    losses, gradients, weights = trained("0")
    made = sum(fake_gpus.count(f"kernel {name}_bf16") for name in ("im2col", "im2col_of_few_channels"))
    assert made == STEPS * 8  # once for forward and backward; conv1's and conv3's serve both towers
    np.testing.assert_allclose(losses, numpys, rtol=1e-3)
    for name, gradient in expected.items():
        error = np.linalg.norm(gradients[name] - gradient) / np.linalg.norm(gradient)
        assert error < 5e-3, f"{name}'s gradient differs by {error:.1g} of its norm"
    for devices in ("0,0", "0,1"):
        again, _, left = trained(devices)
        assert again == losses
        for name, W in weights.items():
            np.testing.assert_array_equal(left[name], W, name)


def test_more_images_fit_into_a_part(fake_gpus):
    """Patches take half of the memory."""
    x = np.random.default_rng(0).standard_normal((4, 9, 9, 4), np.float32)
    parts = []
    for device in (Device("0"), in_bfloat16()):
        conv = Conv2d(4, 8, 3).to(device)
        device.workspace = 2 * conv.unfolded((1, 9, 9, 4))
        conv.forward(x)
        parts.append([fields["N"] for fields, *_ in conv.way.parts(device.asarray(x))])
    assert parts == [[2, 2], [2, 2]] and conv.unfolded((1, 9, 9, 4)) == 49 * 2 * 40


def test_a_device_keeps_its_precision(fake_gpus):
    device = in_bfloat16()
    assert pickle.loads(pickle.dumps(device)).bf16 and not pickle.loads(pickle.dumps(Device("0"))).bf16
    assert device.arithmetic == "float32, convolutions in bfloat16, other products in TF32"


# ---- the command line


@pytest.mark.parametrize("device", ["cpu", "cpu,cpu", "0,cpu"])
@pytest.mark.parametrize("words", [["--synthetic"], ["summary", "--variant", "small"], ["benchmark", "--variant", "small"]])
def test_a_cpu_does_not_know_it(fake_gpus, capsys, words, device):
    error = refusal(capsys, *words, "--device", device, "--bf16")
    assert "--bf16" in error and "cannot be used here: a CPU multiplies in float32, not in bfloat16." in error


def test_gpus_that_are_too_old(fake_gpus, capsys, monkeypatch):
    monkeypatch.setattr(CudaDevice, "capability", 75)
    error = refusal(capsys, "--synthetic", "--device", "0", "--bf16")
    assert "GPU 0 (Fake H200) has compute capability 7.5, and bfloat16 came with 8.0." in error


def test_one_precision_alone(fake_gpus, capsys):
    error = refusal(capsys, "--synthetic", "--device", "0", "--bf16", "--fp32")
    assert "--fp32: not allowed with argument --bf16" in error
