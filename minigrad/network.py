"""What all networks of stages share. A network of one's own names its variants, each a function that lists the layers of one tower, and has
everything else from here: starting weights, devices, training and test mode, and one walk over its layers and their shapes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import minigrad
from minigrad.hybrid import Hybrid
from minigrad.layers import Layer
from minigrad.layers.philox import Masks


@dataclass(frozen=True)
class Variant:
    """One network of a family, and the defaults of a training run with it.

    tower(nn, classes) -> a list of `Sequential`, one for each stage: one tower of the network. nn has the layers (`nn.Conv2d`, ...) and
    gives them their starting weights; classes: how many of the classes this tower tells apart.
    image_size: pixels of a side of the images. smallest: the smallest images that it takes as well. largest: from photographs up to this
    size the command line cuts its images, None for any. towers: how many, all alike.
    fan_ins: the fan-ins for which the standard deviations of `Init` are meant, layer by layer, where this network's are others.
    halved: a single tower with half of the kernels, to compare two towers with (the paper's section 3.2; experiment `ablations`)."""

    tower: Callable
    image_size: int
    smallest: int | None = None
    largest: int | None = None
    towers: int = 1
    fan_ins: tuple[int, ...] = ()
    halved: Callable | None = None
    # Training:
    epochs: int = 10
    batch_size: int = 64
    lr: float = 0.01
    weight_decay: float = 5e-4
    schedule: str = "linear"  # or "plateau", "steps", "constant": see optim.py
    augment: bool = False  # random crops and flips
    colour_noise: float = 0.0  # of augmented images: the paper's is 0.1


@dataclass(frozen=True)
class Init:
    """Starting weights: W from N(0, std^2), b constant, one number for each layer with weights, in their order.

    std None stands for sqrt(2 / fan-in), which keeps the size of signals through ReLUs (He et al., "Delving Deep into Rectifiers", 2015,
    section 2.2). stds None: so in all layers; biases None: all 0. scale_at: where dropout scales (see `Dropout`).
    input_scale: what pixels from 0 to 255, the mean subtracted, are multiplied by."""

    stds: tuple[float | None, ...] | None = None
    biases: tuple[float, ...] | None = None
    scale_at: str = "train"
    input_scale: float = 1.0


class Step(NamedTuple):
    """A layer on the way through a network: where it stands, and the shapes (N, ...) of its input and its output."""

    stage: int
    tower: int
    name: str
    layer: Layer
    x_shape: tuple[int, ...]
    y_shape: tuple[int, ...]


class Network(Layer):
    """A network of stages and towers (see towers.py), made from one of the `variants` of its class.

    variant: its name, by default the first. device: "cpu", "0" for a GPU, "cpu,cpu" or "0,1" for two towers side by side, "auto" for two
    GPUs, or one, or the CPU, whichever there are; or a list of `Device`s. init: one of the class's `inits`, by default the first.
    seed: of the weights and the dropout masks. layers: the module that the layers come from; `minigrad.plain` has the same ones in their
    simplest form.

    forward(images (N, H, W, 3), pixels from 0 to 255 minus their mean, times `input_scale`) -> logits (N, num_classes);
    backward(dlogits) fills every gradient. Raises ValueError for unknown names and for fewer than two classes."""

    variants: dict[str, Variant] = {}
    inits: dict[str, Init] = {"he": Init(input_scale=1 / 58)}
    num_classes = 10
    first_image = 0  # the next forward's first image has this number in its batch, which may come in parts; dropout's masks follow from it
    remarks = ""  # printed below the summary of its layers

    def __init__(self, variant=None, device="cpu", num_classes=None, init=None, seed=0, layers=minigrad):
        variant, init = variant or next(iter(self.variants)), init or next(iter(self.inits))
        for value, known, what in ((variant, self.variants, "variant"), (init, self.inits, "init")):
            if value not in known:
                raise ValueError(f"there is no {what} {value!r}, there are {', '.join(known)}")
        self.num_classes = self.num_classes if num_classes is None else num_classes
        if self.num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, not {num_classes}")
        self.variant, self.init, self.seed = variant, init, seed
        kind = self.variants[variant]
        self.image_size, self.smallest = kind.image_size, kind.smallest or kind.image_size
        self.input_scale = self.inits[init].input_scale
        builders = [Builder(layers, self.inits[init], kind.fan_ins, seed, t) for t in range(kind.towers)]
        # Each tower has its share of the classes: 1000 are 500 + 500.
        shares = [(t + 1) * self.num_classes // kind.towers - t * self.num_classes // kind.towers for t in range(kind.towers)]
        towers = [kind.tower(nn, classes) for nn, classes in zip(builders, shares, strict=True)]
        stages = [list(stage) for stage in zip(*towers, strict=True)]
        for first in (next(iter(tower.layers.values())) for tower in stages[0]):
            first.input_gradient = False
        self.masks, self._step = [mask for nn in builders for mask in nn.masks], 0
        self.towers = layers.Towers(stages, device)
        self.device = self.towers.device

    def arguments(self):
        return f"{self.variant!r}, num_classes={self.num_classes}, init={self.init!r}, seed={self.seed}"

    def children(self):
        yield "", self.towers

    def output_shape(self, shape):
        """(N, H, W, 3) -> (N, num_classes). Raises ValueError for images of another size."""
        least, most = self.smallest, self.image_size
        if len(shape) == 4 and shape[3] == 3 and least <= min(shape[1:3]) and max(shape[1:3]) <= most:
            return shape[0], self.num_classes
        sides = f"{most} x {most} pixels" if least == most else f"{least} to {most} pixels on each side"
        raise ValueError(
            f"{type(self).__name__} {self.variant}: expects images (N, H, W, 3) of {sides}, but they have shape {tuple(shape)}"
        )

    def forward(self, images):
        """images (N, H, W, 3), float32 or float64, on the host or the first device -> logits (N, num_classes) on the first device.

        Raises TypeError for other dtypes, ValueError for other shapes."""
        images = self.check(images, "images")
        self.output_shape(images.shape)
        self.place_masks()
        logits = self.towers.forward(images)
        self._step += self.training
        return logits

    def place_masks(self):
        """Tell dropout which step this is, and which of the batch's images come."""
        for mask in self.masks:
            mask.step, mask.first_image = self._step, self.first_image

    def backward(self, dlogits, done=None):
        """dlogits (N, num_classes) fills every `Parameter.grad`. Returns None: the gradient of the images is not computed.

        done(parameters), if given, is called as soon as the gradients of some are there, those of the last layers first."""
        self.towers.backward(dlogits, *(() if done is None else (done,)))  # plain.py's towers take no `done`

    def without_images(self, done=None):
        """What a rank does that has none of the batch's images, in training a step with done(parameters) as in `backward`: of what it has
        alone its gradients are 0."""
        self.place_masks()
        self._step += self.training
        self.towers.without_images(done)

    def share_columns(self, team):
        """Leave to this rank its part of the fully connected layers' columns (see hybrid.py). Raises ValueError where that cannot be."""
        self.towers = Hybrid(self.towers, team)

    def parameters(self):
        """Yields each `Parameter`, called "tower0.conv1.W" and so on; layer after layer, a layer's towers side by side."""
        return self.towers.parameters()

    def own_parameters(self):
        return []  # all belong to the towers, which lie on several devices

    def num_parameters(self):
        """How many numbers are learned, weights and biases."""
        return sum(p.value.size for p in self.parameters())

    def layers(self):
        """Yields (stage, tower, name, layer) of every layer, stage after stage and tower after tower."""
        for s, stage in enumerate(self.towers.stages):
            for t, tower in enumerate(stage):
                for name, layer in tower.layers.items():
                    yield s, t, name, layer

    def walk(self, batch_size=1):
        """Yields a `Step` for every layer, in the order of `layers()`: what comes in and what goes out for a batch of that size."""
        shape = (batch_size, self.image_size, self.image_size, 3)
        for s, stage in enumerate(self.towers.stages):
            ends = []
            for t, tower in enumerate(stage):
                x_shape = shape
                for name, layer in tower.layers.items():
                    y_shape = layer.output_shape(x_shape)
                    yield Step(s, t, name, layer, x_shape, y_shape)
                    x_shape = y_shape
                ends.append(x_shape)
            shape = (*ends[0][:-1], sum(end[-1] for end in ends))  # the towers' channels side by side

    def multiply_adds(self):
        """{layer's name: multiply-adds for one image, all towers together} of the layers that multiply."""
        sums = {}
        for step in self.walk():
            if done := step.layer.multiply_adds(step.x_shape):
                sums[step.name] = sums.get(step.name, 0) + done
        return sums

    def up_to(self, name):
        """The network as far as the layer of that name: `Towers` that share its layers. Raises ValueError if there is none."""
        stages = []
        for stage in self.towers.stages:
            names = list(stage[0].layers)
            end = names.index(name) + 1 if name in names else len(names)
            stages.append([type(tower)(**{n: tower[n] for n in names[:end]}) for tower in stage])
            if name in names:
                return type(self.towers)(stages, self.towers.devices).train(self.training)
        raise ValueError(f"there is no layer {name!r}")

    @property
    def step(self):
        """The number of training forwards so far. Dropout's masks follow from it; set it to go on where a run stopped."""
        return self._step

    @step.setter
    def step(self, step):
        self._step = step

    def to(self, device):
        """Move the towers to other devices, as in the constructor."""
        self.towers.to(device)
        self.device = self.towers.device
        return self


class Builder:
    """The layers of one tower, each with its starting weights: `Conv2d`, `Linear` and `Dropout` take what defines their shape alone.

    Layer i of tower t draws its weights from a random generator of its own, seeded [seed, t, i], so that no change of one layer changes
    another's. All layers of `module` are attributes."""

    def __init__(self, module, init, fan_ins, seed, tower):
        self.module, self.init, self.fan_ins, self.seed, self.tower = module, init, fan_ins, seed, tower
        self.made = 0  # layers with weights
        self.connected = self.units = None  # the number of the first Linear, and the outputs of the last one
        self.masks = []

    def __getattr__(self, name):
        return getattr(self.module, name)

    def weights(self, fan_in):
        """std, bias and rng of the next layer, which has so many inputs to each output."""
        i, init = self.made, self.init
        self.made += 1
        std = init.stds[i] if init.stds else None
        if std is None:
            std = (2 / fan_in) ** 0.5
        elif self.fan_ins:  # with fewer inputs each weighs more, so that the sums are as large as in the network the std is meant for
            std *= (self.fan_ins[i] / fan_in) ** 0.5
        bias = init.biases[i] if init.biases else 0.0
        return {"std": std, "bias": bias, "rng": np.random.default_rng([self.seed, self.tower, i])}

    def Conv2d(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        weights = self.weights(in_channels * kernel_size**2)
        return self.module.Conv2d(in_channels, out_channels, kernel_size, stride, padding, **weights)

    def Linear(self, in_features, out_features):
        self.connected, self.units = self.made if self.connected is None else self.connected, out_features
        return self.module.Linear(in_features, out_features, **self.weights(in_features))

    def Dropout(self, p=0.5):
        """The masks of the towers side by side are the mask of one tower: the same key, and to each tower its own units."""
        key = (self.made if self.connected is None else self.connected) + len(self.masks)
        first_unit = self.tower * (self.units or 1 << 24)
        self.masks.append(Masks(np.random.default_rng([self.seed, key, 2012]), first_unit))
        return self.module.Dropout(p, scale_at=self.init.scale_at, rng=self.masks[-1])
