"""Slabs: a batch cut into pieces that go through several layers in a row while they are still in the processor's cache.

A task is what one thread is handed at a time, and consists of one slab or more. Tasks depend on the batch alone, not on the number of
threads, and gradients are added up in the order of the images: so the sums are the same on every machine."""

import math
import threading
from itertools import pairwise

TASKS = 16  # of a batch, at most
SLAB = 1 << 21  # bytes of the largest array between layers: it stays in cache, and is worth handing to a thread
MORE = 3  # times as many images in a slab are worth the end of a row
LITTLE = 1 << 17  # bytes of a whole batch: below, waking a thread takes longer than its share of the work


def split(start, stop, n):
    """n slices of nearly equal length from start to stop."""
    edges = [start + (stop - start) * i // n for i in range(n + 1)]
    return [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def plan(N, bytes_per_image, least=2):
    """The tasks of a batch of N images: a list of lists of slices, each slice a slab.

    The number of tasks is a power of two, so that two, four or eight threads get equal shares. A task is at least half a slab, since
    handing it over has its price; but from two images on there are always `least`, unless there is little to do."""
    per_slab = max(1, SLAB // max(1, bytes_per_image))
    tasks = TASKS if N * bytes_per_image >= LITTLE else 1
    while tasks > least and N * bytes_per_image < tasks * SLAB // 2:
        tasks //= 2
    parts = split(0, N, min(tasks, N))
    return [split(part.start, part.stop, -(-(part.stop - part.start) // per_slab)) for part in parts]


def rows(layers, calls, itemsize):
    """The layers as slices of layers that a slab goes through in a row.

    A row ends before a layer with weights if images have become so small that slabs of at least `MORE` times as many fit from there on:
    larger slabs make larger products, which are faster. Not everywhere, for between two rows the whole batch is handed over."""
    N, least = calls[0].x_shape[0], layers[0].least_tasks
    sizes = [image_bytes(call, itemsize) for call in calls]
    edges = [0]
    for i in range(1, len(layers)):
        if layers[i].names and slab(N, max(sizes[i:]), least) >= MORE * slab(N, max(sizes[edges[-1] : i]), least):
            edges.append(i)
    return [slice(a, b) for a, b in pairwise([*edges, len(layers)])]


def image_bytes(call, itemsize):
    """Bytes of an image on its way into a layer or out of it, whichever are more."""
    return max(math.prod(call.x_shape[1:]), math.prod(call.y_shape[1:])) * itemsize


def slab(N, bytes_per_image, least=2):
    """How many images the first slab of such a batch has."""
    first = plan(N, bytes_per_image, least)[0][0]
    return first.stop - first.start


def forward(layers, calls, x):
    """y of the layers in a row. Each of `calls` gets `tasks` and `kept`: what its layer's backward needs, for each slab of each task, or
    None where the layer does not remember."""
    device = layers[0].device
    tasks = plan(len(x), max(image_bytes(call, x.dtype.itemsize) for call in calls), layers[0].least_tasks)
    for call in calls:
        call.tasks, call.kept = tasks, [[None] * len(slabs) for slabs in tasks]
    y = device.empty(calls[-1].y_shape, x.dtype)

    def work(t):
        for s, images in enumerate(tasks[t]):
            h = x[images]
            for layer, call in zip(layers, calls, strict=True):
                h, kept = layer.forward_slab(h, images.start)
                call.kept[t][s] = kept if layer.remembers else None
                del kept
            y[images] = h

    device.run(work, range(len(tasks)))
    return y


def backward(layers, calls, dy):
    """dx of the layers in a row, or None if the first needs none, and for each layer the tuple of its gradients, summed over the batch."""
    first, tasks = layers[0], calls[0].tasks
    dx = first.device.empty(calls[0].x_shape, dy.dtype) if first.input_gradient else None
    totals, waiting, turns, lock = [None] * len(layers), [{} for _ in layers], [0] * len(layers), threading.Lock()

    def work(t):
        sums = [None] * len(layers)
        for s, images in enumerate(tasks[t]):
            d = dy[images]
            for i in reversed(range(len(layers))):
                d, gradients = layers[i].backward_slab(d, calls[i].kept[t][s])
                add(sums, i, gradients)
                del gradients
                if s == len(tasks[t]) - 1:
                    hand_in(t, i, sums)
            if dx is not None:
                dx[images] = d

    def hand_in(t, i, sums):
        """A task's sums for a layer are complete: whoever finds the next tasks' complete adds them, in the order of the images. So few
        wait in memory."""
        with lock:
            waiting[i][t], sums[i] = sums[i], None
            while turns[i] in waiting[i]:
                add(totals, i, waiting[i].pop(turns[i]))
                turns[i] += 1

    first.device.run(work, range(len(tasks)))
    return dx, totals


def add(sums, i, gradients):
    """sums[i] += gradients, array by array; the first are taken as they are."""
    if sums[i] is None:
        sums[i] = gradients
        return
    for total, gradient in zip(sums[i], gradients, strict=True):
        total += gradient
