"""How long a training step of several ranks takes, and how much of the exchange of gradients is hidden behind backward."""

import statistics
import time

from minigrad.commands.benchmark.cpu import batch
from minigrad.commands.traffic import report
from minigrad.layers import SoftmaxCrossEntropy
from minigrad.optim import SGD
from minigrad.training.step import train_on_share


class Afterwards:
    """Ranks that exchange no gradient before all are there."""

    def __init__(self, ranks):
        self.ranks, self.share, self.waiting = ranks, ranks.share, []

    def add(self, parameters):
        self.waiting += parameters

    def sum(self, *numbers):
        self.ranks.add(self.waiting)
        self.waiting = []
        return self.ranks.sum(*numbers)


class Never:
    """Ranks that exchange no gradients, only the loss: how long a step would take on a network without end."""

    def __init__(self, ranks):
        self.share, self.sum = ranks.share, ranks.sum

    def add(self, parameters):
        pass


def benchmark(net, sizes, ranks, *, batch_size, steps, out=None):
    """Print how long a training step of all ranks takes with the exchange behind backward, after it, and without one, in turn; and what it
    sends. sizes: the `Sizes` of the whole network."""
    images, labels = batch(net, batch_size)
    mine = images[ranks.share(batch_size)]
    loss, optimizer = SoftmaxCrossEntropy().to(net.device), SGD(net.parameters(), 1e-3)
    ways = {"behind backward": ranks, "after backward": Afterwards(ranks), "not at all": Never(ranks)}
    times = {name: [] for name in ways}
    for step in range(steps + 1):
        for name, way in ways.items():
            ranks.sum(0)  # all begin together
            start, before = time.perf_counter(), ranks.traffic
            train_on_share(net, loss, optimizer, mine, labels, way, lambda value: None)
            if way is ranks:
                sent = [now - then for now, then in zip(ranks.traffic, before, strict=True)]
            ranks.sum(0)  # the slowest counts
            if step > 0:  # the first warms up caches, threads and memory
                times[name].append(time.perf_counter() - start)
    hosts = dict.fromkeys(ranks.hosts)
    print(
        f"{net.variant}, batch {batch_size} over {ranks.size} ranks on {len(hosts)} machine{'s' * (len(hosts) > 1)}, "
        f"{net.device.arithmetic}, each {net.towers.devices}",
        file=out,
    )
    for name, seconds in times.items():
        median, low, high = statistics.median(seconds), min(seconds), max(seconds)
        print(
            f"gradients {name:16s} median of {steps} steps {median:.3f} s (from {low:.3f} to {high:.3f}), "
            f"{batch_size / median:.1f} images/s",
            file=out,
        )
    report(sent, sizes, batch_size, ranks, out)
    behind, after, never = (statistics.median(seconds) for seconds in times.values())
    if after - never > 0.02 * after:
        print(
            f"the exchange of gradients takes {after - never:.3f} s, of which {(after - behind) / (after - never):.0%} is hidden", file=out
        )
