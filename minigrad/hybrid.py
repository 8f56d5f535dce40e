"""Several ranks share the fully connected layers of a network, each with some of their columns, while each keeps all of the convolutions
(Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, scheme B).

Convolutions have few weights and large outputs, fully connected layers many weights and small ones. So images are cut up between ranks as
far as the last convolution, and gradients summed; from there on units are, and activations travel: fewer bytes than 58 million gradients
(fc6 to fc8 of `paper`), as long as the batch is not too large. Rank r of the team has the r-th part of each tower's columns of every
`Linear`, computes its outputs for the images of all, and needs the inputs of all:

             rank 0                 rank 1
    images   its own                its own                convolutions
             ------ each sends its images' maps to all ------
    fc6      its columns, of all    its columns, of all
             ------ each sends its columns to all ------
    fc7      ...                    ...
             ------ each sends the other's images' scores ------
    scores   its own images'        its own images'

Backward goes the same way back; what was sent to all comes back from all, and is added up in the order of the ranks."""

from itertools import accumulate

import numpy as np

from minigrad.layers import Dropout, Flatten, Linear, ReLU, Sequential, Tanh
from minigrad.layers.base import Layer
from minigrad.layers.parameter import Columns
from minigrad.towers import Towers, parameters_of, sum_of

UNIT_BY_UNIT = ReLU, Tanh, Dropout  # what may follow a Linear: it does the same whichever other units there are


