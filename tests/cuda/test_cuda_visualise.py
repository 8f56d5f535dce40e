"""From a class back to the pixels on GPUs: what the CPU finds, but for rounding."""

import numpy as np
import pytest

from alexnet import AlexNet
from minigrad.visualise import explain


@pytest.mark.parametrize("device", ["0", "0,1"])
def test_explanations_are_the_cpus(two_gpus, rng, device):
    net, x, classes = AlexNet("small", num_classes=6, init="he").eval(), rng.standard_normal((3, 28, 28, 3)).astype(np.float32), [5, 0, 2]
    expected, found = explain(net, x, classes), explain(net.to(device), x, classes)
    assert found.layer == expected.layer == "relu5"
    for name in ("saliency", "deconvnet", "guided", "cam", "weights"):
        a, b = getattr(found, name), getattr(expected, name)
        assert type(a) is np.ndarray and np.abs(a - b).max() < 1e-5 * np.abs(b).max(), name
