"""Layers in a row: the output of one is the input of the next."""

from collections import OrderedDict

from minigrad.layers import chain
from minigrad.layers.base import ImageLayer, Layer


def ordinal(n):
    suffix = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"


class Sequential(Layer):
    """y = layers[-1](... layers[0](x)): Sequential(conv1=Conv2d(...), relu1=ReLU(), ...).

    x and y are those of the first and the last layer. net["conv1"] is a layer, net.layers the ordered dict of all. Parameters are called
    "conv1.W". Neighbours that treat images independently run together, a few images at a time (see chain.py); the numbers are those of one
    layer after the other. Raises TypeError for what is no layer, ValueError for one that appears twice."""

    def __init__(self, **layers):
        for name, layer in layers.items():
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential: {name} is no layer but {layer!r}")
            if sum(layer is other for other in layers.values()) > 1:
                raise ValueError(f"Sequential: {name} stands in two places; a layer remembers one forward, so make a second one")
        self.layers, self.grouped = OrderedDict(layers), ((), [])

    def __getitem__(self, name):
        try:
            return self.layers[name]
        except KeyError:
            raise KeyError(f"there is no layer {name!r}, there are {', '.join(self.layers)}") from None

    def __len__(self):
        return len(self.layers)

    def arguments(self):
        return ", ".join(f"{name}={layer!r}" for name, layer in self.layers.items())

    def children(self):
        return iter(self.layers.items())

    def named(self, layer, error):
        """The same error, saying in which layer it happened."""
        for i, (name, other) in enumerate(self.layers.items()):
            if other is layer and type(error) in (TypeError, ValueError, RuntimeError):  # CUDA's take no text of ours
                return type(error)(f"in {name}, the {ordinal(i + 1)} layer: {error}")
        return error

    def output_shape(self, shape):
        for layer in self.layers.values():
            try:
                shape = layer.output_shape(shape)
            except ValueError as error:
                raise self.named(layer, error) from None
        return shape

    def runs(self):
        """Neighbouring image layers together, each other layer alone: a list of lists. Remembered, as long as the layers are the same."""
        layers = tuple(self.layers.values())
        if self.grouped[0] != layers:
            runs = []
            for layer in layers:
                if runs and isinstance(layer, ImageLayer) and isinstance(runs[-1][-1], ImageLayer):
                    runs[-1].append(layer)
                else:
                    runs.append([layer])
            self.grouped = layers, runs
        return self.grouped[1]

    def forward(self, x):
        """x -> y of the last layer. Errors say in which layer they happened: "in conv2, the 5th layer: ..."."""
        x = self.check(x)
        with self.device:
            for run in self.runs():
                if isinstance(run[0], ImageLayer):
                    x = chain.forward(run, x, self.named)
                else:
                    try:
                        x = run[0].forward(x)
                    except (TypeError, ValueError) as error:
                        raise self.named(run[0], error) from None
        return x

    def backward(self, dy):
        """dy -> dx of the first layer, None if that computes none."""
        with self.device:
            for run in reversed(self.runs()):
                try:
                    dy = chain.backward(run, dy) if isinstance(run[0], ImageLayer) else run[0].backward(dy)
                except (TypeError, ValueError, RuntimeError) as error:
                    raise self.named(run[-1], error) from None
        return dy
