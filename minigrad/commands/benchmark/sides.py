"""Ours and its peers beside each other: each in a process of its own, in turn, on a machine that others leave alone.

A turn is a training step, or a forward alone; of short ones as many as take 0.3 s. Before each turn the machine has to be quiet, and a turn
that others disturb is repeated (quiet.py says what that means). What counts is the median of the turns that were not disturbed."""

import gc
import multiprocessing
import signal
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from minigrad.commands.benchmark import quiet
from minigrad.commands.benchmark.peers import PEERS
from minigrad.commands.errors import UsageError

PATIENCE = 300  # seconds of waiting and repeating in all, for each batch size; then turns count as they are
WARM_UP = 2  # turns: caches, threads, memory, compilation
AGREE = 1e-3  # of the largest logit: how far the sides' first logits may lie apart


@dataclass
class Times:
    """What was measured of a side. seconds: of a step, one for each turn that counts; disturbed: how many of these others disturbed."""

    name: str
    version: str
    seconds: list = field(default_factory=list)
    disturbed: int = 0
    memory: int | None = None  # bytes: the most that its process held after it had made the network

    @property
    def median(self):
        return statistics.median(self.seconds)


def batch(net, size, seed=0):
    """Random images on the scale of pixels minus their mean, and labels."""
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((size, net.image_size, net.image_size, 3), np.float32)
    images *= np.float32(58 * net.input_scale)
    return images, rng.integers(0, net.num_classes, size)


class Side:
    """The process of one side. Raises UsageError if it cannot be used."""

    def __init__(self, name, make, threads, inference, batch_size):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, name, make, threads, inference, batch_size), daemon=True)
        self.process.start()
        theirs.close()
        try:
            told = self.connection.recv()
        except EOFError:
            told = "its process ended by itself"
        if isinstance(told, str):
            raise UsageError(f"--against {name} cannot be used here: {told.rstrip('.')}.")
        version, self.logits = told
        self.times, self.repetitions = Times(name, version), 1

    def turn(self):
        """The seconds of a step, and whether others disturbed it."""
        before, start = quiet.processor_seconds(), time.perf_counter()
        self.connection.send(self.repetitions)
        try:
            seconds, own, self.times.memory = self.connection.recv()
        except EOFError:
            raise MemoryError(f"the process of {self.times.name} ended by itself, perhaps for want of memory") from None
        return seconds, quiet.is_disturbed(before, quiet.processor_seconds(), own, time.perf_counter() - start)

    def end(self):
        self.process.kill()
        self.process.join()
        self.connection.close()


def serve(connection, name, make, threads, inference, batch_size):
    """What a side's process does: make the network, tell its version and first logits, or what is wrong; then turns, as long as it is asked
    for them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business, which ends this process
    try:
        net = make()
        images, labels = batch(net, batch_size)
        side = PEERS[name](net.eval(), threads, inference)
        logits = side.logits(images[:2])
        del net
    except Exception as error:  # whatever another library raises
        connection.send((str(error) or type(error).__name__).splitlines()[0])
        return
    gc.collect()
    forget_peak()
    connection.send((side.version, np.asarray(logits)))
    while True:
        try:
            repetitions = connection.recv()
        except EOFError:
            return
        own, start = time.process_time(), time.perf_counter()
        for _ in range(repetitions):
            side.step(images, labels)
        seconds = (time.perf_counter() - start) / repetitions
        connection.send((seconds, time.process_time() - own, peak_memory()))


def forget_peak():
    """Begin a new count of the largest memory, without the one in which a peer's network was made from ours; only Linux can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def peak_memory():
    """The largest memory of this process in bytes, None where the system does not tell. Linux counts the parent's before exec into
    ru_maxrss, but not into VmHWM."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(names, make, threads, inference, batch_size, steps):
    """`steps` turns of each side, in turn: a list of `Times`; also the seconds waited, the turns repeated, and how far the sides' first
    logits lie apart, as a share of the largest.

    make: a function without arguments that makes the network, which can be pickled. Raises UsageError for a peer that cannot be used, and
    for one that computes something else."""
    sides, waited, repeated, patience = [], 0, 0, PATIENCE
    try:
        for name in names:
            sides.append(Side(name, make, threads, inference, batch_size))
        apart = agreement(sides)
        for side in sides:
            for _ in range(WARM_UP):
                seconds, _ = side.turn()
            side.repetitions = max(1, round(quiet.SHORTEST / seconds))
        for _ in range(steps):
            for side in sides:
                while True:
                    # Also for those of us whose threads go on waiting busily after their turn.
                    waited += quiet.wait(max(quiet.SHORTEST, patience - waited))
                    begun = time.perf_counter()
                    seconds, disturbed = side.turn()
                    if not disturbed or patience - waited <= 0:
                        break
                    repeated, patience = repeated + 1, patience - (time.perf_counter() - begun)
                side.times.seconds.append(seconds)
                side.times.disturbed += disturbed
    finally:
        for side in sides:
            side.end()
    return [side.times for side in sides], waited, repeated, apart


def agreement(sides):
    """How far the first logits of the sides lie apart, as a share of the largest. Raises UsageError if it is too far."""
    ours = sides[0].logits
    apart = {side.times.name: float(abs(side.logits - ours).max() / abs(ours).max()) for side in sides[1:]}
    for name, share in apart.items():
        if not share < AGREE:
            raise UsageError(f"--against {name} computes another network here: its logits differ by {share:.1%}.")
    return max(apart.values(), default=0.0)
