"""AlexNet, the network of Krizhevsky, Sutskever and Hinton (2012), as a list of stages; and its command line.

A stage is one column of layers for each tower. Towers may live on different devices; between stages they exchange channels, and nowhere
else: exactly where the two GPUs of 2012 did (paper §3.5 and Figure 2)."""

import numpy as np

from minigrad import (
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sequential,
    Towers,
)
from minigrad.layers.base import Layer

# The windows of conv1 reach three pixels beyond the right and the bottom of a 224 x 224 image: (top, bottom, left, right). That makes 55 x 55.
OVERHANG = (0, 3, 0, 3)

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")

# Standard deviation of the weights, and the bias, of each of LAYERS; and where dropout scales.
PRESETS = {
    "2012": ((0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01), (0, 1, 0, 1, 1, 1, 1, 0), "test"),
    "paper": ((0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01), (0, 1, 0, 1, 1, 1, 1, 0), "test"),
    "caffe": ((0.01, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.01), (0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0), "train"),
    "he": ((None,) * 7 + (0.01,), (0,) * 8, "train"),  # None: sqrt(2 / fan-in)
}

# What a variant's convolutions give, all towers together, and the number of towers.
WIDTHS = {
    "paper": ((96, 256, 384, 384, 256), 2),
    "one-tower": ((96, 256, 384, 384, 256), 1),
    "owt": ((64, 192, 384, 256, 256), 1),
    "half": ((48, 128, 192, 192, 256), 1),
    "small": ((32, 64, 96, 96, 64), 2),
}


class Make:
    """Layers with the starting weights of a preset for one tower. Every layer of every tower has a random generator of its own."""

    def __init__(self, init, seed, tower):
        self.stds, self.biases, self.scale_at = PRESETS[init]
        self.seed, self.tower = seed, tower

    def weights(self, name, fan_in):
        i = LAYERS.index(name)
        std = self.stds[i] if self.stds[i] is not None else (2 / fan_in) ** 0.5
        return {"std": std, "bias": self.biases[i], "rng": np.random.default_rng([self.seed, self.tower, i])}

    def conv(self, name, inputs, outputs, kernel_size, stride=1, padding=0):
        return Conv2d(inputs, outputs, kernel_size, stride, padding, **self.weights(name, inputs * kernel_size**2))

    def linear(self, name, inputs, outputs):
        return Linear(inputs, outputs, **self.weights(name, inputs))

    def dropout(self, name, units):
        """The towers' masks side by side are the mask of one tower: the same key, and each tower its own units."""
        layer = Dropout(0.5, scale_at=self.scale_at, rng=np.random.default_rng([self.seed, LAYERS.index(name), 2012]))
        layer.first_unit = units * self.tower
        return layer


