"""One step on a batch: its order, and what is left alone if it is broken off."""

import signal
import sys

import numpy as np
import pytest
from fake_run import FakeLoader, FakeLoss, FakeNet, FakeOptimizer
from narrow import Narrow

from minigrad import SGD, SoftmaxCrossEntropy
from minigrad.ranks import Ranks
from minigrad.training import top_k_errors, train_on_batch
from minigrad.training.step import train_in_parts, train_on_share


def test_a_step_is_forward_loss_backward_update():
    ours, theirs, loss = FakeNet(), FakeNet(), FakeLoss()
    optimizer, other = FakeOptimizer(ours), FakeOptimizer(theirs)
    optimizer.lr = other.lr = 1e-3
    for x, labels in FakeLoader().batches(0):
        value, logits = train_on_batch(ours, loss, optimizer, x, labels)
        wanted = theirs.forward(x)
        assert value == loss.forward(wanted, labels)
        np.testing.assert_array_equal(logits, wanted)
        theirs.backward(loss.backward())
        other.step()
        np.testing.assert_array_equal(ours.parameter.value, theirs.parameter.value)


def test_inspect_comes_before_backward_and_may_break_off():
    net = FakeNet()
    optimizer, before = FakeOptimizer(net), net.parameter.value.copy()
    x, labels = next(FakeLoader().batches(0))

    def inspect(value, logits):
        assert net.parameter.grad is None and value > 0 and logits.shape == (11, 7)
        return logits.argmax(axis=1)

    _, handed_out = train_on_batch(net, FakeLoss(), optimizer, x, labels, inspect)
    assert handed_out.shape == (11,) and optimizer.steps == 1
    net.parameter.value[...], net.parameter.grad = before, None
    with pytest.raises(ZeroDivisionError):
        train_on_batch(net, FakeLoss(), optimizer, x, labels, lambda value, logits: 1 / 0)
    assert net.parameter.grad is None and optimizer.steps == 1
    np.testing.assert_array_equal(net.parameter.value, before)


def test_a_step_that_is_broken_off_is_not_counted():
    net = FakeNet()
    x, labels = next(FakeLoader().batches(0))
    with pytest.raises(ZeroDivisionError):
        train_on_batch(net, FakeLoss(), FakeOptimizer(net), x, labels, lambda value, logits: 1 / 0)
    assert net.step == 0


@pytest.mark.parametrize("device", ["cpu", "cpu,cpu", "0,1"])
@pytest.mark.parametrize("parts", [2, 3, 9])
def test_parts_of_a_batch_add_up_to_the_whole(parts, device, request):
    """Seven images, dropout's masks included; nine parts are seven."""
    if device == "0,1":
        request.getfixturevalue("fake_gpus")
    rng = np.random.default_rng(5)
    nets = [Narrow("tiny", device, 10, seed=3).astype("float64") for _ in range(2)]
    losses = [SoftmaxCrossEntropy().to(net.device) for net in nets]
    optimizers, seen = [SGD(net.parameters(), 0.1) for net in nets], []

    def inspect(value, logits):
        seen.append((value, len(logits)))
        return logits

    for _ in range(3):
        x, labels = rng.normal(0, 50, (7, 29, 29, 3)), rng.integers(0, 10, 7)
        value, logits = train_on_batch(nets[0], losses[0], optimizers[0], x, labels)
        part, found = train_in_parts(nets[1], losses[1], optimizers[1], x, labels, parts, inspect)
        np.testing.assert_allclose(part, value, rtol=1e-12)
        np.testing.assert_allclose(found, nets[0].device.numpy(logits), rtol=1e-9)
        assert seen[-1] == (part, 7) and nets[0].step == nets[1].step
    for one, other in zip(*(net.parameters() for net in nets), strict=True):
        value = one.device.numpy(one.value)
        np.testing.assert_allclose(other.device.numpy(other.value), value, rtol=0, atol=1e-12 * np.abs(value).max(), err_msg=one.name)
    assert nets[1].first_image == 0


