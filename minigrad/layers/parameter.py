"""What is learned: an array with a name and a gradient."""

from typing import NamedTuple

import numpy as np

from minigrad.device import CPU


class Columns(NamedTuple):
    """Which of a layer's outputs a process has, where several share the layer (minigrad/hybrid.py): number `start` to `end` of `total`."""

    start: int
    end: int
    total: int


class Parameter:
    """A named array that is learned.

    value: the live array, changed in place by whoever learns. grad: the gradient of the last `backward`, of the same shape and dtype, None
    before the first. device: where both lie. owned: where processes share the layer, which `Columns` of the whole array these are."""

    device = CPU
    owned = None

    def __init__(self, name, value, grad=None):
        self.name, self.value, self.grad = name, value, grad

    def __repr__(self):
        return f"{type(self).__name__}({self.name!r}, shape {tuple(self.value.shape)}, {self.value.dtype})"


class LayerParameter(Parameter):
    """A layer's own W or b: always the array that the layer uses now, and the gradient that it computed last."""

    def __init__(self, name, layer, attribute):
        self.name, self.layer, self.attribute = name, layer, attribute

    @property
    def device(self):
        return self.layer.device

    @property
    def owned(self):
        return self.layer.owned

    @property
    def value(self):
        return getattr(self.layer, self.attribute)

    @value.setter
    def value(self, array):
        setattr(self.layer, self.attribute, array)

    @property
    def grad(self):
        return getattr(self.layer, "d" + self.attribute)

    @grad.setter
    def grad(self, array):
        setattr(self.layer, "d" + self.attribute, array)


class InnerParameter(Parameter):
    """A parameter of a layer inside a container, under a longer name. It asks the layer anew each time, since a layer of one's own may make
    new `Parameter`s whenever it is asked for them."""

    def __init__(self, name, layer, inner):
        self.name, self.layer, self.inner = name, layer, inner

    def there(self):
        return next(p for p in self.layer.parameters() if p.name == self.inner)

    @property
    def device(self):
        return self.layer.device

    @property
    def value(self):
        return self.there().value

    @value.setter
    def value(self, array):
        self.there().value = array

    @property
    def grad(self):
        return self.there().grad

    @grad.setter
    def grad(self, array):
        self.there().grad = array


def inside(name, layer):
    """Yields the parameters of a layer called `name` in a container: "W" becomes "name.W"."""
    for p in layer.parameters():
        if isinstance(p, LayerParameter):
            yield LayerParameter(f"{name}.{p.name}", p.layer, p.attribute)
        else:
            yield InnerParameter(f"{name}.{p.name}", layer, p.name)


def starting_weights(layer, shape, std, bias, rng):
    """W of that shape from N(0, std^2) and b, one number for each of its columns: float32 arrays.

    Raises TypeError for a bias that is True or False: in torch these switch the biases on and off, here there always are some."""
    if isinstance(bias, (bool, np.bool_)):
        raise TypeError(f"{layer}: bias is the number that all biases start with, such as 0.0, not {bias}; no layer is without biases")
    rng = np.random.default_rng() if rng is None else rng
    W = rng.standard_normal(shape, np.float32)
    W *= np.float32(std)
    return W, np.full(shape[-1], bias, np.float32)
