"""How many of the machine's cores are this process's."""

import contextlib
import math
import os
import platform
from pathlib import Path

share = math.inf  # cores of this process, where it shares a machine with others that do the same work


def cores():
    """The number of processor cores that this process may use: those it is bound to, no more than its container's quota allows, and of
    them its share."""
    return max(1, int(min(len(bound_to()), quota(), share) + 1e-9))  # a share may be 3 times a third


def bound_to():
    """The numbers of the cores that this process may run on."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def share_of(mine, all_of_them):
    """How many cores each of several processes takes: of every core that it may run on (`mine`, a set) as much as the others on it leave.
    all_of_them: such a set for each process."""
    return sum(1 / sum(core in cores for cores in all_of_them) for core in mine)


def control_group(own="/proc/self/cgroup"):
    """Tells apart the groups of processes that share a quota."""
    with contextlib.suppress(OSError):
        return platform.node(), Path(own).read_text()
    return platform.node(), ""


def quota(root="/sys/fs/cgroup", own="/proc/self/cgroup"):
    """How many processors Linux's control groups (containers, batch systems) let this process use at a time: a number, infinite without a
    limit. Version 2 writes "quota period" or "max period" into cpu.max; version 1 has a file for each."""
    least = math.inf
    try:
        groups = [line.split(":", 2)[2] for line in Path(own).read_text().splitlines() if line.split(":")[1] in ("", "cpu", "cpu,cpuacct")]
    except (OSError, IndexError):
        groups = []
    for group in {"/", *groups}:
        for folder in (path for top in ("", "cpu", "cpu,cpuacct") for path in levels(Path(root, top), group)):
            with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
                if (folder / "cpu.max").exists():
                    allowed, period = (folder / "cpu.max").read_text().split()
                else:
                    allowed, period = (int((folder / f"cpu.cfs_{what}_us").read_text()) for what in ("quota", "period"))
                if allowed not in ("max", -1):
                    least = min(least, int(allowed) / int(period))
    return least


def levels(root, group):
    """The folders of a control group and of those that hold it."""
    folder = root / group.strip("/")
    yield folder
    yield from (parent for parent in folder.parents if parent.is_relative_to(root))
