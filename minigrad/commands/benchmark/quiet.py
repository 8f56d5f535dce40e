"""What other programs do to a measurement: how much of the processor they took while something was timed. Linux tells it; elsewhere
nothing is known of them.

The rule: a measurement is *disturbed* if all other processes together took more than a tenth of one core meanwhile. Processor time is told
in hundredths of a second, so nothing shorter than 0.3 s can be judged."""

import os
import time
from pathlib import Path

OTHERS = 0.1  # cores that others may use
SHORTEST = 0.3  # seconds


def processor_seconds(path="/proc/stat"):
    """What all processes of this machine have used of its cores so far, and what a hypervisor took of them; None where nobody tells."""
    try:
        user, nice, system, _, _, interrupts, soft, stolen = map(int, Path(path).read_text().split()[1:9])
    except (OSError, ValueError):
        return None
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def is_disturbed(before, after, own, wall):
    """Whether others used more than `OTHERS` of a core. before, after: `processor_seconds`; own: what the timed process used; wall: how
    long it took, all in seconds."""
    return before is not None and after - before - own > OTHERS * max(wall, SHORTEST)


def wait(most):
    """Wait until others leave the machine alone, at most so many seconds. Returns how many it took."""
    start = time.perf_counter()
    while time.perf_counter() - start < most:
        before, own, begun = processor_seconds(), time.process_time(), time.perf_counter()
        time.sleep(SHORTEST)
        wall = time.perf_counter() - begun
        if not is_disturbed(before, processor_seconds(), time.process_time() - own, wall):
            break
    return time.perf_counter() - start
