"""Several image layers in a row, run together: a single layer is a row of one.

What goes in is checked for all of them first, so that a shape that does not fit costs nothing. Then a CPU takes slabs of images through the
whole row (engine/slabs.py), and a GPU the whole batch layer by layer."""

import math

import numpy as np

from minigrad.engine import slabs


class Call:
    """What a layer keeps of one forward: the shapes and dtype, and for its backward what it returned as `kept`, for each slab or for the
    whole batch."""

    def __init__(self, x_shape, y_shape, dtype):
        self.x_shape, self.y_shape, self.dtype = x_shape, y_shape, dtype
        self.tasks, self.kept = (), None
        self.left_out = False  # on a GPU, whether the next layer did this one's work as well


def forward(layers, x, named=lambda layer, error: error):
    """y of the layers in a row. named(layer, error) may say in the error's text where it happened."""
    first = layers[0]
    with first.device:
        layers = layers if first.device.is_gpu else relu_last(layers)
        x, shapes = checked(layers, x, named)
        calls = [Call(*pair, x.dtype) for pair in zip(shapes[:-1], shapes[1:], strict=True)]
        for layer in layers:
            layer.release()  # frees the last call's memory before this one asks for some
        for layer, call in zip(layers, calls, strict=True):
            layer.begin(call.x_shape, call.y_shape, call.dtype)
        y = (forward_whole if first.device.is_gpu else forward_slabs)(layers, calls, x)
        if first.remembers:  # not before: after a forward that failed there is nothing to go back through
            for layer, call in zip(layers, calls, strict=True):
                layer.call = call
        return y


def checked(layers, x, named):
    """x as an array of the layers' device, and the shapes of x and of the output of every layer."""
    first, shapes = layers[0], []
    for layer in layers:
        try:
            if layer is first:
                x = layer.check(x)
                shapes.append(x.shape)
            shapes.append(layer.output_shape(shapes[-1]))
        except (TypeError, ValueError) as error:
            raise named(layer, error) from None
    return x, shapes


def relu_last(layers):
    """The layers with each ReLU behind the pooling that follows it. The largest number stays the largest, so that nothing changes, but that
    there are fewer numbers for the ReLU to look at and to keep."""
    layers = list(layers)
    for i in range(len(layers) - 1):
        if layers[i].is_relu and layers[i + 1].before_relu:
            layers[i], layers[i + 1] = layers[i + 1], layers[i]
    return layers


def forward_slabs(layers, calls, x):
    """y, slab by slab on a CPU."""
    for row in slabs.rows(layers, calls, x.dtype.itemsize):
        x = slabs.forward(layers[row], calls[row], x)
    return x


def forward_whole(layers, calls, x):
    """y, layer by layer on a GPU. What is left to the layer behind it (`is_left_out`) is no work of its own."""
    y, relu, norm = x, False, None
    for i, (layer, call) in enumerate(zip(layers, calls, strict=True)):
        call.left_out = is_left_out(layers, i, call.x_shape)
        layer.relu, layer.norm = relu, norm
        if not call.left_out:
            y, call.kept = layer.forward_cuda(y)
        relu = call.left_out and layer.is_relu
        norm = layer.fields(math.prod(call.x_shape[:-1]), call.x_shape[-1], layer.relu) if call.left_out and layer.is_norm else None
        if not layer.remembers:
            call.kept = None
    return y.copy() if y is calls[-1].kept else y  # what comes back belongs to the caller


def is_left_out(layers, i, shape):
    """Whether a GPU leaves layer i of these, whose x has that shape, to the next: a ReLU, where that takes one in; a normalisation over
    five channels, where threads take four (for others it would be slower)."""
    if i + 1 == len(layers):
        return False
    if layers[i].is_norm:
        return layers[i + 1].takes_norm and layers[i].size == 5 and shape[-1] % 4 == 0
    return layers[i].is_relu and layers[i + 1].takes_relu


def backward(layers, dy):
    """dx of the layers in a row, after their forward; their gradients are summed in the order of the images."""
    last, first = layers[-1], layers[0]
    for layer in reversed(layers):
        layer.check_forward(layer.call)
    with first.device:
        dy = last.check_dy(dy, last.call.y_shape, last.call.dtype)
        for layer in layers:
            for name in layer.names:
                setattr(layer, "d" + name, None)  # frees the last gradients' memory before these ask for some
        return (backward_whole if first.device.is_gpu else backward_slabs)(layers, dy)


def backward_whole(layers, dy):
    """dx, layer by layer on a GPU."""
    for layer in reversed(layers):
        if layer.call.left_out:
            continue
        dy, gradients = layer.backward_cuda(dy, layer.call.kept)
        for name, gradient in zip(layer.names, gradients, strict=True):
            setattr(layer, "d" + name, gradient.astype(getattr(layer, name).dtype, copy=False))
    return dy


def backward_slabs(layers, dy):
    """dx, slab by slab on a CPU."""
    layers = relu_last(layers)
    calls, learning = [layer.call for layer in layers], []
    for row in reversed(slabs.rows(layers, calls, dy.dtype.itemsize)):
        for layer in layers[row]:
            layer.begin_backward()
        dy, sums = slabs.backward(layers[row], calls[row], dy)
        learning += [(layer, total) for layer, total in zip(layers[row], sums, strict=True) if layer.names]

    def finish(i):
        layer, total = learning[i]
        for name, gradient in zip(layer.names, layer.gradients(total), strict=True):
            value = getattr(layer, name)
            setattr(layer, "d" + name, np.ascontiguousarray(gradient.reshape(value.shape), value.dtype))

    layers[0].device.run(finish, range(len(learning)))
    return dy
