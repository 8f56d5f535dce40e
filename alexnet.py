"""AlexNet, the network of Krizhevsky, Sutskever and Hinton (2012), as a list of stages; and its command line.

A stage is one column of layers for each tower. Towers may live on different devices; between stages they exchange channels, and nowhere
else: exactly where the two GPUs of 2012 did (paper §3.5 and Figure 2)."""

import argparse
import os
import sys
import warnings
from bisect import bisect_left
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from minigrad import (
    SGD,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    Towers,
    data,
    evaluation,
    experiments,
    plots,
    training,
    weights,
)
from minigrad.device import cores
from minigrad.optim import ByEpoch, Constant, LinearDecay, Plateau

# The windows of conv1 reach three pixels beyond the right and the bottom of a 224 x 224 image, which makes 55 x 55.
# (top, bottom, left, right)
OVERHANG = (0, 3, 0, 3)

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")

# Standard deviation of the weights, and the bias, of each of LAYERS; and where dropout scales.
PRESETS = {
    "2012": ((0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01), (0, 1, 0, 1, 1, 1, 1, 0), "test"),
    "paper": ((0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01), (0, 1, 0, 1, 1, 1, 1, 0), "test"),
    "caffe": ((0.01, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.01), (0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0), "train"),
    "he": ((None,) * 7 + (0.01,), (0,) * 8, "train"),  # None: sqrt(2 / fan-in)
}

PAPER_FAN_IN = (363, 1200, 2304, 1728, 1728, 9216, 4096, 4096)

# What a variant's convolutions give, all towers together, and the number of towers.
WIDTHS = {
    "paper": ((96, 256, 384, 384, 256), 2),
    "one-tower": ((96, 256, 384, 384, 256), 1),
    "owt": ((64, 192, 384, 256, 256), 1),
    "half": ((48, 128, 192, 192, 256), 1),
    "small": ((24, 64, 96, 96, 64), 2),
}


class Make:
    """Layers with the starting weights of a preset for one tower. Every layer of every tower has a random generator of its own."""

    def __init__(self, init, seed, tower, variant):
        self.stds, self.biases, self.scale_at = PRESETS[init]
        self.seed, self.tower, self.variant = seed, tower, variant

    def weights(self, name, fan_in):
        i = LAYERS.index(name)
        std = (2 / fan_in) ** 0.5 if self.stds[i] is None else self.stds[i]
        if self.variant == "small" and self.stds[i] is not None:
            std *= (PAPER_FAN_IN[i] / fan_in) ** 0.5  # fewer inputs, each counting for more: the signal is as strong as in the paper's net
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


def paper_stages(widths, towers, classes, make, conv1, conv2, pool5, pixels_left, hidden):
    """Figure 2, one column of it for each tower. `make` is a list of `Make`s.

    conv1: (kernel, stride, padding). conv2: its kernel. pool5: its stride.

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
            conv2=m.conv("conv2", c1, c2, conv2, padding=conv2 // 2),
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
            pool5=MaxPool2d(3, pool5),
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
    "small" (two towers for images of 28 to 32 pixels). device: "cpu", "0" for a GPU; "cpu,cpu" or "0,1" for the two towers side by side;
    "auto" for two GPUs, or one, or the CPU, whichever there are; or a list of `Device`s.
    init: "2012" (the original program's), "paper" (its §5), "caffe", "he". seed: of the weights and the dropout masks.

    forward(images (N, 224, 224, 3) float32, mean subtracted) -> logits (N, num_classes); backward(dlogits) fills every gradient.
    Images hold pixels from 0 to 255 minus the mean; for "he", divided by 58 as well (`input_scale`).
    Raises ValueError for unknown names."""

    def __init__(self, variant="paper", device="cpu", num_classes=1000, init="2012", seed=0):
        for value, known, what in ((variant, WIDTHS, "variant"), (init, PRESETS, "init")):
            if value not in known:
                raise ValueError(f"there is no {what} {value!r}, there are {', '.join(known)}")
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, not {num_classes}")
        self.variant, self.num_classes, self.init, self.seed = variant, num_classes, init, seed
        widths, towers = WIDTHS[variant]
        make = [Make(init, seed, tower, variant) for tower in range(towers)]
        if variant == "owt":
            stages = owt_stages(widths, num_classes, make)
        elif variant == "small":  # 28 to 32 pixels become 13 to 15, 6 or 7, and with pool5's stride of 3 always 2
            stages = paper_stages(widths, towers, num_classes, make, (3, 1, 1), 3, pool5=3, pixels_left=2, hidden=512)
        else:
            stages = paper_stages(widths, towers, num_classes, make, (11, 4, OVERHANG), 5, pool5=2, pixels_left=6, hidden=4096)
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
        wanted = "28 to 32 pixels on each side" if self.variant == "small" else f"{size} x {size} pixels"
        raise ValueError(f"AlexNet {self.variant}: expects images (N, H, W, 3) of {wanted}, but they have shape {tuple(shape)}")

    def forward(self, images):
        images = self.check(images, "images")
        self.output_shape(images.shape)
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


def up_to(net, name):
    """The network `net` as far as the layer `name`: `Towers` that share its layers."""
    stages = []
    for stage in net.towers.stages:
        ends = [list(tower.layers).index(name) + 1 if name in tower.layers else None for tower in stage]
        stages.append([Sequential(**dict(list(tower.layers.items())[:end])) for tower, end in zip(stage, ends, strict=True)])
        if ends[0] is not None:
            return Towers(stages, net.towers.devices).train(net.training)
    raise ValueError(f"there is no layer {name!r}")


# ---- what the network is made of