class Hybrid(Layer):
    """`Towers` of which this rank has all before the first Linear, and from there on its part of each tower's columns.

    towers: the whole network, whose layers lose the columns of others. team: the ranks that share them (minigrad/ranks/team.py).
    forward and backward are those of `Towers` for this rank's images; all ranks of the team call them at the same time, those that have no
    image `without_images`. Where there are fewer columns than ranks, some have none.
    Raises ValueError for a network that cannot be shared so; then nothing has changed."""

    def __init__(self, towers, team):
        stages = list(in_stages(towers.stages))
        first = next((s for s, stage in enumerate(stages) if has_linear(stage)), 0)
        if first == 0:
            raise ValueError("there is nothing to share: it needs fully connected layers behind others")
        for stage in stages[first:]:
            check(stage)
        self.team, self.counts = team, None
        self.images = Towers(stages[:first], towers.devices)
        self.connected = [Towers([stage], towers.devices) for stage in stages[first:]]
        self.widths = [[linear_of(tower).out_features for tower in stage] for stage in stages[first:]]  # of whole towers
        shared = [tower for stage in stages[first:] for tower in stage]
        for tower in shared:
            keep(tower, self.part(linear_of(tower).out_features, team.rank))
        self.masks = [layer.masks for tower in shared for layer in tower.layers.values() if isinstance(layer, Dropout)]
        self.train(towers.training)
        self.device, self.devices = towers.device, towers.devices

    def arguments(self):
        return f"{self.images!r}, {self.connected!r}"

    @property
    def stages(self):
        return [*self.images.stages, *(stage for towers in self.connected for stage in towers.stages)]

    def children(self):
        yield from (("", towers) for towers in (self.images, *self.connected))

    def parameters(self):
        """Yields each `Parameter` that this rank has, whole or in part, in the order of `Towers`."""
        for stage in self.stages:
            yield from parameters_of(stage)

    def own_parameters(self):
        return []

    def to(self, devices):
        for _, towers in self.children():
            towers.to(devices)
        self.device, self.devices = self.images.device, self.images.devices
        return self

    def release(self):
        self.counts = None
        super().release()

    # ---- whose is what

    def part(self, N, rank):
        """Which of N columns of a tower a rank of the team has."""
        return slice(N * rank // self.team.size, N * (rank + 1) // self.team.size)

    def rows(self, rank):
        """Which of the team's images are a rank's."""
        return slice(sum(self.counts[:rank]), sum(self.counts[: rank + 1]))

    def places(self, s, rank):
        """Where among all columns of stage s a rank's are: a slice in each tower."""
        for start, width in zip(accumulate(self.widths[s], initial=0), self.widths[s], strict=False):
            part = self.part(width, rank)
            yield slice(start + part.start, start + part.stop)

    def width(self, s, rank):
        return sum(place.stop - place.start for place in self.places(s, rank))

    def cut(self, y, s):
        """The columns of stage s cut up: a list of each rank's, side by side."""
        return [np.concatenate([y[:, place] for place in self.places(s, rank)], axis=1) for rank in range(self.team.size)]

    def joined(self, parts, s):
        """All columns of stage s, from each rank's."""
        y = np.empty((len(parts[0]), sum(self.widths[s])), parts[0].dtype)
        for rank, part in enumerate(parts):
            start = 0
            for place in self.places(s, rank):
                width = place.stop - place.start
                y[:, place] = part[:, start : start + width]
                start += width
        return y

    # ---- the way through

    def forward(self, x):
        return self.through_columns(self.images.forward(x))

    def through_columns(self, y):
        """y: what the convolutions make of this rank's images, None if it has none -> the logits of its images, None if no rank has one."""
        team, y = self.team, y if y is None else self.device.numpy(y)
        there = team.all(y if y is None else (y.shape, y.dtype.str))
        self.counts = [shape[0] if shape else 0 for shape, _ in (facts or (None, None) for facts in there)]
        if not any(self.counts):
            return None
        (_, *self.shape), dtype = next(filter(None, there))
        mine, N = self.counts[team.rank], sum(self.counts)
        y = np.empty((0, *self.shape), dtype) if y is None else y
        y = np.concatenate(team.swap([y] * team.size, [(n, *self.shape) for n in self.counts]))
        for mask in self.masks:
            mask.first_image -= self.rows(team.rank).start  # the first of the team's
        last = len(self.connected) - 1
        for s, towers in enumerate(self.connected):
            y = self.device.numpy(towers.forward(y))
            if s < last:
                parts = team.swap([y] * team.size, [(N, self.width(s, rank)) for rank in range(team.size)])
            else:
                rows = [y[self.rows(rank)] for rank in range(team.size)]
                parts = team.swap(rows, [(mine, self.width(s, rank)) for rank in range(team.size)])
            y = self.joined(parts, s)
        return self.device.asarray(y)

    def backward(self, dy, done=None):
        self.check_forward(self.counts)
        self.images.backward(self.back_through_columns(self.device.numpy(self.check(dy, "dy")), done), done)

    def back_through_columns(self, dy, done):
        """dy: of this rank's logits -> of what the convolutions made of its images. done as in `Towers.backward`."""
        team, N = self.team, sum(self.counts)
        mine, last = self.counts[team.rank], len(self.connected) - 1
        width = self.width(last, team.rank)
        dy = np.concatenate(team.swap(self.cut(dy, last), [(n, width) for n in self.counts]))
        for s in range(last, -1, -1):
            dx = self.device.numpy(self.connected[s].backward(dy))
            if s > 0:
                parts, shape = self.cut(dx, s - 1), (N, self.width(s - 1, team.rank))
            else:
                parts, shape = [dx[self.rows(rank)] for rank in range(team.size)], (mine, *self.shape)
            dy = sum_of(team.swap(parts, [shape] * team.size))
        for towers in reversed(self.connected) if done is not None else ():  # not before: here others wait for activations, not for sums
            done(list(towers.parameters()))
        return dy

    def without_images(self, done=None):
        """What a rank does that has none of the batch's images: it computes its columns for those of others. done: in training alone."""
        logits = self.through_columns(None)
        if done is None:
            self.release()
        elif logits is None:
            for towers in reversed(self.connected):
                towers.without_images(done)
        else:
            self.back_through_columns(self.device.numpy(logits), done)  # logits of nothing
        self.images.without_images(done)


# ---- what can be shared


def linear_of(tower):
    """The fully connected layer of one tower of a stage."""
    return next(layer for layer in tower.layers.values() if isinstance(layer, Linear))


def has_linear(stage):
    return any(isinstance(layer, Linear) for tower in stage for layer in tower.layers.values())


def in_stages(stages):
    """Yields the stages, those of a single tower cut up so that each has one Linear at most, and nothing else that learns beside it."""
    for stage in stages:
        if len(stage) > 1:
            yield stage
            continue
        pieces = [{}]
        for name, layer in stage[0].layers.items():
            if isinstance(layer, (Flatten, Linear)) and any(list(other.parameters()) for other in pieces[-1].values()):
                pieces.append({})
            pieces[-1][name] = layer
        yield from ([Sequential(**piece)] for piece in pieces)


def check(stage):
    """Raises ValueError unless the columns of each tower's Linear can be computed apart from one another."""
    for tower in stage:
        layers = list(tower.layers.items())
        learn = [i for i, (_, layer) in enumerate(layers) if list(layer.parameters())]
        if len(learn) != 1 or not isinstance(layers[learn[0]][1], Linear):
            raise ValueError(f"the towers with {', '.join(tower.layers)} have other weights than those of one Linear each")
        for name, layer in layers[learn[0] + 1 :]:
            if not isinstance(layer, UNIT_BY_UNIT):
                raise ValueError(f"{name}, behind a Linear, may need all of its columns")


def keep(tower, part):
    """Leave a tower these columns of its Linear alone."""
    linear, behind = linear_of(tower), False
    for layer in tower.layers.values():
        if layer is linear:
            layer.forget()
            layer.owned = Columns(part.start, part.stop, layer.out_features)
            for name in layer.names:
                with layer.device:
                    setattr(layer, name, getattr(layer, name)[..., part].copy())
            layer.out_features, behind = part.stop - part.start, True
        elif behind and isinstance(layer, Dropout):
            layer.first_unit += part.start
