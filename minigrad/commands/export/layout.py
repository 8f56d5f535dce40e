"""A network as other frameworks see it, where images are (N, C, H, W): its layers as plain tuples of numbers and arrays."""

import numpy as np

from minigrad.data import central_square
from minigrad.layers import Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, Tanh
from minigrad.training import TrainingError, to_host


def steps(net):
    """What `net` computes: a list of stages, each a list of towers, each a list of tuples:

    ("conv", W (out, in, k, k), b, stride, (top, bottom, left, right)), ("linear", W (out, in), b), ("relu",), ("tanh",),
    ("lrn", size, alpha, beta, k), ("pool", size, stride), ("dropout", p, scale_at), ("flatten",).
    Towers' outputs are joined along the channels between stages. Raises TrainingError for a layer of another kind."""
    stages, flattened = [], None
    for walked in net.walk():
        if walked.stage == len(stages):
            stages.append([])
        if walked.tower == len(stages[-1]):
            stages[-1].append([])
            flattened = None
        stages[-1][-1].append(_step(walked.layer, flattened))
        if isinstance(walked.layer, Flatten):
            flattened = walked.x_shape
        elif isinstance(walked.layer, Linear):
            flattened = None
    return stages


def _step(layer, flattened):
    """One layer as a tuple of `steps`; flattened: the shape (1, H, W, C) that was made flat before this Linear, if it was."""
    match layer:
        case Conv2d():
            return "conv", np.ascontiguousarray(_host(layer.W).transpose(3, 2, 0, 1)), _host(layer.b), layer.stride, tuple(layer.padding)
        case Linear():
            W = _host(layer.W)
            if flattened is not None:  # rows over (H, W, C) become rows over (C, H, W)
                W = W.reshape(*flattened[1:], -1).transpose(2, 0, 1, 3).reshape(W.shape)
            return "linear", np.ascontiguousarray(W.T), _host(layer.b)
        case LocalResponseNorm():
            return "lrn", layer.size, layer.alpha, layer.beta, layer.k
        case MaxPool2d():
            return "pool", layer.kernel_size, layer.stride
        case Dropout():
            return "dropout", layer.p, layer.scale_at
        case ReLU() | Tanh() | Flatten():
            return (type(layer).__name__.lower(),)
    raise TrainingError(f"A layer of the kind {type(layer).__name__} cannot be exported.")


def _host(array):
    return np.asarray(to_host(array), np.float32)


def pixels_mean(mean, side):
    """The centre of the mean image (H, W, 3) as (1, 3, side, side)."""
    return np.ascontiguousarray(central_square(mean, side)[None].transpose(0, 3, 1, 2), np.float32)
