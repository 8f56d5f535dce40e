"""The whole network's training step on GPUs equals the CPU's."""

from functools import cache

import numpy as np
import pytest
from narrow import Narrow

from minigrad import SGD, Conv2d, Device, SoftmaxCrossEntropy

IMAGES, CLASSES = 4, 10
NETWORKS = {"small": ("tiny", 29), "paper": ("tiny paper", 224)}  # variants of `Narrow`, and the images' size


def make(network, devices, dtype):
    variant, size = NETWORKS[network]
    net = Narrow(variant, devices, CLASSES, "2012", 3).towers.astype(dtype)
    for tower in net.stages[0]:
        tower["conv1"].input_gradient = True  # to compare that, too
    images = 58 * np.random.default_rng(0).standard_normal((IMAGES, size, size, 3)).astype(dtype)
    return net, images, np.random.default_rng(1).integers(0, CLASSES, IMAGES)


def train(network, devices, dtype, steps=10):
    """The losses of some steps with dropout, and all that is left behind: logits, weights, velocities."""
    net, images, labels = make(network, devices, dtype)
    loss, sgd, losses = SoftmaxCrossEntropy().to(net.device), SGD(net.parameters(), 0.002), []
    for _ in range(steps):
        logits = net.forward(images)
        losses.append(loss.forward(logits, labels))
        net.backward(loss.backward())
        sgd.step()
    left = {"logits": net.device.numpy(logits)}
    for p, v in zip(sgd.parameters, sgd.velocities, strict=True):
        left |= {p.name: p.device.numpy(p.value), f"the velocity of {p.name}": p.device.numpy(v)}
    return losses, left


@cache
def on_the_cpu(network):
    return train(network, "cpu", "float64")


def assert_same(results, expected, tolerance):
    np.testing.assert_allclose(results[0], expected[0], rtol=tolerance)
    for name, array in expected[1].items():
        error = np.linalg.norm(results[1][name] - array) / np.linalg.norm(array)
        assert error < tolerance, f"{name} differs by {error:.1g} of its norm"


