"""Worker threads. NumPy and BLAS release Python's lock while they compute, so that the threads run side by side."""

import contextlib
import math
import os
import platform
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from minigrad.engine.blas import one_blas_thread
from minigrad.interrupts import Whole

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


class Workers:
    """So many threads, of which the calling one is the first.

    run(work, tasks) returns [work(task) for task in tasks]. Results do not depend on the number of threads. The first exception of any
    task is raised, once no thread works any more. Ctrl-C waits for the end. A task that calls `run` itself does those tasks alone."""

    alive = weakref.WeakSet()
    inside = threading.local()  # of each thread: `busy` while it does a task

    def __init__(self, threads):
        self.threads = threads
        self.renew()
        Workers.alive.add(self)

    def renew(self):
        self.others = ThreadPoolExecutor(max(1, self.threads - 1), thread_name_prefix="minigrad")  # starts them as they are needed

    def run(self, work, tasks):
        tasks = list(tasks)
        if getattr(self.inside, "busy", False):
            return [work(task) for task in tasks]
        with Whole():  # neither a thread at work nor BLAS on one thread is left behind
            try:
                try:
                    one_blas_thread.enter()
                    if self.threads == 1 or len(tasks) == 1:
                        return [work(task) for task in tasks]
                    return self.share(work, tasks)
                finally:
                    one_blas_thread.leave()
            finally:
                one_blas_thread.leave()

    def share(self, work, tasks):
        """A thread takes the next task when it is done with one: none waits while another is held up."""
        waiting, results, busy, lock = iter(enumerate(tasks)), [None] * len(tasks), set(), threading.Lock()

        def empty_the_queue():
            with lock, contextlib.suppress(StopIteration):
                while True:
                    next(waiting)

        def worker():
            me = threading.get_ident()
            while True:
                with lock:
                    i, task = next(waiting, (None, None))
                    if i is None:
                        return
                    busy.add(me)
                try:
                    self.inside.busy = True
                    results[i] = work(task)
                except BaseException:
                    empty_the_queue()
                    raise
                finally:
                    self.inside.busy = False
                    busy.discard(me)

        try:
            futures = [self.others.submit(worker) for _ in range(min(self.threads, len(tasks)) - 1)]
            worker()  # the calling thread works, too, which saves waking one
            wait(futures)
        except BaseException:  # an error or Ctrl-C: whoever goes on must find no other thread at work
            empty_the_queue()
            while busy - {threading.get_ident()}:
                time.sleep(0.001)
            raise
        for future in futures:
            future.result()
        return results


def after_fork():
    for workers in Workers.alive:
        workers.renew()  # the child has none of the threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
