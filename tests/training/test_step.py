"""One step on a batch: its order, and what is left alone if it is broken off."""

import signal
import sys

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


def test_a_step_that_is_broken_off_is_not_counted():
    net = FakeNet()
    x, labels = next(FakeLoader().batches(0))
    with pytest.raises(ZeroDivisionError):
        train_on_batch(net, FakeLoss(), FakeOptimizer(net), x, labels, lambda value, logits: 1 / 0)
    assert net.step == 0


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
