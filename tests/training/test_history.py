"""What a run leaves besides its checkpoint."""

import numpy as np
from fake_run import FakeNet, FakeParameter

from minigrad.training import first_kernels


def test_the_first_kernels_are_grey_if_the_mean_image_is():
    net = FakeNet()
    (W,) = first_kernels(net, None)
    assert W is net.parameter.value
    (W,) = first_kernels(net, np.random.default_rng(0).normal(size=(4, 4, 3)))
    assert W is net.parameter.value
    (W,) = first_kernels(net, np.full((4, 4, 3), 9.0))
    np.testing.assert_array_equal(W, net.parameter.value.sum(axis=2, keepdims=True))


def test_a_network_without_conv1_has_no_first_kernels():
    net = FakeNet()
    net.parameter = FakeParameter("tower0.fc.W", np.zeros((3, 4)))
    assert first_kernels(net, None) == []
