"""How long a training step or a forward alone takes on CPUs: layer by layer in this process, and beside peers in processes of their own."""

import statistics
import threading
import time

import numpy as np

from minigrad.commands.benchmark.peers import Ours
from minigrad.commands.benchmark.sides import batch, measure
from minigrad.engine.winograd import Winograd
from minigrad.layers.base import ImageLayer


class Stopwatch:
    """Adds up how long each layer's forward and backward take inside a real step. Workers and devices run at the same time, so that the
    seconds of a worker's task count as its share of the device's threads, and a device's as its share of the devices."""

    def __init__(self, net):
        self.seconds, self.lock, self.fewer = {}, threading.Lock(), {}
        for _, _, name, layer in net.layers():
            for direction in ("forward", "backward"):
                method = f"{direction}_slab" if isinstance(layer, ImageLayer) else direction
                setattr(layer, method, self.timed(getattr(layer, method), (name, direction), layer, len(net.towers.devices)))

    def timed(self, function, key, layer, devices):
        def call(*arguments):
            if isinstance(getattr(layer, "way", None), Winograd):
                self.fewer[key[0]] = None
            start = time.perf_counter()
            result = function(*arguments)
            share = 1 / layer.device.threads if layer.device.workers.at_work() else 1
            with self.lock:
                self.seconds[key] = self.seconds.get(key, 0) + (time.perf_counter() - start) * share / devices
            return result

        return call

    def timed_update(self, function):
        def call():
            start = time.perf_counter()
            function()
            self.seconds["update", "forward"] = time.perf_counter() - start

        return call


def layers(make, *, batch_size, steps, inference, out=None):
    """Print where our time goes, layer by layer. make: a function without arguments that makes the network."""
    net = make()
    images, labels = batch(net, batch_size)
    threads = sum(device.threads for device in net.towers.devices)
    ours = Ours(net, threads, inference)
    print(f"NumPy {np.__version__}; {net.variant}, batch {batch_size}, float32, {threads} threads, {net.towers.devices}", file=out)
    watch = Stopwatch(net)
    if not inference:
        ours.optimizer.step = watch.timed_update(ours.optimizer.step)
    times, tables = [], []
    for step in range(steps + 1):
        watch.seconds = {}
        start = time.perf_counter()
        ours.step(images, labels)
        if step > 0:  # the first warms up caches, threads and memory
            times.append(time.perf_counter() - start)
            tables.append(watch.seconds)
    print_layers(net, tables, times, inference, batch_size, out)
    if watch.fewer:
        print(
            f"GFLOP/s count the plain sum; {', '.join(watch.fewer)} take fewer multiplications than it has (engine/winograd.py)", file=out
        )
    what = "forward" if inference else "step"
    median, low, high = statistics.median(times), min(times), max(times)
    print(f"median of {steps} {what}s {median:.4f} s (from {low:.4f} to {high:.4f}), {batch_size / median:.1f} images/s", file=out)


def print_layers(net, tables, times, inference, batch_size, out):
    """Print the layer table; tables: for each step the seconds of a `Stopwatch`; times: the seconds of each whole step."""
    directions = ("forward",) if inference else ("forward", "backward")
    # Forward is one product, backward two; one where nobody needs the gradient of the layer's input.
    backward = {name: 1 if getattr(layer, "input_gradient", True) is False else 2 for _, _, name, layer in net.layers()}
    macs = net.multiply_adds()
    names, step = list(dict.fromkeys(name for name, _ in tables[0])), statistics.median(times)

    def row(name, seconds, flops=0):
        rate = f"{flops / sum(seconds) / 1e9:9.0f}" if flops else ""
        times = " ".join(f"{s * 1e3:12.1f}" for s in seconds)
        print(f"{name:9s} {times:>{13 * len(directions) - 1}s} {sum(seconds) / step:7.1%} {rate}".rstrip(), file=out)

    heads = " ".join(f"{direction + ' ms':>12s}" for direction in directions)
    print(f"{'layer':9s} {heads} {'share':>7s} {'GFLOP/s':>9s}", file=out)
    for name in names:
        seconds = [statistics.median(t.get((name, d), 0) for t in tables) for d in directions]
        if name == "update":
            row(name, seconds[:1])
        else:
            row(name, seconds, 2 * macs.get(name, 0) * batch_size * (1 if inference else 1 + backward[name]))
    row("the rest", [statistics.median(time - sum(table.values()) for time, table in zip(times, tables, strict=True))])
    print(f"The rest: exchange, {'' if inference else 'loss, '}Winograd's kernels, waiting for workers.", file=out)


def beside(names, make, *, batch_size, steps, inference, threads, out=None):
    """Print the sides of these names in turn, ours first, and return their `Times`."""
    all_times, waited, repeated, apart = measure(["minigrad", *names], make, threads, inference, batch_size, steps)
    what = "forward alone" if inference else "training step"
    with_threads = f"{threads} thread{'s' * (threads > 1)}"
    print(f"\n{what}, batch {batch_size}, {with_threads}, each side in a process of its own, {steps} turns of each, in turn", file=out)
    print(f"{'':19s} {'median ms':>10s} {'from':>9s} {'to':>9s} {'images/s':>9s} {'ours is':>8s} {'memory MB':>10s}  version", file=out)
    ours = all_times[0].median
    for times in all_times:
        spread = f"{1e3 * times.median:10.1f} {1e3 * min(times.seconds):9.1f} {1e3 * max(times.seconds):9.1f}"
        ratio = "" if times is all_times[0] else f"{times.median / ours:.2f} x"
        memory = f"{times.memory / 1e6:10,.0f}" if times.memory else f"{'':10s}"
        disturbed = f"; {times.disturbed} of {steps} turns disturbed" if times.disturbed else ""
        print(
            f"{times.name:19s} {spread} {batch_size / times.median:9.1f} {ratio:>8s} {memory}  {times.version}{disturbed}",
            file=out,
        )
    if names:
        fastest = min(all_times[1:], key=lambda times: times.median)
        print(f"ours is {fastest.median / ours:.2f} times as fast as the fastest peer, {fastest.name}; ", end="", file=out)
        print(f"the first logits of all sides agree to {apart:.0e} of the largest", file=out)
    print(f"waited {waited:.0f} s for a quiet machine, repeated {repeated} disturbed turns", file=out, flush=True)
    return all_times
