"""One step on a batch: its order, and what is left alone if it is broken off."""

import numpy as np
import pytest
from fake_run import FakeLoader, FakeLoss, FakeNet, FakeOptimizer

from minigrad.training import train_on_batch


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
