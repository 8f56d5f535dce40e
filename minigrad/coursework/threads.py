"""Ranks as threads of one process: programs that send numbers to one another, without a network. What they send is counted, and a clock
says how long it would take over links of a given latency and bandwidth. Who waits for what will never come is told so."""

import copy
import math
import threading
from collections import defaultdict, deque

import numpy as np


class Deadlock(RuntimeError):
    """Every rank that has not returned waits for another one: a sentence."""


class Stopped(BaseException):
    """Ends the thread of a rank for which nothing will come any more."""


class AllReduce:
    """y[r] = x[0] + x[1] + ..., the same on every rank r. Subclasses write all_reduce(comm, x), which every rank calls with its numbers.

    latency: seconds that every message takes; bandwidth: bytes a second. A rank sends one message after the other and receives one after
    the other, both at the same time."""

    def __init_subclass__(cls):
        given = [name for name in ("forward", "backward") if name in vars(cls)]
        if given:
            raise TypeError(f"{cls.__name__}: {given[0]} is given, it calls all_reduce on every rank; write all_reduce alone")

    def __init__(self, latency=0.0, bandwidth=math.inf):
        self.latency, self.bandwidth = latency, bandwidth

    def forward(self, x):
        """x (R, n), a row for each rank -> y (R, n): each row what all_reduce of that rank gives.

        Leaves, a number for each rank, self.sent, the bytes, and self.messages that it has sent; self.seconds, until the last one is done;
        self.unread, (source, to) of every message that was never received. Raises Deadlock, and what all_reduce raises."""
        world = World(len(x), self.latency, self.bandwidth)
        results = world.run([copy.copy(self).all_reduce for _ in x], x)  # machines share nothing, not even self
        self.sent, self.messages, self.seconds = [c.sent for c in world.ranks], [c.messages for c in world.ranks], world.seconds()
        self.unread = [pair for pair, queue in sorted(world.under_way.items()) for _ in queue]
        for rank, y in enumerate(results):
            if np.shape(y) != x.shape[1:]:
                found = "returns None: is a `return` missing?" if y is None else f"returns the shape {np.shape(y)}, expected {x.shape[1:]}."
                raise ValueError(f"all_reduce of rank {rank} {found}")
        return np.stack(results)

    def backward(self, dy):
        """dy (R, n) -> dx (R, n). L depends on x[r] through the y of all ranks: dx[r] is the sum of all dy, an all-reduce again."""
        return self.forward(dy)


class Comm:
    """What a rank knows and can do. rank: its number, 0 to size - 1. size: how many ranks there are."""

    def __init__(self, world, rank, size):
        self.world, self.rank, self.size = world, rank, size
        self.sent = self.messages = 0
        self.clock = self.heard = 0.0  # seconds: when it goes on, and when it has received its last message

    def send(self, numbers, to):
        """Put a copy of an array on its way to rank `to`. Does not wait until that one takes it."""
        self.known("sends to", to)
        numbers = np.array(numbers)
        with self.world.change:
            self.sent, self.messages = self.sent + numbers.nbytes, self.messages + 1
            self.clock += self.world.cost(numbers)
            self.world.under_way[self.rank, to].append((numbers, self.clock))
            self.world.change.notify_all()

    def receive(self, source):
        """The next array that rank `source` has sent to this one. Waits for it."""
        self.known("receives from", source)
        numbers, arrival = self.world.next(source, self.rank)
        self.heard = max(arrival, self.heard + self.world.cost(numbers))
        self.clock = max(self.clock, self.heard)
        return numbers

    def known(self, does, other):
        if isinstance(other, bool) or not isinstance(other, (int, np.integer)) or not 0 <= other < self.size:
            raise ValueError(f"rank {self.rank} {does} rank {other}, but there are ranks 0 to {self.size - 1}")


class World:
    """R ranks and what is under way between them: (source, to) -> arrays in the order in which they were sent, with their times of arrival.

    Nobody sees who was first, so a program does the same in every run, up to the end or to a deadlock."""

    def __init__(self, size, latency, bandwidth):
        self.latency, self.bandwidth = latency, bandwidth
        self.ranks = [Comm(self, rank, size) for rank in range(size)]
        self.change, self.under_way = threading.Condition(), defaultdict(deque)
        self.waiting, self.ended, self.stopped = {}, set(), False  # rank -> the rank that it waits for; who has returned

    def cost(self, numbers):
        return self.latency + numbers.nbytes / self.bandwidth

    def seconds(self):
        return max((comm.clock for comm in self.ranks), default=0.0)

    def next(self, source, to):
        """Wait for a message -> array, time of arrival."""
        with self.change:
            self.waiting[to] = source
            self.look()
            while not self.under_way[source, to] and not self.stopped:
                self.change.wait()
            if not self.under_way[source, to]:
                raise Stopped
            del self.waiting[to]
            return self.under_way[source, to].popleft()

    def look(self):
        """Stop everybody if nobody can go on. The lock is held."""
        awaited = [(source, to) for to, source in self.waiting.items()]
        if len(awaited) + len(self.ended) == len(self.ranks) and not any(self.under_way[pair] for pair in awaited):
            self.stopped = True
            self.change.notify_all()

    def run(self, programs, rows):
        """program(comm, row) on a thread for each rank -> what each returned. Raises Deadlock, or the error of the lowest rank with one."""
        results, errors = [None] * len(self.ranks), {}

        def play(comm):
            try:
                results[comm.rank] = programs[comm.rank](comm, rows[comm.rank])
            except BaseException as error:
                errors[comm.rank] = error
            with self.change:
                if not isinstance(errors.get(comm.rank), Stopped):
                    self.ended.add(comm.rank)
                    self.look()

        threads = [threading.Thread(target=play, args=(comm,), daemon=True) for comm in self.ranks]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:  # Ctrl-C: nobody waits any longer
            with self.change:
                self.stopped = True
                self.change.notify_all()
            raise
        own = {rank: error for rank, error in errors.items() if not isinstance(error, Stopped)}
        if own:
            raise own[min(own)]
        if errors:
            raise Deadlock(self.sentence()).with_traceback(errors[min(errors)].__traceback__)
        return results

    def sentence(self):
        """Who waits for whom, and what is under way that nobody has asked for."""
        first, *others = [f"rank {to} waits for rank {source}" for to, source in sorted(self.waiting.items())]
        waits = ", ".join([first, *(other.replace("waits ", "") for other in others)])
        left = [f"{source} to {to}" for (source, to), queue in sorted(self.under_way.items()) if queue]
        unread = f" Sent, but never received: from {', '.join(left)}." if left else ""
        return f"nobody goes on: {waits}.{unread}"
