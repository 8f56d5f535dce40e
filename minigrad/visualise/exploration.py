"""An exploration: all that the page of `explore` shows of a network and some photographs, as dicts, lists, texts, numbers and arrays.

A *node* is a layer in one tower. What it is fed are the nodes before it, their channels side by side: the layer before it in its tower, or
at the beginning of a stage the last layers of all towers of the stage before; none at the beginning: there it is the image."""

import numpy as np

from minigrad.layers import Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, Tanh
from minigrad.visualise.backwards import explain
from minigrad.visualise.passage import Passage

# What the page explains a layer as, and the attributes that it needs to.
KINDS = {
    "conv": (Conv2d, ("kernel_size", "stride", "padding")),
    "pool": (MaxPool2d, ("kernel_size", "stride")),
    "lrn": (LocalResponseNorm, ("size", "alpha", "beta", "k")),
    "relu": (ReLU, ()),
    "tanh": (Tanh, ()),
    "dropout": (Dropout, ("p", "scale_at")),
    "flatten": (Flatten, ()),
    "linear": (Linear, ()),
}
ALL = 1_000_000  # so many weights at most are shown all, unless somebody says how many
SOME = 40  # else those of so many channels of each layer and tower
EXPLAINED = 5  # classes that are followed back to the pixels


def exploration(net, x, channels=None, grey=False):
    """What is to be shown of a `Network` in test mode and of images x (N, H, W, 3), float32, as it is fed them:

    nodes      a list of dicts: stage, tower, name, kind (see KINDS, or "other"), text, shape (H, W, C) or (units,) of its output, inputs
               (numbers of nodes), facts (attributes of the layer); of layers with weights: b, chosen (the channels whose weights are there:
               the `channels` strongest on these images), W (one row for each of them: (C_in, K, K) or (inputs,))
    exchanges  a list of dicts: stage after which, senders, receivers, bytes that each tower sends for an image
    images     a list of N dicts: values (of each node, (C, H, W) or (units,)), masks ({number of a node: what dropout would multiply by in
               the next step of training, (units,)}), logits (K,), classes (the five most probable ones), backwards (see `backwards`)

    channels: None for all where there are at most a million weights, else 40. grey: see `explain`. The network's gradients are
    overwritten."""
    passage = Passage(net, x)
    values = [np.asarray(value) for value in passage.values().values()]
    steps = list(net.walk(len(x)))
    if channels is None:
        channels = SOME if sum(p.value.size for p in net.parameters()) > ALL else None
    inputs = sources(steps)
    nodes = [node(step, inputs[i], values[i], channels) for i, step in enumerate(steps)]
    masks = {i: mask(net, step.layer, values[i]) for i, step in enumerate(steps) if isinstance(step.layer, Dropout)}
    best = np.argsort(-passage.logits, axis=1, kind="stable")[:, :EXPLAINED]
    images = [
        {
            "values": [channels_first(value[n]) for value in values],
            "masks": {str(i): channels_first(drops[n]) for i, drops in masks.items()},
            "logits": passage.logits[n],
            "classes": best[n].tolist(),
            "backwards": backwards(net, x[n], best[n], grey),
        }
        for n in range(len(x))
    ]
    return {"nodes": nodes, "exchanges": exchanges(steps, values), "images": images}


def sources(steps):
    """For each step the numbers of the steps that it is fed by, a list of lists."""
    inputs, before, ends = [], {}, {}
    for i, step in enumerate(steps):
        place = (step.stage, step.tower)
        inputs.append([before[place]] if place in before else list(ends.get(step.stage - 1, {}).values()))
        before[place] = i
        ends.setdefault(step.stage, {})[step.tower] = i
    return inputs


def node(step, inputs, value, channels):
    """One layer of one tower; value (N, ...): its outputs."""
    layer = step.layer
    kind, names = next(((kind, names) for kind, (base, names) in KINDS.items() if isinstance(layer, base)), ("other", ()))
    described = {
        "stage": step.stage,
        "tower": step.tower,
        "name": step.name,
        "kind": kind,
        "text": repr(layer),
        "shape": shape_of(value[0]),
        "inputs": inputs,
        "facts": {name: getattr(layer, name) for name in names},
    }
    if kind in ("conv", "linear"):
        numpy, last = layer.device.numpy, value.shape[-1]
        strength = value.reshape(-1, last).max(axis=0)
        chosen = np.sort(np.argsort(-strength, kind="stable")[:channels])
        W = numpy(layer.W)[..., chosen]
        described |= {
            "chosen": chosen.tolist(),
            "W": W.transpose(3, 2, 0, 1) if kind == "conv" else W.T,
            "b": numpy(layer.b),
        }
    return described


def shape_of(value):
    """(H, W, C) of an image's maps, else (units,)."""
    return list(value.shape) if value.ndim == 3 else [value.size]


def channels_first(value):
    """Maps (H, W, C) as (C, H, W), so that each map lies in one piece; all else as (units,)."""
    return value.transpose(2, 0, 1) if value.ndim == 3 else value.ravel()


def mask(net, layer, value):
    """What dropout would multiply `value` by in the next step of training, were these images its batch; the layer is left as it was."""
    step = layer.step
    try:
        layer.step = net.step
        return layer.device.numpy(layer.train().forward(np.ones_like(value)))
    finally:
        layer.eval().step = step


def exchanges(steps, values):
    """What the towers send one another after each stage, and the logits at the end; values: each step's outputs (N, ...)."""
    ends = {(step.stage, step.tower): value[0].nbytes for step, value in zip(steps, values, strict=True)}  # of the last layer there
    stages = [[size for (stage, _), size in ends.items() if stage == s] for s in range(steps[-1].stage + 1)]
    receivers = [len(sizes) for sizes in stages[1:]] + [1]
    return [{"stage": s, "receivers": n, "bytes": sizes} for s, (sizes, n) in enumerate(zip(stages, receivers, strict=True))]


def backwards(net, x, classes, grey):
    """What the scores of some classes hang on in one image x (H, W, 3): an `Explanation`'s arrays, an item for each class."""
    found = explain(net, np.repeat(x[None], len(classes), axis=0), classes, grey)
    shown = {"saliency": found.saliency, "deconvnet": found.deconvnet, "guided": found.guided, "layer": found.layer}
    return shown | ({"cam": found.cam, "weights": found.weights} if found.layer else {})