def test_parts_that_are_broken_off_leave_weights_and_step_alone():
    net = Narrow("tiny", "cpu", 10, seed=3)
    before = [p.value.copy() for p in net.parameters()]
    x, labels = np.zeros((5, 29, 29, 3), np.float32), np.arange(5)
    with pytest.raises(ZeroDivisionError):
        train_in_parts(net, SoftmaxCrossEntropy(), SGD(net.parameters()), x, labels, 2, lambda value, logits: 1 / 0)
    assert net.step == net.first_image == 0
    assert all(np.array_equal(p.value, value) for p, value in zip(net.parameters(), before, strict=True))


@pytest.mark.parametrize("line", range(0, 60, 3))
def test_ctrl_c_at_any_line_leaves_steps_and_weights_together(line):
    """As in a notebook, where nobody handles the signal: the step is whole, or has not been."""
    net, ran = FakeNet(), 0
    optimizer, (x, labels), before = FakeOptimizer(net), next(FakeLoader().batches(0)), net.parameter.value.copy()
    optimizer.lr = 1e-3

    def tracer(frame, event, argument):
        nonlocal ran
        if frame.f_code.co_filename.endswith(("step.py", "fake_run.py")):
            ran += 1
            if ran == line + 1:
                signal.raise_signal(signal.SIGINT)
        return tracer

    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.settrace(tracer)
    try:
        train_on_batch(net, FakeLoss(), optimizer, x, labels)
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
        signal.signal(signal.SIGINT, old)
    moved = bool((net.parameter.value != before).any())
    assert net.step == optimizer.steps == moved


class Part(Ranks):
    """A rank whose gradients are looked at, and not summed."""

    def __init__(self, rank, size):
        self.rank, self.size, self.gradients = rank, size, {}

    def add(self, parameters):
        self.gradients |= {p.name: p.device.numpy(p.grad).copy() for p in parameters}


def parts_and_whole(size, device, N=5):
    """What a step of each of so many ranks finds, and that of one process: loss, errors and gradients; with dropout."""
    images, labels = 58 * np.random.default_rng(0).standard_normal((N, 29, 29, 3)), np.arange(N) % 10
    found = []
    for rank in range(size):
        ranks, net = Part(rank, size), Narrow("tiny", device, 10, "2012", 3).astype("float64")
        loss, share = SoftmaxCrossEntropy().to(net.device), ranks.share(N)
        sums = train_on_share(net, loss, SGD(net.parameters()), images[share], labels, ranks, lambda value: None, late=0.5)
        assert net.step == 1 and sums[3] == 0.5
        found.append((np.array(sums[:3]), ranks.gradients))
    net = Narrow("tiny", "cpu", 10, "2012", 3).astype("float64")
    value, logits = train_on_batch(net, SoftmaxCrossEntropy(), SGD(net.parameters()), images, labels)
    return found, (np.array([value, *top_k_errors(logits, labels)]), {p.name: p.grad for p in net.parameters()})


def assert_parts_add_up(size, device):
    parts, (sums, gradients) = parts_and_whole(size, device)
    np.testing.assert_allclose(sum(found for found, _ in parts), sums, rtol=1e-12)
    for name, gradient in gradients.items():
        total = sum(part[name] for _, part in parts)
        np.testing.assert_allclose(total, gradient, rtol=0, atol=1e-12 * np.abs(gradient).max(), err_msg=name)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_steps_of_ranks_add_up_to_that_of_one_process(size):
    """Seven of them have five images."""
    assert_parts_add_up(size, "cpu")


def test_the_steps_of_ranks_with_gpus_add_up(fake_gpus):
    assert_parts_add_up(2, "0,0")


def test_a_step_of_ranks_that_is_broken_off_leaves_weights_and_step_alone():
    net, ranks = Narrow("tiny", "cpu", 10, "2012", 3), Part(0, 2)
    before = [p.value.copy() for p in net.parameters()]
    x, labels = np.zeros((2, 29, 29, 3), np.float32), np.arange(4)
    with pytest.raises(ZeroDivisionError):
        train_on_share(net, SoftmaxCrossEntropy(), SGD(net.parameters()), x, labels, ranks, lambda value: 1 / 0)
    assert net.step == 0 and ranks.gradients
    for p, value in zip(net.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.value, value)
