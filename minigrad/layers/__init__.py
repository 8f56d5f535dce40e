"""The layers, one concept a file."""

from minigrad.layers.activation import Flatten, ReLU, Tanh
from minigrad.layers.base import Layer
from minigrad.layers.conv import Conv2d
from minigrad.layers.dropout import Dropout
from minigrad.layers.linear import Linear
from minigrad.layers.loss import SoftmaxCrossEntropy
from minigrad.layers.lrn import LocalResponseNorm
from minigrad.layers.parameter import Parameter
from minigrad.layers.pool import MaxPool2d
from minigrad.layers.sequential import Sequential

__all__ = [
    "Conv2d",
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
]
