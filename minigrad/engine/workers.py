"""Worker threads. NumPy and BLAS release Python's lock while they compute, so that the threads run side by side."""

import contextlib
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

from minigrad.engine.blas import one_blas_thread
from minigrad.interrupts import Whole


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

    def at_work(self):
        """Whether the calling thread is doing one of several tasks."""
        return getattr(self.inside, "busy", False)

    def run(self, work, tasks):
        tasks = list(tasks)
        if self.at_work():
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
            errors = [future.exception() for future in futures]  # waits for each; concurrent.futures.wait takes longer than small tasks
        except BaseException:  # an error or Ctrl-C: whoever goes on must find no other thread at work
            empty_the_queue()
            while busy - {threading.get_ident()}:
                time.sleep(0.001)
            raise
        for error in filter(None, errors):
            raise error
        return results


def after_fork():
    for workers in Workers.alive:
        workers.renew()  # the child has none of the threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