def describe(net):
    """A list of dicts, one for each layer, towers together: stage, name, layer (the first tower's), shape (H, W, C) or (units,) of one
    tower, towers, parameters, macs (multiply-adds for an image), memory (bytes of the outputs for an image)."""
    rows, macs = [], macs_by_layer(net)
    shape = (1, net.image_size, net.image_size, 3)
    for s, stage in enumerate(net.towers.stages):
        inputs, T = shape, len(stage)
        for name in stage[0].layers:
            outputs = [tower[name].output_shape(inputs) for tower in stage]
            rows.append(
                {
                    "stage": s,
                    "name": name,
                    "layer": stage[0][name],
                    "shape": outputs[0][1:],
                    "towers": T,
                    "parameters": sum(p.value.size for tower in stage for p in tower[name].parameters()),
                    "macs": macs.get(name, 0),
                    "memory": sum(4 * int(np.prod(output[1:])) for output in outputs),
                }
            )
            inputs = outputs[0]
        shape = (*inputs[:-1], sum(output[-1] for output in outputs))
    return rows


def macs_by_layer(net):
    """Multiply-adds for one image of every layer that has weights, towers together."""
    macs = {}
    shape = (1, net.image_size, net.image_size, 3)
    for stage in net.towers.stages:
        inputs, width = shape, 0
        for tower in stage:
            shape = inputs
            for name, layer in tower.layers.items():
                shape = layer.output_shape(shape)
                if isinstance(layer, (Conv2d, Linear)):
                    places = int(np.prod(shape[1:-1]))
                    macs[name] = macs.get(name, 0) + places * layer.W.size
            width += shape[-1]
        shape = (*shape[:-1], width)
    return macs


def gpu_memory(net, batch_size, training=True):
    """About how many bytes a step takes on each of the network's GPUs, {number of the GPU: bytes}.

    Counted are the parameters with their gradients and velocities; what the layers keep of a batch for backward; at the worst layer its
    two gradients and, of a convolution, the patches; and the images of three batches, one in use and two on their way."""
    needs, worst = {}, {}
    shape = (batch_size, net.image_size, net.image_size, 3)

    def size(shape):
        return 4 * int(np.prod(shape, dtype=np.int64))

    for device in net.towers.devices:
        needs[device], worst[device] = size(shape) * (3 if device is net.device else 1), 0
    for s, stage in enumerate(net.towers.stages):
        inputs, width, seen = shape, 0, set()
        for t, tower in enumerate(stage):
            device, shape, kept = net.towers.device_of(t), inputs, {}
            for i, layer in enumerate(tower.layers.values()):
                x, shape = shape, layer.output_shape(shape)
                patches = 0
                if isinstance(layer, (Conv2d, Linear, LocalResponseNorm)):
                    kept[i] = size(x)
                elif isinstance(layer, ReLU):
                    kept[i + 1] = size(shape)
                elif isinstance(layer, MaxPool2d):
                    needs[device] += size(shape) // 4
                if isinstance(layer, Conv2d) and device.is_gpu:
                    patches = min(device.workspace, size((batch_size, *shape[1:3], layer.columns)))
                needs[device] += sum(size(p.value.shape) for p in layer.parameters()) * (3 if training else 1)
                worst[device] = max(worst[device], size(x) + size(shape) + patches)
            width += shape[-1]
            if s == 0 or device in seen:
                kept.pop(0, None)  # the images; or what another tower on this device keeps as well
            needs[device] += sum(kept.values())
            seen.add(device)
        shape = (*shape[:-1], width)
    gpus = [device for device in needs if device.is_gpu]
    return {gpu.index: sum(needs[d] + worst[d] for d in gpus if d.index == gpu.index) for gpu in gpus}


@contextmanager
def enough_memory(net, batch_size, training=True):
    """Turns a MemoryError of a GPU into a UsageError that says how much the batch needs, and which batch would fit."""
    try:
        yield
    except MemoryError:
        gpus = {device.index: device for device in net.towers.devices if device.is_gpu}
        if not gpus:
            raise

        def fits(batch_size):
            return all(1.1 * need <= gpus[index].memory for index, need in gpu_memory(net, batch_size, training).items())

        needs = ", ".join(
            f"{need / 1e9:.2f} GB on GPU {index}, which has {gpus[index].memory / 1e9:.2f} GB to give"
            for index, need in gpu_memory(net, batch_size, training).items()
        )
        largest = bisect_left(range(1, batch_size), True, key=lambda n: not fits(n))
        if fits(batch_size):  # by the numbers, but not in the pieces that the memory has come to
            largest = batch_size // 2
        advice = f"--batch-size {largest} should fit" if largest else "not even --batch-size 1 fits"
        raise UsageError(f"A batch of {batch_size} images needs about {needs}: {advice}.") from None


CIRCULATING = """\
Other totals in circulation:
  60,965,224  "60 million": the towers stay apart in conv2, conv4 and conv5 (Caffe's group: 2 counts the same); variant paper
  61,100,840  "61.1 M": torchvision's network, the widths of 2014; variant owt
  62,378,344  one tower throughout, no groups; variant one-tower
  62,367,776  the same, weights without biases ("62.37 M")
  62,369,155  a common slip: 62,367,776 + 1,376 biases of the convolutions + 3, one for each fully connected layer instead of 9,192
  650,000     neurons: 659,272 convolutional and fully connected outputs; Figure 2's own list begins with 253,440, a slip for 290,400"""


