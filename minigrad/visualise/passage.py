"""A passage: one pass through a network of which everything is kept, what goes forward behind each layer and what comes back there."""

from contextlib import contextmanager

import numpy as np

from minigrad.layers import Layer, ReLU


class Watch(Layer):
    """y = x,  dx = dy. It keeps both: `value` (N, ...) and `gradient`, of the same shape."""

    value = gradient = None

    def output_shape(self, shape):
        return tuple(shape)

    def forward(self, x):
        self.value = x
        return x

    def backward(self, dy):
        self.gradient = dy
        return dy


class Passage:
    """The way of images x (N, H, W, 3), as the network is fed them, through a `Network` in test mode.

    relu: a class of layers that stands for every ReLU, such as `GuidedReLU`; what goes forward is the same with all of them.
    logits: what came out, (N, classes). All arrays that this class returns are NumPy's. The network's layers do the work, so its last
    forward and its gradients are overwritten. Raises what the network's forward raises."""

    def __init__(self, net, x, relu=None):
        net.output_shape(x.shape)
        self.watches, stages = {}, []
        for s, stage in enumerate(net.towers.stages):
            stages.append([type(tower)(**dict(self.watched(s, t, tower, relu))) for t, tower in enumerate(stage)])
        self.towers = type(net.towers)(stages, net.towers.devices).eval()
        self.firsts = [next(iter(tower.layers.values())) for tower in stages[0]]
        with self.down_to_the_image():
            self.logits = net.device.numpy(self.towers.forward(x))

    def watched(self, s, t, tower, relu):
        """Yields (name, layer) of a tower's layers, behind each of them a `Watch`."""
        for name, layer in tower.layers.items():
            yield name, relu().to(layer.device) if relu is not None and isinstance(layer, ReLU) else layer
            self.watches[s, t, name] = Watch()
            yield f"{name}, watched", self.watches[s, t, name]

    @contextmanager
    def down_to_the_image(self):
        """While entered, the first layers compute the gradient of the image, which training never needs."""
        before = [layer.input_gradient for layer in self.firsts]
        try:
            for layer in self.firsts:
                layer.input_gradient = True
            yield
        finally:
            for layer, answer in zip(self.firsts, before, strict=True):
                layer.input_gradient = answer

    def back_from(self, classes):
        """Go back from the score of one class of each image (N integers), the logit before the softmax: dx (N, H, W, 3)."""
        dlogits = np.zeros_like(self.logits)
        dlogits[np.arange(len(dlogits)), classes] = 1
        with self.down_to_the_image():
            return self.towers.device.numpy(self.towers.backward(dlogits))

    def values(self):
        """{(stage, tower, name): y (N, ...) of that layer}."""
        return {place: watch.device.numpy(watch.value) for place, watch in self.watches.items()}

    def joined(self, name, what="value"):
        """The `value` or the `gradient` behind the layer of that name, the towers' channels side by side: (N, ..., C)."""
        watches = [watch for (_, _, other), watch in self.watches.items() if other == name]
        return np.concatenate([watch.device.numpy(getattr(watch, what)) for watch in watches], axis=-1)
