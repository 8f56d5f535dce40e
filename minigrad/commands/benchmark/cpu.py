"""How long a training step takes on CPUs, layer by layer, and beside PyTorch where that is installed."""

import multiprocessing
import statistics
import sys
import threading
import time
from pathlib import Path

import numpy as np

from minigrad.commands.export.to_torch import twin
from minigrad.engine.winograd import Winograd
from minigrad.layers import SoftmaxCrossEntropy
from minigrad.layers.base import ImageLayer
from minigrad.optim import SGD
from minigrad.training import train_on_batch

PAUSE = 0.3  # seconds before each step: threads of the other library may go on waiting busily after its step, and would slow this one


class Stopwatch:
    """Adds up how long each layer's forward and backward take inside a real step. Workers run at the same time, so a worker's seconds count
    as its share of the device's threads."""

    def __init__(self, net):
        self.seconds, self.lock = {}, threading.Lock()
        for _, _, name, layer in net.layers():
            for direction in ("forward", "backward"):
                method = f"{direction}_slab" if isinstance(layer, ImageLayer) else direction
                share = 1 / layer.device.threads if isinstance(layer, ImageLayer) else 1
                share /= len(net.towers.devices)
                setattr(layer, method, self.timed(getattr(layer, method), (name, direction), share))

    def timed(self, function, key, share):
        def call(*arguments):
            start = time.perf_counter()
            result = function(*arguments)
            with self.lock:
                self.seconds[key] = self.seconds.get(key, 0) + (time.perf_counter() - start) * share
            return result

        return call


class Ours:
    """A training step of a network of this project: forward, loss, backward, update."""

    def __init__(self, net, lr=1e-3):
        self.net, self.loss, self.optimizer = net, SoftmaxCrossEntropy().to(net.device), SGD(net.parameters(), lr)

    def step(self, images, labels):
        return train_on_batch(self.net, self.loss, self.optimizer, images, labels)[0]


class Theirs:
    """The same step in PyTorch, eager: the same layers, groups where ours has towers, one torch.optim.SGD."""

    def __init__(self, net, threads, lr=1e-3):
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        self.model = twin(net)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr, momentum=0.9, weight_decay=5e-4)
        self.loss = torch.nn.CrossEntropyLoss()

    def step(self, images, labels):
        x, y = self.torch.from_numpy(images), self.torch.from_numpy(labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model(x.permute(0, 3, 1, 2).contiguous()), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def batch(net, size, seed=0):
    """Random images on the scale of pixels minus their mean, and labels."""
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((size, net.image_size, net.image_size, 3), np.float32)
    images *= np.float32(58 * net.input_scale)
    return images, rng.integers(0, net.num_classes, size)


def peak_memory(make, batch_size, threads):
    """The largest memory, in bytes, of a fresh process that makes three training steps; threads: None for ours, else PyTorch's.
    None where the system does not tell."""
    if sys.platform == "win32":
        return None
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=measure_memory, args=(sender, make, batch_size, threads))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return None
    finally:
        process.join()


def measure_memory(sender, make, batch_size, threads):
    """What the fresh process of `peak_memory` does."""
    net = make()
    images, labels = batch(net, batch_size)
    if threads is None:
        side = Ours(net)
    else:
        side = Theirs(net, threads)
        del net
    for _ in range(3):
        side.step(images, labels)
    sender.send(largest_memory())


def largest_memory():
    """The largest memory this process ever held, in bytes. Linux counts the parent's before exec into ru_maxrss, but not into VmHWM."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def benchmark(make, *, batch_size, steps, against=None, out=None):
    """Print one training step layer by layer; with against="torch" also the ratio to PyTorch's step, the two in turn in this process.

    make: a function without arguments that makes the network. Raises ImportError if PyTorch is asked for and not installed."""
    net = make()
    images, labels = batch(net, batch_size)
    ours = Ours(net)
    threads = sum(device.threads for device in net.towers.devices)
    sides = {"minigrad": ours}
    if against == "torch":
        sides["torch"] = Theirs(net, threads)
        print(f"PyTorch {sides['torch'].torch.__version__}, eager, default settings; ", file=out, end="")
    print(f"NumPy {np.__version__}; {net.variant}, batch {batch_size}, float32, {threads} threads, {net.towers.devices}", file=out)
    watch = Stopwatch(net)
    times, tables, updates = {name: [] for name in sides}, [], []
    for step in range(steps + 1):
        for name, side in sides.items():
            if len(sides) > 1:
                time.sleep(PAUSE)
            watch.seconds = {}
            start = time.perf_counter()
            side.step(images, labels)
            if step > 0:  # the first warms up caches, threads and memory
                times[name].append(time.perf_counter() - start)
                if name == "minigrad":
                    tables.append(watch.seconds)
                    begun = time.perf_counter()
                    SGD.step(ours.optimizer)
                    updates.append(time.perf_counter() - begun)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print_layers(net, tables, statistics.median(updates), medians["minigrad"], batch_size, out)
    fewer = dict.fromkeys(name for _, _, name, layer in net.layers() if isinstance(getattr(layer, "way", None), Winograd))
    if fewer:
        print(f"GFLOP/s count the plain sum; {', '.join(fewer)} take fewer multiplications than it has (engine/winograd.py)", file=out)
    for name, seconds in medians.items():
        low, high = min(times[name]), max(times[name])
        print(
            f"{name:9s} median of {steps} steps {seconds:.3f} s (from {low:.3f} to {high:.3f}), {batch_size / seconds:.1f} images/s",
            file=out,
        )
    if against:
        print(f"ratio of medians: {medians['torch'] / medians['minigrad']:.2f} times PyTorch's speed", file=out)
    del sides, ours, net
    for name in medians:
        memory = peak_memory(make, batch_size, None if name == "minigrad" else threads)
        if memory:
            print(f"{name:9s} peak memory of a process with three steps: {memory / 1e9:.2f} GB", file=out)


def print_layers(net, tables, update, step, batch_size, out):
    """Print the layer table; tables: for each step the seconds of a `Stopwatch`, update and step: seconds."""
    # Forward is one product, backward two; one where nobody needs the gradient of the layer's input.
    products = {name: 2 if getattr(layer, "input_gradient", True) is False else 3 for _, _, name, layer in net.layers()}
    macs = net.multiply_adds()
    names = list(dict.fromkeys(name for name, _ in tables[0]))
    print(f"{'layer':9s} {'forward ms':>11s} {'backward ms':>12s} {'share':>7s} {'GFLOP/s':>9s}", file=out)
    total = 0
    for name in names:
        forward, backward = (statistics.median(t.get((name, d), 0) for t in tables) for d in ("forward", "backward"))
        total += forward + backward
        flops = 2 * macs.get(name, 0) * batch_size * products[name]
        rate = f"{flops / (forward + backward) / 1e9:9.0f}" if flops else ""
        print(f"{name:9s} {forward * 1e3:11.1f} {backward * 1e3:12.1f} {(forward + backward) / step:7.1%} {rate}", file=out)
    print(f"{'update':9s} {'':11s} {update * 1e3:12.1f} {update / step:7.1%}", file=out)
    rest = step - total - update
    print(
        f"{'the rest':9s} {'':11s} {rest * 1e3:12.1f} {rest / step:7.1%}   (exchange, loss, Winograd's kernels, waiting for workers)",
        file=out,
    )