def summary(net, out=None):
    """Print shapes, parameters, multiply-adds and memory of each layer, and what the towers exchange."""
    rows, stage = describe(net), 0
    towers = max(row["towers"] for row in rows)
    print(f"{net.variant}: {towers} tower{'s' * (towers > 1)}, images {net.image_size} x {net.image_size} x 3", file=out)
    print(f"{'layer':8s} {'output, one tower':>18s} {'parameters':>12s} {'MACs/image':>14s} {'kB/image':>9s}", file=out)
    for i, row in enumerate(rows):
        if row["stage"] > stage:
            stage, before = row["stage"], rows[i - 1]
            if before["towers"] > 1:
                print(f"  exchange: each tower sends {before['memory'] // before['towers']:,} bytes/image", file=out)
        shape = " x ".join(map(str, row["shape"]))
        numbers = [f"{row[key]:,}" if row[key] else "" for key in ("parameters", "macs")]
        print(f"{row['name']:8s} {shape:>18s} {numbers[0]:>12s} {numbers[1]:>14s} {row['memory'] / 1e3:9,.1f}", file=out)
    parameters, macs, memory = (sum(row[key] for row in rows) for key in ("parameters", "macs", "memory"))
    biases = sum(p.value.size for p in net.parameters() if p.name.endswith(".b"))
    print(f"{'total':8s} {'':>18s} {parameters:12,} {macs:14,} {memory / 1e3:9,.1f}", file=out)
    neurons = sum(row["memory"] // 4 for row in rows if isinstance(row["layer"], (Conv2d, Linear)))
    together = "; the numbers of a layer are those of all towers together" * (towers > 1)
    print(f"{parameters - biases:,} weights and {biases:,} biases; {neurons:,} neurons{together}", file=out)
    if towers > 1:
        sends = sum(row["memory"] // row["towers"] for row, after in zip(rows, rows[1:], strict=False) if after["stage"] > row["stage"])
        print(
            f"exchanged: {sends:,} bytes/image from each tower forward, as much backward, and {rows[-1]['memory'] // 2:,} of logits",
            file=out,
        )
    places = ", ".join(f"{device.name} ({device.arithmetic})" for device in net.towers.devices)
    print(f"devices: {places}", file=out)
    print("Memory is that of the float32 outputs; a training step keeps most of them and as many gradients for a moment.", file=out)
    print(CIRCULATING, file=out)


# ---- the command line

DEFAULTS = {  # of a training run, by variant
    "small": {"epochs": 12, "batch_size": 64, "lr": 0.015, "weight_decay": 1e-3, "schedule": "linear", "init": "2012", "augment": False},
    "paper": {"epochs": 90, "batch_size": 128, "lr": 0.01, "schedule": "plateau", "init": "2012", "augment": True},
}
KEPT = (
    "variant",
    "init",
    "seed",
    "data",
    "synthetic",
    "batch_size",
    "lr",
    "momentum",
    "weight_decay",
    "schedule",
    "augment",
    "colour_noise",
)


class UsageError(Exception):
    """Something the user can put right, in one sentence."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise UsageError(f"{message[:1].upper()}{message[1:]}; `{self.prog} --help` shows what there is.")


def at_least(low, kind, what):
    """An argparse type: a finite number of at least `low`."""

    def number(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return value

    return number


WHOLE = at_least(1, int, "a whole number of at least 1")
NATURAL = at_least(0, int, "a whole number of at least 0")
RATE = at_least(0.0, float, "a number of at least 0")


def command_line():
    parser = Parser(prog="alexnet.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = parser.add_subparsers(dest="word", metavar="WORD", parser_class=Parser)

    def word(name, help):
        return words.add_parser(name, help=help, description=help)

    def place(p):
        p.add_argument(
            "--device",
            metavar="D",
            help="cpu, 0 (a GPU), auto (two GPUs, or one, or the CPU); cpu,cpu or 0,1 for the two towers side by side "
            "(default: cpu; of a run that goes on, its own)",
        )
        p.add_argument("--fp32", action="store_true", help="on GPUs multiply in float32 throughout, not in TF32")

    variant = "small; paper for a folder of images of 224 pixels or more"

    def network(p, default=None):
        p.add_argument("--variant", choices=list(WIDTHS), default=default, help=f"which network (default: {default or variant})")
        place(p)
        p.add_argument("--seed", type=NATURAL, default=None, help="of weights, order, augmentation and dropout (default: 0)")
        p.add_argument("--init", choices=list(PRESETS), default=None, help="starting weights (default: 2012)")

    def threads(p):
        default = max(1, min(8, cores() // 2))
        p.add_argument("--workers", type=WHOLE, default=default, help=f"threads that prepare batches (default: {default} on this machine)")

    data_help = (
        "fashion-mnist (embedded, the default), fashion-mnist:DIR, cifar10:DIR, a folder made by prepare, "
        "or one with train/<class>/* and val/<class>/*"
    )

    p = word("train", "train a network (the default word)")
    network(p)
    p.add_argument("--data", metavar="DATA", help=data_help)
    p.add_argument("--synthetic", action="store_true", default=None, help="random images made up on the spot instead of --data")
    p.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be decoded")
    p.add_argument(
        "--epochs", type=WHOLE, help="how many passes over the images, those before --resume included (default: 12 for small, else 90)"
    )
    p.add_argument("--batch-size", type=WHOLE, help="images in a step (default: 64 for small, else 128)")
    p.add_argument("--lr", type=RATE, help="learning rate (default: 0.01; small: 0.015)")
    p.add_argument("--momentum", type=RATE, help="(default: 0.9)")
    p.add_argument("--weight-decay", type=RATE, help="(default: 0.001 for small, else 0.0005)")
    p.add_argument(
        "--schedule",
        choices=["plateau", "steps", "linear", "constant"],
        help="lr divided by 10 when the validation error stalls, three times (plateau, the paper's; default but for small), or "
        "after 3/4 and 11/12 of the epochs (steps); falling by the same amount after each epoch (linear; default for small)",
    )
    p.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="random crops and flips, which pay off in long runs (default: not for small)",
    )
    p.add_argument(
        "--colour-noise",
        type=RATE,
        metavar="S",
        help="the colours of each image vary as those of all pixels do, times S (default: 0.1, the paper's, for 224-pixel images that "
        "are augmented, else 0)",
    )
    threads(p)
    p.add_argument("--resume", metavar="RUN", help="go on with a checkpoint or its run folder")
    p.add_argument(
        "--checkpoint",
        metavar="RUN",
        help="start from its weights, a tenth of the usual --lr; with other classes the last layer is new (fine-tuning)",
    )
    p.add_argument("--output", metavar="DIR", help="run folder (default: a new one in runs/)")

    p = word("evaluate", "loss, top-1 and top-5 error of checkpoints; several are an ensemble, whose probabilities are averaged")
    p.add_argument("--checkpoint", nargs="+", required=True, metavar="RUN", help="checkpoints or run folders")
    p.add_argument("--data", metavar="DATA", help="(default: the data of the checkpoint)")
    p.add_argument("--crops", type=int, choices=[1, 10], default=1, help="the centre, or the paper's ten crops (default: 1)")
    p.add_argument("--output", metavar="DIR", help="folder for probabilities.npy, confusion.csv and classes.csv")
    place(p)
    p.add_argument("--batch-size", type=WHOLE, default=128, help="crops at a time (default: 128)")
    threads(p)
    p.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be decoded")

    p = word("predict", "the most probable classes of image files")
    p.add_argument("--checkpoint", required=True, metavar="RUN", help="a checkpoint or its run folder")
    p.add_argument("images", nargs="+", metavar="IMAGE")
    place(p)
    p.add_argument("--top", type=WHOLE, default=5, help="how many classes to show (default: 5)")

    p = word("prepare", "bring all images to one size once: the central square of each, in files that are read without decoding")
    p.add_argument("--data", required=True, metavar="SRC", help="class folders, or ILSVRC's tar files and its devkit or label file")
    p.add_argument("--out", required=True, metavar="DIR", help="the prepared set; what lies there half done is completed, else checked")
    p.add_argument("--size", type=WHOLE, default=256, help="pixels of the squares (default: 256)")
    p.add_argument("--labels", metavar="FILE", help="what flat validation images show (default: found in SRC)")
    p.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be decoded")
    p.add_argument("--workers", type=WHOLE, help="processes (default: one for each core)")

    p = word(
        "figures", "the paper's figures of a trained network: filters, predictions, nearest neighbours; curves, activations, confusions"
    )
    p.add_argument("--checkpoint", required=True, metavar="RUN", help="a checkpoint or its run folder")
    p.add_argument("--data", metavar="DATA", help="(default: the data of the checkpoint)")
    p.add_argument("--output", metavar="DIR", help="(default: figures in the run folder)")
    p.add_argument("--image", metavar="FILE", help="whose activations are drawn (default: one of the validation images)")
    p.add_argument("--sample", type=WHOLE, default=5000, metavar="N", help="images of each kind to look at, at most (default: 5000)")
    place(p)
    threads(p)
    p.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be decoded")

    p = word("experiment", "what the paper claims of its parts, measured again on small images")
    p.add_argument("which", choices=["relu-vs-tanh", "ablations"], help="Figure 1, or the network without each of its parts in turn")
    p.add_argument("--data", metavar="DATA", default="fashion-mnist", help=data_help)
    p.add_argument("--images", type=WHOLE, metavar="N", help="training images, evenly taken (default: all)")
    p.add_argument("--level", type=WHOLE, default=25, metavar="PERCENT", help="the training error to be reached (default: 25)")
    p.add_argument("--epochs", type=WHOLE, help="relu-vs-tanh: give up after so many (default: 60); ablations: train so many (default: 8)")
    p.add_argument("--seeds", type=WHOLE, default=3, help="how many (default: 3)")
    p.add_argument("--output", metavar="DIR", help="folder for the table, the numbers and the figure (default: in runs/)")
    threads(p)
    p.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be decoded")

    p = word("export", "write a trained network for ONNX runtimes or for PyTorch, its preprocessing included")
    p.add_argument("--checkpoint", required=True, metavar="RUN", help="a checkpoint or its run folder")
    p.add_argument(
        "--to", required=True, choices=["onnx", "torch"], help="onnx: an .onnx file; torch: a .pt2 program for torch.export.load"
    )
    p.add_argument("--out", required=True, metavar="FILE")

    p = word("summary", "shapes, parameters, multiply-adds, memory, and what towers exchange")
    network(p, "paper")
    p.add_argument("--classes", type=at_least(2, int, "a whole number of at least 2"), default=1000)

    p = word("benchmark", "one training step, layer by layer")
    network(p, "paper")
    p.add_argument("--batch-size", type=WHOLE, default=64)
    p.add_argument("--steps", type=WHOLE, help="timed steps, after a warm-up (default: 7, on GPUs 20)")
    p.add_argument("--classes", type=at_least(2, int, "a whole number of at least 2"), default=1000)
    p.add_argument("--against", choices=["torch"], help="the same network in PyTorch, steps in turn")
    return parser


def make_network(options, num_classes):
    """The network that the options ask for. Raises UsageError for what does not exist."""
    if options.get("fp32"):
        os.environ["CUPY_TF32"] = "0"  # CuPy's own switch, which it reads at its first product
    try:
        net = AlexNet(
            options.get("variant") or "small",
            options.get("device") or "cpu",
            num_classes,
            options.get("init") or "2012",
            options.get("seed") or 0,
        )
        weights.adapt(net, options.get("adapted", {}))
        return net
    except ValueError as error:
        raise UsageError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None


def load_data(config, skip_bad=False):
    if "data" not in config:
        raise UsageError("The checkpoint comes from elsewhere and names no data: add --data.")
    small = config["variant"] == "small"
    if config.get("synthetic"):
        return data.synthetic(32 if small else 256, 10, 4096 if small else 512, config["seed"])
    return data.load(config["data"], size=32 if small else 224, skip_bad=skip_bad)


def image_size(config, dataset):
    """What the network is fed: 224 pixels, or for `small` the images as they are."""
    there = min(dataset.train_images[0].shape[:2])
    least, most = (28, 40) if config["variant"] == "small" else (224, float("inf"))
    if not least <= there <= most:
        wanted = f"{least} to {most}" if config["variant"] == "small" else f"at least {least}"
        raise UsageError(f"The images of {dataset.name} have {there} pixels; --variant {config['variant']} needs {wanted}.")
    return min(32, there) if config["variant"] == "small" else config.get("adapted", {}).get("image_size", 224)


def noise(config, dataset):
    """The colour noise of a run, a matrix (3, 3), or None. The components it is made of are kept in `config`."""
    if not config.get("colour_noise"):
        return None
    if "colours" not in config:
        std, directions = data.colours(dataset.train_images) if dataset.colours is None else dataset.colours
        config["colours"] = {"std": std.tolist(), "directions": directions.tolist()}
    return data.noise_matrix([np.array(config["colours"][key]) for key in ("std", "directions")], config["colour_noise"])


def resumed_config(arguments, checkpoint):
    """What a run that goes on was made with."""
    config = dict(known_config(arguments.resume, checkpoint))
    for key in KEPT:
        value = getattr(arguments, key)
        if key == "data" and value is not None and data.absolute(value) == data.absolute(config.get("data", "")):
            continue
        if value is not None and value != config.get(key):
            flag = "--" + key.replace("_", "-")
            raise UsageError(f"The run was made with {flag} {config.get(key)}, so it cannot go on with {value}; leave {flag} out.")
    config["epochs"] = arguments.epochs or config["epochs"]
    config["device"] = arguments.device or config["device"]
    for key in ("fp32", "skip_bad"):
        config[key] = getattr(arguments, key) or config.get(key, False)
    return config


def new_config(arguments, start=None):
    """What a new run is made with: what was asked for, what the checkpoint it starts from fixes, and the variant's defaults."""
    config = {key: getattr(arguments, key) for key in KEPT if getattr(arguments, key) is not None}
    if start is not None:
        for key in ("variant", "init"):
            there = start.metadata["config"][key]
            if config.setdefault(key, there) != there:
                raise UsageError(f"{arguments.checkpoint} has the {key} {there}, so training cannot start there with {config[key]}.")
        if start.metadata["config"].get("adapted"):
            config["adapted"] = start.metadata["config"]["adapted"]
    photographs = "data" in config and not config.get("synthetic") and (data.side(config["data"]) or 0) >= 224
    config.setdefault("variant", "paper" if photographs else "small")
    defaults = dict(DEFAULTS.get(config["variant"], DEFAULTS["paper"]))
    if start is not None:
        defaults["lr"] /= 10  # as in the last stage of the paper's pre-trained networks
    more = {"seed": 0, "data": "fashion-mnist", "synthetic": False, "momentum": 0.9, "weight_decay": 5e-4}
    config = {**more, **defaults, **config}
    config["data"] = data.absolute(config["data"])
    config.setdefault("colour_noise", 0.1 if config["augment"] and config["variant"] != "small" else 0.0)
    config["epochs"] = arguments.epochs or defaults["epochs"]
    config["device"], config["fp32"], config["skip_bad"] = arguments.device or "cpu", arguments.fp32, arguments.skip_bad
    return config


def start_from(start, net, same_classes):
    """Give `net` the weights of a checkpoint; fc8 keeps its own unless the classes are the same (paper, Table 2's asterisk)."""
    values = start.values
    if not same_classes:
        values = {name: value for name, value in values.items() if ".fc8." not in name}
        values |= {p.name: training.to_host(p.value) for p in net.parameters() if ".fc8." in p.name}
    training.restore(replace(start, values=values), net)


def train_command(arguments):
    checkpoint, start, output = None, None, None
    if arguments.resume:
        if arguments.checkpoint:
            raise UsageError("--resume goes on with a run, --checkpoint starts a new one from its weights: give one of them.")
        checkpoint = training.load_checkpoint(arguments.resume)
        config = resumed_config(arguments, checkpoint)
        folder = Path(arguments.resume)
        folder = folder if folder.is_dir() else folder.parent
        other = arguments.output and Path(arguments.output).resolve() != folder.resolve()
        output = new_folder(arguments.output, "") if other else folder
    else:
        start = weights.load(arguments.checkpoint) if arguments.checkpoint else None
        if start is not None:
            known_config(arguments.checkpoint, start)
        config = new_config(arguments, start)
    if config["momentum"] >= 1:
        raise UsageError(f"--momentum must be below 1, not {config['momentum']}.")

    make_network(config, config.get("num_classes", 2))  # what cannot be made is said before any data is read
    dataset = load_data(config, config["skip_bad"])
    if checkpoint is not None:
        same_classes(checkpoint, dataset)
    size = image_size(config, dataset)
    if output is None:
        output = new_folder(arguments.output, f"{config['variant']}-{dataset.name}")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The run folder {output} cannot be made: {error.strerror}; name another --output.") from None
    config["classes"], config["num_classes"] = list(dataset.classes), len(dataset.classes)
    net = make_network(config, len(dataset.classes))
    if start is not None:
        known = start.metadata["config"]
        start_from(start, net, known["num_classes"] == config["num_classes"] and known["classes"] in ([], config["classes"]))
    if checkpoint is not None:
        mean = checkpoint.mean
    elif start is not None and min(start.mean.shape[:2]) >= size:
        mean = start.mean  # what its weights expect
    else:
        mean = data.mean_image(dataset.train_images) if dataset.mean is None else dataset.mean
    config["device"] = ",".join(device.name for device in net.towers.devices)
    config["arithmetic"] = "; ".join(dict.fromkeys(device.arithmetic for device in net.towers.devices))
    common = {"mean": mean, "size": size, "seed": config["seed"], "workers": arguments.workers, "scale": net.input_scale}
    common["device"] = net.device
    train_loader = data.Loader(
        dataset.train_images,
        dataset.train_labels,
        config["batch_size"],
        shuffle=True,
        augment=config["augment"],
        noise=noise(config, dataset),
        **common,
    )
    val_loader = data.Loader(dataset.val_images, dataset.val_labels, config["batch_size"], **common)
    optimizer = SGD(net.parameters(), config["lr"], config["momentum"], config["weight_decay"])
    print(
        f"{config['variant']} on {dataset.name}: {len(dataset.train_labels):,} images to train, {len(dataset.val_labels):,} to validate, "
        f"{len(dataset.classes)} classes; {net.num_parameters():,} parameters on {config['device']}; "
        f"at most {train_loader.memory / 1e6:,.0f} MB of batches ahead; into {output}",
        file=sys.stderr,
    )
    try:
        with enough_memory(net, config["batch_size"]):
            training.train(
                net,
                SoftmaxCrossEntropy().to(net.device),
                optimizer,
                schedule(config),
                train_loader,
                val_loader,
                epochs=config["epochs"],
                output=output,
                config=config,
                checkpoint=checkpoint,
                mean=mean,
            )
    except training.Interrupted as stop:
        print(f"{stop}\nTo go on: python alexnet.py --resume {output}", file=sys.stderr)
        return 130
    except data.DataError as error:  # an image that only decoding shows to be broken
        raise UsageError(f"{error} The run was saved; when the file is mended, go on: python alexnet.py --resume {output}") from None
    print(f"The run is in {output}: curves.png, filters.png, history.csv, checkpoint.safetensors", file=sys.stderr)
    return 0


def schedule(config):
    """The learning-rate rule a run asks for."""
    if config["schedule"] == "plateau":
        return Plateau(config["lr"])
    if config["schedule"] == "steps":
        epochs = config["epochs"]
        return ByEpoch(config["lr"], [max(1, epochs * 3 // 4), max(1, epochs * 11 // 12)])
    if config["schedule"] == "linear":
        return LinearDecay(config["lr"], config["epochs"])
    return Constant(config["lr"])


def known_config(path, checkpoint):
    """The config of a checkpoint. Raises UsageError if it does not say which network it is of."""
    config = checkpoint.metadata.get("config")
    missing = [key for key in ("variant", "init", "seed", "num_classes", "classes") if not isinstance(config, dict) or key not in config]
    if missing:
        raise UsageError(f"{path} is no checkpoint of a network of ours: its config does not say {', '.join(missing)}.")
    return config


def new_folder(asked, name):
    """The folder of a new run. Raises UsageError if the one asked for holds a run already: none is ever overwritten."""
    if asked:
        if any((Path(asked) / name).exists() for name in (training.CHECKPOINT, "history.csv", "config.json")):
            raise UsageError(f"{asked} holds a run already: go on with it by --resume {asked}, or name another --output.")
        return Path(asked)
    folder, n = Path("runs") / name, 1
    while folder.exists():
        n += 1
        folder = Path("runs") / f"{name}-{n}"
    return folder


def load_network(path, device=None, fp32=False):
    """The network of a checkpoint, in test mode, and the checkpoint."""
    checkpoint = weights.load(path)
    config = known_config(path, checkpoint)
    net = make_network({**config, "device": device, "fp32": fp32}, config["num_classes"])
    training.restore(checkpoint, net)
    return net.eval(), checkpoint


def same_classes(checkpoint, dataset):
    """Raises UsageError unless the network tells apart what the data set holds."""
    config = checkpoint.metadata["config"]
    count, classes = config["num_classes"], config["classes"] or dataset.classes  # weights from elsewhere have no names
    if count != len(dataset.classes) or list(dataset.classes) != list(classes):
        raise UsageError(
            f"The checkpoint knows {count} classes ({classes[0]}, ...), but {dataset.name} has {len(dataset.classes)} "
            f"({dataset.classes[0]}, ...)."
        )


def evaluate_command(arguments):
    loaded = [load_network(path, arguments.device, arguments.fp32) for path in arguments.checkpoint]
    config = loaded[0][1].metadata["config"]
    if arguments.data:
        config = {**config, "data": arguments.data, "synthetic": False}
    dataset = load_data(config, arguments.skip_bad or (not arguments.data and config.get("skip_bad", False)))
    for _, checkpoint in loaded:
        same_classes(checkpoint, dataset)
    labels, total = dataset.val_labels, 0
    for path, (net, checkpoint) in zip(arguments.checkpoint, loaded, strict=True):
        loader = data.Loader(
            dataset.val_images,
            labels,
            max(1, arguments.batch_size // arguments.crops),
            mean=checkpoint.mean,
            size=image_size(checkpoint.metadata["config"], dataset),
            scale=net.input_scale,
            workers=arguments.workers,
            crops=arguments.crops,
            device=net.device,
        )
        with enough_memory(net, arguments.batch_size, training=False):
            total = total + evaluation.probabilities(net, loader, f"evaluating {path}")
    p = total / np.float32(len(loaded))
    value, top1, top5 = evaluation.errors(p, labels)
    ensemble = f"mean of {len(loaded)} networks, " * (len(loaded) > 1)
    how = f"{ensemble}{arguments.crops} crop{'s' * (arguments.crops > 1)}"
    print(f"{dataset.name}, {len(labels):,} images: loss {value:.4f}, top-1 error {top1:.2%}, top-5 error {top5:.2%} ({how})")
    for label, count, wrong, _ in evaluation.class_errors(p, labels)[:3]:
        print(f"  hardest: {dataset.classes[label]}, top-1 error {wrong:.1%} of {count:,} images")
    if len(dataset.classes) == 1000:
        print(evaluation.beside_the_paper(dataset.name, len(loaded), arguments.crops, top1, top5))
    if arguments.output:
        try:
            evaluation.write(Path(arguments.output), p, labels, dataset.classes)
            print(f"Probabilities, confusions and the errors by class are in {arguments.output}")
        except OSError as error:
            raise UsageError(f"{arguments.output} cannot be written: {error.strerror}; name another --output.") from None
    return 0


def predict_command(arguments):
    net, checkpoint = load_network(arguments.checkpoint, arguments.device, arguments.fp32)
    mean, classes = checkpoint.mean, checkpoint.metadata["config"]["classes"] or [f"class {i}" for i in range(net.num_classes)]
    images = [data.fit(data.read_image(path), *mean.shape[:2]) for path in arguments.images]
    size = min(net.image_size, *mean.shape[:2])
    loader = data.Loader(images, np.zeros(len(images), int), 16, mean=mean, size=size, scale=net.input_scale, device=net.device)
    for path, p in zip(arguments.images, evaluation.probabilities(net, loader), strict=True):
        print(path)
        for i in np.argsort(-p, kind="stable")[: arguments.top]:
            print(f"  {p[i]:6.1%}  {classes[i]}")
    return 0


def figures_command(arguments):
    net, checkpoint = load_network(arguments.checkpoint, arguments.device, arguments.fp32)
    config = dict(checkpoint.metadata["config"])
    if arguments.data:
        config |= {"data": arguments.data, "synthetic": False}
    dataset = load_data(config, arguments.skip_bad or (not arguments.data and config.get("skip_bad", False)))
    same_classes(checkpoint, dataset)
    size, classes = image_size(config, dataset), dataset.classes

    def loader(images, labels):
        more = {"scale": net.input_scale, "workers": arguments.workers, "device": net.device}
        return data.Loader(images, labels, 64, mean=checkpoint.mean, size=size, **more)

    def sample(images, labels):
        numbers = np.linspace(0, len(labels) - 1, min(arguments.sample, len(labels))).round().astype(int)
        return data.Some(images, numbers), labels[numbers]

    shown, labels = sample(dataset.val_images, dataset.val_labels)
    known, known_labels = sample(dataset.train_images, dataset.train_labels)
    p = evaluation.probabilities(net, loader(shown, labels))
    chosen = evaluation.one_of_each(labels, 13)
    left, right = chosen[:8], chosen[-5:]
    fc7 = up_to(net, "relu7")
    queries = evaluation.outputs(fc7, loader(data.Some(shown, right), labels[right]))
    nearest = evaluation.nearest(queries, evaluation.outputs(fc7, loader(known, known_labels), "features of training images"))
    titles = [[classes[labels[i]], *(classes[known_labels[k]] for k in found)] for i, found in zip(right, nearest, strict=True)]
    image = shown[left[0]]
    if arguments.image is not None:
        image = data.fit(data.read_image(arguments.image), *checkpoint.mean.shape[:2])
    x, _ = next(loader([image], np.zeros(1, int)).batches(0))

    place = Path(arguments.checkpoint)
    folder = Path(arguments.output or (place if place.is_dir() else place.parent) / "figures")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if checkpoint.metadata.get("history"):
            plots.curves(checkpoint.metadata["history"], folder / "curves")
        plots.filters(training.first_kernels(net, checkpoint.mean), folder / "filters")
        plots.predictions([shown[i] for i in left], labels[left], p[left], classes, folder / "predictions")
        plots.neighbours([shown[i] for i in right], [[known[k] for k in found] for found in nearest], folder / "neighbours", titles)
        plots.activations(image, activations(net, x), folder / "activations")
        plots.confusion(evaluation.confusion(p, labels), classes, folder / "confusion")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}; name another --output.") from None
    print(f"The figures are in {folder}, as PNG and SVG: {', '.join(sorted(path.stem for path in folder.glob('*.svg')))}")
    return 0


def changed(num_classes, change, seed):
    """The network `small` with one of the paper's parts switched off; see experiments.CLAIMS."""
    net = AlexNet("small", num_classes=num_classes, init="he", seed=seed)
    if change == "one tower":  # half of the kernels, but conv5 and the connected layers as wide as the two towers' together (§3.2)
        (c1, c2, c3, c4, c5), _ = WIDTHS["small"]
        widths, make = (c1 // 2, c2 // 2, c3 // 2, c4 // 2, c5), [Make("he", seed, 0, "small")]
        net.towers = Towers(paper_stages(widths, 1, num_classes, make, (3, 1, 1), 3, pool5=3, pixels_left=2, hidden=512))
        net.towers.stages[0][0]["conv1"].input_gradient = False
    for tower in (tower for stage in net.towers.stages for tower in stage):
        for name, layer in list(tower.layers.items()):
            if change == "no LRN" and isinstance(layer, LocalResponseNorm):
                del tower.layers[name]
            elif change == "pooling 2/2" and name in ("pool1", "pool2"):
                tower.layers[name] = MaxPool2d(2, 2)
            elif change == "no dropout" and isinstance(layer, Dropout):
                layer.p = 0.0
    return net


def experiment_command(arguments):
    a = arguments
    if a.level >= 100:
        raise UsageError(f"--level must be below 100 percent, not {a.level}.")
    dataset = load_data({"variant": "small", "data": a.data, "synthetic": False, "seed": 0}, a.skip_bad)
    image_size({"variant": "small"}, dataset)
    if a.images is not None and a.images < len(dataset.train_labels):
        numbers = np.linspace(0, len(dataset.train_labels) - 1, a.images).round().astype(int)
        images = dataset.train_images
        images = images[numbers] if isinstance(images, np.ndarray) else data.Some(images, numbers)
        dataset = replace(dataset, train_images=images, train_labels=dataset.train_labels[numbers])
    folder = Path(a.output or f"runs/{a.which}-{dataset.name}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if a.which == "relu-vs-tanh":
            results = experiments.relu_vs_tanh(dataset, level=a.level / 100, seeds=a.seeds, limit=a.epochs or 60, workers=a.workers)
            text = experiments.relu_vs_tanh_text(results, a.level / 100)
            plots.race(results, a.level / 100, folder / a.which)
        else:
            make = partial(changed, len(dataset.classes))
            results = experiments.ablations(make, dataset, epochs=a.epochs or 8, seeds=a.seeds, workers=a.workers)
            text = experiments.ablations_text(results)
            plots.ablations(results, folder / a.which)
        text = f"{dataset.name}, {len(dataset.train_labels):,} training images\n{text}"
        (folder / f"{a.which}.json").write_text(experiments.as_json(results) + "\n")
        (folder / f"{a.which}.txt").write_text(text + "\n")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}; name another --output.") from None
    print(text)
    return 0


def activations(net, x):
    """What the convolutional layers make of one image x (1, H, W, 3), after their ReLU: {"conv1": [(H, W, C) of each tower], ...}."""
    maps = {}
    for name in LAYERS[:5]:
        part = up_to(net, name.replace("conv", "relu"))
        maps[name] = np.split(net.device.numpy(part.forward(x))[0], len(part.stages[-1]), axis=-1)
    return maps


def prepare_command(arguments):
    a = arguments
    try:
        data.prepare(a.data, a.out, side=a.size, labels=a.labels, skip_bad=a.skip_bad, workers=a.workers)
    except KeyboardInterrupt:
        print(f"\nStopped; run the same command again to go on with {a.out}.", file=sys.stderr)
        return 130
    return 0


def export_command(arguments):
    net, checkpoint = load_network(arguments.checkpoint)
    out = Path(arguments.out)
    write, suffix = {"onnx": (weights.to_onnx, ".onnx"), "torch": (weights.to_torch, ".pt2")}[arguments.to]
    if out.suffix != suffix:
        raise UsageError(f"--out {out} should end in {suffix}, as files of --to {arguments.to} do.")
    net.image_size = min(net.image_size, *checkpoint.mean.shape[:2])
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with plots.replacing(out) as temporary:
            write(net, checkpoint.mean, temporary)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}; name another --out.") from None
    print(f"{out}: pixels (N, 3, {net.image_size}, {net.image_size}), R, G, B from 0 to 255, to logits (N, {net.num_classes})")
    return 0


def summary_command(arguments):
    summary(make_network(vars(arguments), arguments.classes))
    return 0


def benchmark_command(arguments):
    from minigrad import benchmark, benchmark_gpu

    net, a = make_network(vars(arguments), arguments.classes), arguments
    gpus = [device.is_gpu for device in net.towers.devices]
    if any(gpus) and not all(gpus):
        raise UsageError(f"--device {a.device} mixes GPUs and CPU, which have no clock in common: name one kind of them.")
    try:
        if all(gpus):
            with enough_memory(net, a.batch_size):
                benchmark_gpu.benchmark(net, batch_size=a.batch_size, steps=a.steps or 20, against=a.against)
            return 0
        make = partial(AlexNet, net.variant, a.device or "cpu", a.classes, net.init, net.seed)
        macs = macs_by_layer(net)
        del net
        benchmark.benchmark(make, batch_size=a.batch_size, steps=a.steps or 7, against=a.against, macs=macs)
    except ImportError as error:
        raise UsageError(f"--against torch needs PyTorch, which cannot be used here ({error}): pip install torch.") from None
    return 0


COMMANDS = {
    "train": train_command,
    "evaluate": evaluate_command,
    "predict": predict_command,
    "prepare": prepare_command,
    "figures": figures_command,
    "experiment": experiment_command,
    "export": export_command,
    "summary": summary_command,
    "benchmark": benchmark_command,
}


def main(argv=None):
    """Run the command line; returns the exit code: 0, 2 for what the user can put right, 130 after Ctrl-C."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or (argv[0] not in COMMANDS and argv[0] not in ("-h", "--help")):
        argv = ["train", *argv]
    try:
        arguments = command_line().parse_args(argv)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* encountered in ", RuntimeWarning)  # a loss that blows up is told in one sentence
            code = COMMANDS[arguments.word](arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `| head` has read enough; what is left must not be flushed into it when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UsageError, data.DataError, training.TrainingError) as error:
        print(f"alexnet.py: {error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        advice = ": a smaller --batch-size needs less" if hasattr(arguments, "batch_size") else ""
        print(f"alexnet.py: There is not enough memory ({error or 'Python gives no number'}){advice}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
