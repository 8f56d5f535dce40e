"""scale: what many machines would bring, calculated from a measured step and a given network. Nothing here is measured."""

import math
from dataclasses import dataclass

from minigrad.commands.errors import UsageError
from minigrad.commands.networks import make_network
from minigrad.commands.traffic import sent, sizes

BEHIND = 0.6  # of a step passes after the first gradients are there
LATENCY = 1e-5  # seconds of each level of a tree, there and back, for each stage of the network
GPUS = [1 << i for i in range(11)]


@dataclass(frozen=True)
class Machines:
    """step: seconds of a training step of one GPU with `batch` images; between, inside: bytes a second that a GPU sends to other machines,
    and to others in its machine; group: GPUs of a machine."""

    step: float
    batch: int
    between: float
    inside: float
    group: int


def command(Network, arguments):
    a = arguments
    if a.machine & (a.machine - 1):
        raise UsageError(f"--machine must be a power of two, not {a.machine}.")
    net = make_network(Network, {**vars(a), "device": "cpu", "init": None, "seed": 0}, a.classes)
    machines = Machines(a.step, a.batch_size, a.bandwidth * 1e9 / 8, a.inside * 1e9 / 8, a.machine)
    report(net, machines, a.images, a.epochs)
    return 0


def plain_step(sizes, m, ranks):
    """Bytes that each GPU sends in a step, and the seconds of the step, if all gradients are summed."""
    return step(sizes, m, ranks, 1)


def hybrid_step(sizes, m, ranks):
    """The same if the GPUs of a machine share the columns of the fully connected layers."""
    return step(sizes, m, ranks, min(ranks, m.group))


def step(sizes, m, ranks, team):
    """Gradients are summed while backward goes on, activations are waited for."""
    gradients, activations = sent(sizes, m.batch, ranks, team)
    rate = m.inside if ranks <= m.group else m.between
    return gradients + activations, m.step + activations / m.inside + max(0.0, gradients / rate - BEHIND * m.step) + waits(sizes, ranks)


def waits(sizes, ranks):
    """Seconds that a step waits for messages of any size."""
    return 2 * math.ceil(math.log2(ranks)) * LATENCY * sizes.stages


def duration(seconds):
    """In the largest unit of which there are two."""
    for unit, length in (("days", 86400), ("hours", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


ASSUMED = """\
Calculated, not measured: {name}, {total:,} parameters, {part:.1%} of them in fully connected layers.
A step of one GPU takes {step:,.2f} ms for {batch:,} images, and so it does on many. {behind:.0%} of it passes while gradients travel.
Each GPU sends {between:,.1f} GB/s to other machines and {inside:,.1f} GB/s within its own, of {group} GPUs, at full rate.
Sums go round rings, 2 (R - 1) / R of the bytes; each level of a tree takes {latency:.0f} microseconds a stage and direction.
Reading images takes no time here; the last column says what would have to be read of images prepared at 256 x 256 pixels.
Plain: all gradients are summed. Hybrid: the GPUs of a machine share the columns of the fully connected layers and send one
another what goes in and out there, which is waited for; gradients of columns are summed over the machines, all others over all
GPUs, while backward goes on (Krizhevsky 2014; --hybrid of train does so, but through host memory, not from GPU to GPU).
Larger batches want other learning rates (--scale-lr, --warmup, --optimizer lars) and may cost accuracy; nothing is said of
that here."""


def report(net, m, images, epochs, out=None):
    """Print the page: assumptions, and for 1 to 1,024 GPUs what they send, how well they are used, and how long the epochs take."""
    found = sizes(net)
    total = found.convolutions + found.connected
    facts = {"name": net.variant, "total": total, "part": found.connected / total, "step": m.step * 1e3, "batch": m.batch}
    facts |= {"behind": BEHIND, "between": m.between / 1e9, "inside": m.inside / 1e9, "group": m.group, "latency": LATENCY * 1e6}
    print(ASSUMED.format(**facts), file=out)
    heads = [f"{way + ' MB':>9s} {'ms':>8s} {'used':>5s} {'time':>10s}" for way in ("plain", "hybrid")]
    print(f"{'GPUs':>5s} {'batch':>9s} | {' | '.join(heads)} | {'reads GB/s':>10s}", file=out)
    for ranks in GPUS:
        steps, cells, ways = epochs * math.ceil(images / (ranks * m.batch)), [], (plain_step(found, m, ranks), hybrid_step(found, m, ranks))
        for nbytes, seconds in ways:
            cells.append(f"{nbytes / 1e6:9,.1f} {seconds * 1e3:8,.2f} {m.step / seconds:5.0%} {duration(steps * seconds):>10s}")
        reads = ranks * m.batch / min(seconds for _, seconds in ways) * 3 * 256**2 / 1e9
        print(f"{ranks:5,} {ranks * m.batch:9,} | {' | '.join(cells)} | {reads:10,.1f}", file=out)
