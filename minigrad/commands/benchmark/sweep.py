"""How time and memory grow with the batch and with threads: a process for each batch size, a straight line through what is measured, and a
picture."""

import numpy as np

from minigrad.commands.benchmark import cpu
from minigrad.device import Device
from minigrad.plots import growth

BATCH_SIZES = [8, 16, 32, 64, 128, 256, 512]
FROM = 32  # images: smaller batches do not fill the workers, so the line is laid through the larger ones


def command(make, names, batch_sizes, steps, inference, most_threads, out):
    """Print and draw how each side grows. make: a function that makes the network on the devices it is given. Raises OSError."""
    batch_sizes = sorted(set(batch_sizes or BATCH_SIZES))
    lines = {}
    for threads in thread_counts(most_threads):
        net = Made(make, threads)
        for batch_size in batch_sizes:
            for times in cpu.beside(names, net, batch_size=batch_size, steps=steps, inference=inference, threads=threads):
                label = f"{times.name}, {threads} thread{'s' * (threads > 1)}"
                lines.setdefault(label, []).append((batch_size, times.median, times.memory))
    print()
    fits = {}
    for label, points in lines.items():
        N, seconds, memory = (np.array(values, float) for values in zip(*points, strict=True))
        fits[label] = fit(N, seconds), fit(N, memory)
        print(described(label, N, seconds, *fits[label]))
    growth.draw(lines, fits, f"{'forward alone' if inference else 'training step'}", out)
    print(f"How they grow is drawn in {out}")


class Made:
    """A function without arguments that makes the network with so many threads; it can be pickled."""

    def __init__(self, make, threads):
        self.make, self.threads = make, threads

    def __call__(self):
        return self.make(device=[Device("cpu", self.threads)])


def thread_counts(most):
    """1, 2, 4, ... and the most."""
    return sorted({*(1 << i for i in range(most.bit_length())), most} & set(range(1, most + 1)))


def fit(N, y):
    """a and b of y = a + b N, through the points from FROM images on if there are three, else through all; None for fewer than two, or
    where y is unknown. The squares of the relative distances are least, so that small batches count as much as large ones."""
    large = N >= FROM if (N >= FROM).sum() >= 3 else N > 0
    N, y = N[large], y[large]
    if len(N) < 2 or not np.isfinite(y).all():
        return None
    b, a = np.polyfit(N, y, 1, w=1 / y)
    return a, b


def described(label, N, seconds, time, memory):
    """One line about a side: its fits, and how far the points lie from the line."""
    if time is None:
        return f"{label}: one batch size, so no line"
    a, b = time
    off = max((abs(s / (a + b * n) - 1), n) for n, s in zip(N, seconds, strict=True) if n >= FROM or N.max() < FROM)
    text = f"{label}: seconds = {a:.4f} + {b:.6f} N, at most {off[0]:.1%} off (at {off[1]:.0f})"
    return text + (f"; memory = {memory[0] / 1e6:,.0f} MB + {memory[1] / 1e6:.2f} MB N" if memory else "")