def paper_stages(widths, towers, classes, make, conv1, pixels_left, hidden):
    """Figure 2, one column of it for each tower. `make` is a list of `Make`s; `conv1` (kernel, stride, padding), the kernel of conv2 is 5.

    pixels_left: rows and columns behind pool5. hidden: units of fc6 and of fc7, all towers together."""
    c1, c2, c3, c4, c5 = (width // towers for width in widths)
    fc = hidden // towers
    sees = [range(t * classes // towers, (t + 1) * classes // towers) for t in range(towers)]  # fc8 is split by classes

    def apart(m):
        return Sequential(
            conv1=m.conv("conv1", 3, c1, *conv1),
            relu1=ReLU(),
            norm1=LocalResponseNorm(5, 1e-4, 0.75, 2.0),
            pool1=MaxPool2d(3, 2),
            conv2=m.conv("conv2", c1, c2, 5, padding=2),
            relu2=ReLU(),
            norm2=LocalResponseNorm(5, 1e-4, 0.75, 2.0),
            pool2=MaxPool2d(3, 2),
        )

    def together(m):  # conv3 sees the channels of all towers, conv4 and conv5 those of their own
        return Sequential(
            conv3=m.conv("conv3", c2 * towers, c3, 3, padding=1),
            relu3=ReLU(),
            conv4=m.conv("conv4", c3, c4, 3, padding=1),
            relu4=ReLU(),
            conv5=m.conv("conv5", c4, c5, 3, padding=1),
            relu5=ReLU(),
            pool5=MaxPool2d(3, 2),
        )

    def sixth(m):
        fc6 = m.linear("fc6", pixels_left**2 * c5 * towers, fc)
        return Sequential(flatten=Flatten(), fc6=fc6, relu6=ReLU(), drop6=m.dropout("fc6", fc))

    def seventh(m):
        return Sequential(fc7=m.linear("fc7", fc * towers, fc), relu7=ReLU(), drop7=m.dropout("fc7", fc))

    def eighth(m):
        return Sequential(fc8=m.linear("fc8", fc * towers, len(sees[m.tower])))

    return [[column(m) for m in make] for column in (apart, together, sixth, seventh, eighth)]


def owt_stages(widths, classes, make):
    """The one-tower network of 2014 as torchvision has it: no normalisation, conv1 padded by 2, dropout before fc6 and fc7."""
    c1, c2, c3, c4, c5 = widths
    m = make[0]
    convolutions = Sequential(
        conv1=m.conv("conv1", 3, c1, 11, stride=4, padding=2),
        relu1=ReLU(),
        pool1=MaxPool2d(3, 2),
        conv2=m.conv("conv2", c1, c2, 5, padding=2),
        relu2=ReLU(),
        pool2=MaxPool2d(3, 2),
        conv3=m.conv("conv3", c2, c3, 3, padding=1),
        relu3=ReLU(),
        conv4=m.conv("conv4", c3, c4, 3, padding=1),
        relu4=ReLU(),
        conv5=m.conv("conv5", c4, c5, 3, padding=1),
        relu5=ReLU(),
        pool5=MaxPool2d(3, 2),
    )
    connected = Sequential(
        flatten=Flatten(),
        drop5=m.dropout("fc6", 36 * c5),
        fc6=m.linear("fc6", 36 * c5, 4096),
        relu6=ReLU(),
        drop6=m.dropout("fc7", 4096),
        fc7=m.linear("fc7", 4096, 4096),
        relu7=ReLU(),
        fc8=m.linear("fc8", 4096, classes),
    )
    return [[convolutions], [connected]]


class AlexNet(Layer):
    """The network of 2012 and four relatives.

    variant: "paper" (two towers, 60,965,224 parameters), "one-tower", "owt" (torchvision's), "half" (the paper's one-GPU comparison),
    "small" (two towers for images of 28 to 32 pixels). device: "cpu", or "cpu,cpu" for two towers side by side.
    init: "2012" (the original program's), "paper" (its §5), "caffe", "he". seed: of the weights and the dropout masks.

    forward(images (N, 224, 224, 3) float32, mean subtracted) -> logits (N, num_classes); backward(dlogits) fills every gradient.
    Images hold pixels from 0 to 255 minus the mean; for "he", divided by 58 as well (`input_scale`). Raises ValueError for unknown names."""

    def __init__(self, variant="paper", device="cpu", num_classes=1000, init="2012", seed=0):
        for value, known, what in ((variant, WIDTHS, "variant"), (init, PRESETS, "init")):
            if value not in known:
                raise ValueError(f"there is no {what} {value!r}, there are {', '.join(known)}")
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, not {num_classes}")
        self.variant, self.num_classes, self.init, self.seed = variant, num_classes, init, seed
        widths, towers = WIDTHS[variant]
        make = [Make(init, seed, tower) for tower in range(towers)]
        if variant == "owt":
            stages = owt_stages(widths, num_classes, make)
        elif variant == "small":
            stages = paper_stages(widths, towers, num_classes, make, (5, 1, 2), pixels_left=3, hidden=512)
        else:
            stages = paper_stages(widths, towers, num_classes, make, (11, 4, OVERHANG), pixels_left=6, hidden=4096)
        for tower in stages[0]:
            tower["conv1"].input_gradient = False
        self.image_size = 32 if variant == "small" else 224
        self.input_scale = 1 / 58 if init == "he" else 1.0
        self.towers = Towers(stages, device)
        self.device = self.towers.device

    def arguments(self):
        return f"{self.variant!r}, num_classes={self.num_classes}, init={self.init!r}, seed={self.seed}"

    def output_shape(self, shape):
        size = self.image_size
        if len(shape) == 4 and shape[3] == 3:
            if self.variant == "small" and 28 <= min(shape[1:3]) and max(shape[1:3]) <= 32:
                return shape[0], self.num_classes
            if shape[1:3] == (size, size):
                return shape[0], self.num_classes
        wanted = "28 to 32 pixels square" if self.variant == "small" else f"{size} x {size} pixels"
        raise ValueError(f"AlexNet {self.variant}: expects images (N, H, W, 3) of {wanted}, but they have shape {tuple(shape)}")

    def forward(self, images):
        images = self.check(images, "images")
        self.output_shape(images.shape)
        N, H, W, C = images.shape
        if H < self.image_size or W < self.image_size:  # mean grey around them, as conv1's own padding
            framed = np.zeros((N, self.image_size, self.image_size, C), images.dtype)
            top, left = (self.image_size - H) // 2, (self.image_size - W) // 2
            framed[:, top : top + H, left : left + W] = images
            images = framed
        return self.towers.forward(images)

    def backward(self, dlogits):
        """dlogits (N, num_classes) fills every `Parameter.grad`. Returns None: nobody asks for the images' own gradient."""
        return self.towers.backward(dlogits)

    def parameters(self):
        return self.towers.parameters()

    def num_parameters(self):
        """How many numbers are learned, weights and biases."""
        return sum(p.value.size for p in self.parameters())

    def layers(self):
        """Yields (stage, tower, name, layer), stage after stage and tower after tower."""
        for s, stage in enumerate(self.towers.stages):
            for t, tower in enumerate(stage):
                for name, layer in tower.layers.items():
                    yield s, t, name, layer

    @property
    def step(self):
        """The number of training forwards so far. Dropout's masks follow from it; set it to go on where a run stopped."""
        return next(layer.step for _, _, _, layer in self.layers() if isinstance(layer, Dropout))

    @step.setter
    def step(self, step):
        for _, _, _, layer in self.layers():
            if isinstance(layer, Dropout):
                layer.step = step

    def train(self, mode=True):
        self.towers.train(mode)
        return super().train(mode)

    def to(self, device):
        self.towers.to(device)
        self.device = self.towers.device
        return self

    def astype(self, dtype):
        self.towers.astype(dtype)
        return self
