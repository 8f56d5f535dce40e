"""Numbers that a page need not hold: what a ReLU or a max-pooling gives is the largest of numbers that lie before it, and data.js finds it.

Rounding (packing.py) keeps the order of numbers, so that the page finds just what it would have read."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def without_maxima(nodes, x, values):
    """The values of all nodes for a photograph x (3, H, W), each (C, H, W) or (units,), with None for those that the page finds itself.

    nodes: as `visualise.exploration` describes them. A layer of the kind "relu" or "pool" that gives something else keeps its values."""
    left = []
    for node, value in zip(nodes, values, strict=True):
        inputs = np.concatenate([values[i] for i in node["inputs"]] or [x])
        left.append(None if is_largest(node, inputs, value) else value)
    return left


def is_largest(node, x, y):
    """Whether y is the largest of x and 0, for the kind "relu", or of each window of x (C, H, W), for "pool"."""
    if node["kind"] == "relu":
        return np.array_equal(np.maximum(x, 0), y)
    if node["kind"] == "pool":
        K, S = node["facts"]["kernel_size"], node["facts"]["stride"]
        return np.array_equal(sliding_window_view(x, (K, K), axis=(1, 2))[:, ::S, ::S].max(axis=(3, 4)), y)
    return False
