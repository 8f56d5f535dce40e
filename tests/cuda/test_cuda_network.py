"""The whole network's training step on GPUs equals the CPU's: on the stand-in for CuPy, and where there are GPUs on those."""

from collections import deque

import numpy as np
import pytest
from narrow import Narrow

from minigrad import SGD, SoftmaxCrossEntropy
from minigrad.cuda.device import CudaDevice

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


def assert_same(results, expected, tolerance):
    np.testing.assert_allclose(results[0], expected[0], rtol=tolerance)
    for name, array in expected[1].items():
        error = np.linalg.norm(results[1][name] - array) / np.linalg.norm(array)
        assert error < tolerance, f"{name} differs by {error:.1g} of its norm"


@pytest.mark.parametrize("network, devices", [("small", "0"), ("small", "0,0"), ("small", "0,cpu"), ("paper", "0,0")])
def test_ten_steps_on_one_gpu(one_gpu, network, devices):
    expected = train(network, "cpu", "float64")
    assert expected[0][-1] < expected[0][0] and len(set(expected[0])) == 10  # it learns, and dropout's masks differ
    assert_same(train(network, devices, "float64"), expected, 1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_ten_steps_on_two_gpus(two_gpus, network):
    assert_same(train(network, "0,1", "float64"), train(network, "cpu", "float64"), 1e-9)


def test_two_devices_give_what_one_gives_to_the_bit(two_gpus):
    losses, expected = train("small", "0,0", "float32")
    for devices in ("0", "0,1"):
        again, left = train("small", devices, "float32")
        assert losses == again
        for name, array in expected.items():
            np.testing.assert_array_equal(left[name], array, name)


def test_ten_steps_in_float32(stand_in):
    assert_same(train("small", "0,1", "float32"), train("small", "cpu", "float32"), 1e-4)
    assert stand_in.state.copies == 0  # no product was given a matrix that CuPy would have to copy


def test_the_host_waits_once_a_step(stand_in):
    """For the loss."""
    net, images, labels = make("small", "0,1", "float32")
    loss, sgd = SoftmaxCrossEntropy().to(net.device), SGD(net.parameters())
    images = net.device.asarray(images)
    for step in range(1, 4):
        loss.forward(net.forward(images), labels)
        net.backward(loss.backward())
        sgd.step()
        assert stand_in.state.waits == step


def test_convolutions_in_chunks(stand_in):
    """The patches of a convolution need not fit into the workspace all at once."""
    net, images, labels = make("small", "0", "float64")
    net.devices[0].workspace = 1 << 20  # some images of conv1, and one of conv2
    expected, _, _ = make("small", "cpu", "float64")
    dy = np.random.default_rng(2).standard_normal((IMAGES, CLASSES))
    for one in (net, expected):
        one.forward(images)
        one.backward(dy)
    for p, q in zip(net.parameters(), expected.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.get(), q.grad, atol=1e-10 * np.abs(q.grad).max())


# ---- mistakes planted in the exchange of towers: which of them two devices show, and which one GPU for both towers shows, too


def no_copy(self, array, target):
    return array


def send_without(first, last):
    """CudaDevice.send without the wait before its copy, or without the one behind it."""

    def send(self, array, target):
        if target is self or not target.is_gpu:
            return array
        with self:
            array = self.xp.ascontiguousarray(array)
        copy = target.empty(array.shape, array.dtype)
        if first:
            self.stream.wait_event(target.record())
        with self:
            copy.data.copy_from_device_async(array.data, array.nbytes, self.stream)
        if last:
            target.stream.wait_event(self.record())
        return copy

    return send


def record_where_it_is_called(self):
    event = self.xp.cuda.Event(disable_timing=True)  # belongs to the device that happens to be current
    event.record(self.stream)
    return event


@pytest.mark.parametrize(
    "name, mistake, devices, error",
    [
        ("send", no_copy, "0,1", "an array of device . while device . is current"),
        ("send", send_without(first=True, last=False), "0,1", "race"),
        ("send", send_without(first=True, last=False), "0,0", "race"),
        ("send", send_without(first=False, last=True), "0,1", "race"),
        ("record", record_where_it_is_called, "0,1", "an event of device . recorded on a stream of device"),
    ],
)
def test_planted_mistakes(stand_in, monkeypatch, name, mistake, devices, error):
    monkeypatch.setattr(CudaDevice, name, mistake)
    stand_in.state.problems = deque(maxlen=0)  # what an error leaves behind is not looked at
    with pytest.raises((RuntimeError, ValueError), match=error):
        train("small", devices, "float32", steps=1)
