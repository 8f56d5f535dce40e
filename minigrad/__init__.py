"""minigrad: the AlexNet of 2012 in plain NumPy, every gradient written by hand."""

from minigrad.device import Device
from minigrad.layers import (
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Parameter,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
)
from minigrad.optim import SGD
from minigrad.towers import Towers

__version__ = "0.1.0"
__all__ = [
    "SGD",
    "Conv2d",
    "Device",
    "Dropout",
    "Flatten",
    "Layer",
    "Linear",
    "LocalResponseNorm",
    "MaxPool2d",
    "Parameter",
    "ReLU",
    "Sequential",
    "SoftmaxCrossEntropy",
    "Tanh",
    "Towers",
]