@pytest.mark.parametrize("network, devices", [("small", "0"), ("small", "0,0"), ("small", "0,cpu"), ("paper", "0,0")])
def test_ten_steps_on_one_gpu(one_gpu, network, devices):
    expected = on_the_cpu(network)
    assert expected[0][-1] < expected[0][0] and len(set(expected[0])) == 10  # it learns, and dropout's masks differ
    assert_same(train(network, devices, "float64"), expected, 1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_ten_steps_on_two_gpus(two_gpus, network):
    assert_same(train(network, "0,1", "float64"), on_the_cpu(network), 1e-9)


def test_two_devices_give_what_one_gives_to_the_bit(two_gpus):
    losses, expected = train("small", "0,0", "float32")
    for devices in ("0", "0,1"):
        again, left = train("small", devices, "float32")
        assert losses == again
        for name, array in expected.items():
            np.testing.assert_array_equal(left[name], array, name)


def test_a_network_on_two_devices_is_converted(fake_gpus):
    net = Narrow("tiny", "0,1", CLASSES).astype("float64")
    assert all(p.value.dtype == np.float64 and p.value.data.device_id == p.device.index for p in net.parameters())


@pytest.mark.parametrize("devices, unfolded", [("0", 1), ("0,0", 2), ("0,1", 2)])
def test_patches_of_the_images_are_made_once(fake_gpus, devices, unfolded):
    """For forward and backward, and for all towers of a device; of what the images are now, not of what they were in the last pass."""

    def gradients(place):
        net, images, _ = make("paper", place, "float64")
        for tower in net.stages[0]:
            tower["conv1"].input_gradient = False
        x, found = net.device.asarray(images), []
        for _ in range(2):
            x *= 0.9  # in place
            dy = net.forward(x) * 0 + 1
            for _ in range(2):
                net.backward(dy)
                found += [p.device.numpy(p.grad).copy() for p in net.parameters()]
        return found

    expected = gradients("cpu")
    for a, b in zip(gradients(devices), expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9 * np.abs(b).max())
    assert fake_gpus.count("kernel im2col_of_few_channels") == 2 * unfolded


@pytest.mark.parametrize("devices, all_stay, one_stays", [("0", 8, 9 + 8), ("0,1", 10, 10 + 8)])
def test_patches_stay_for_backward_while_there_is_room(fake_gpus, devices, all_stay, one_stays):
    """Those of conv1 at least; and towers share those of conv1 and conv3 that stay. The bits are the same."""
    found = []
    for room, unfolded in ((1 << 30, all_stay), (IMAGES * 55 * 55 * 364 * 4, one_stays)):
        net, images, labels = make("paper", devices, "float32")
        for tower in net.stages[0]:
            tower["conv1"].input_gradient = False
        for device in net.devices:
            device.workspace = room
        before = fake_gpus.count("kernel im2col") + fake_gpus.count("kernel im2col_of_few_channels")
        dy = np.random.default_rng(2).standard_normal((IMAGES, CLASSES)).astype(np.float32)
        net.forward(images)
        for _ in range(2):
            net.backward(dy)
            found.append([p.device.numpy(p.grad) for p in net.parameters()])
        after = fake_gpus.count("kernel im2col") + fake_gpus.count("kernel im2col_of_few_channels")
        assert after - before == unfolded + (8 if unfolded == one_stays else 0)  # once more in the second backward
    for gradients in found[1:]:
        for a, b in zip(gradients, found[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_two_convolutions_of_an_array_that_changes_between_them(fake_gpus):
    first, second = (Conv2d(3, 4, 3, std=0.3, rng=np.random.default_rng(1)).to(Device("0")) for _ in range(2))
    x = first.device.asarray(np.random.default_rng(0).standard_normal((2, 5, 6, 3)).astype(np.float32))
    for conv in (first, second):
        conv.input_gradient = False
    y = first.forward(x).get()
    x *= 2
    np.testing.assert_allclose(second.forward(x).get(), 2 * y, rtol=1e-5)
    dW = [conv.backward(conv.device.asarray(np.ones_like(y))) or conv.dW.get() for conv in (first, second)]
    np.testing.assert_allclose(dW[1], 2 * dW[0], rtol=1e-4)


def test_ten_steps_in_float32(fake_gpus):
    assert_same(train("small", "0,1", "float32"), train("small", "cpu", "float32"), 1e-4)


LAUNCHES = [  # of a step: kernels, ours and CuPy's, and products
    ("0", 69, 52),
    ("0,0", 88, 52),
    ("0,1", 88, 52),
]


@pytest.mark.parametrize("devices, kernels, products", LAUNCHES)
def test_launches_of_a_step(fake_gpus, devices, kernels, products):
    """Each costs the host some 20 microseconds, and there are no more than there were."""
    net, images, labels = make("paper", devices, "float32")
    for tower in net.stages[0]:
        tower["conv1"].input_gradient = False
    loss, sgd, images = SoftmaxCrossEntropy().to(net.device), SGD(net.parameters()), net.device.asarray(images)
    counted = "kernels", "gemm", "kernel relu_forward", "kernel weights_and_bias"
    for _ in range(2):
        before = [fake_gpus.count(what) for what in counted]
        loss.forward(net.forward(images), labels)
        net.backward(loss.backward())
        sgd.step()
    assert [fake_gpus.count(what) - earlier for what, earlier in zip(counted, before, strict=True)] == [kernels, products, 0, 0]


def test_the_host_waits_once_a_step(fake_gpus):
    """For the loss."""
    net, images, labels = make("small", "0,1", "float32")
    loss, sgd = SoftmaxCrossEntropy().to(net.device), SGD(net.parameters())
    images = net.device.asarray(images)
    before = fake_gpus.waits
    for step in range(1, 4):
        loss.forward(net.forward(images), labels)
        net.backward(loss.backward())
        sgd.step()
        assert fake_gpus.waits == before + step


def test_convolutions_in_chunks(fake_gpus):
    """The patches of a convolution need not fit into the workspace all at once."""
    net, images, labels = make("small", "0", "float64")
    net.devices[0].workspace = 400_000  # two images of conv1, and of conv2
    expected, _, _ = make("small", "cpu", "float64")
    dy = np.random.default_rng(2).standard_normal((IMAGES, CLASSES))
    for one in (net, expected):
        one.forward(images)
        one.backward(dy)
    for p, q in zip(net.parameters(), expected.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.get(), q.grad, atol=1e-10 * np.abs(q.grad).max())
    assert fake_gpus.count("kernel im2col_of_few_channels") == 11  # in parts none stay for backward, and towers share none: else 3
